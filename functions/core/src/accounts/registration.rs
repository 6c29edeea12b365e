//! Making an account.

use jiff::Timestamp;

use super::{
    email::Email,
    hasher::{HashError, Hasher},
    password::Password,
    user::{CredentialVersion, Profile, User, UserId},
    username::Username,
};
use crate::{
    random::{self, SharedRandom},
    store::{StoreError, Users, Write},
};

/// The power to make accounts. A cheap clone.
#[derive(Clone)]
pub struct Registrar {
    users: Users,
    hasher: Hasher,
    random: SharedRandom,
}

/// An account that is ready to be made, together with its first session or not at all.
#[must_use]
#[derive(Debug)]
pub struct NewAccount {
    pub(crate) user: User,
    pub(crate) writes: Vec<Write>,
}

/// Why an account could not be prepared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationError {
    /// The password could not be hashed now.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// A write could not be put together.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Registrar {
    /// Accounts are made in `users`.
    #[must_use]
    pub fn new(users: Users, hasher: Hasher, random: SharedRandom) -> Self {
        Self { users, hasher, random }
    }

    /// Hashes the password and puts the account's writes together.
    ///
    /// # Errors
    /// [`RegistrationError`].
    pub async fn prepare(
        &self,
        username: &Username,
        email: Option<&Email>,
        password: &Password,
        now: Timestamp,
    ) -> Result<NewAccount, RegistrationError> {
        let phc = self.hasher.hash(&self.hasher.slot().await?, password).await?;
        let profile = Profile {
            id: UserId(random::uuid(&*self.random)),
            username: username.typed().to_owned(),
            email: email.map(|email| email.as_str().to_owned()),
            totp_enabled: false,
            created_at: now,
        };
        let user = User {
            profile,
            credential_version: CredentialVersion::FIRST,
            phc,
            totp_secret: None,
            last_time_step: None,
            recovery_digests: Vec::new(),
            enrolment: None,
        };
        let writes = self.users.create(&user, username, email)?;
        Ok(NewAccount { user, writes })
    }
}

impl std::fmt::Debug for Registrar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registrar").field("users", &self.users).finish_non_exhaustive()
    }
}
