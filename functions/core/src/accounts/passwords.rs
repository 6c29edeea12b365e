//! Checking a password against an account, with every guess counted.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    guessing::{Held, Lane},
    hasher::{Comparison, HashError, Hasher, HashingSlot},
    known_device::KnownDevices,
    password::Password,
    queue::Queue,
    user::{Account, User, UserId},
    username::Username,
};
use crate::{
    events,
    keyset::KeySet,
    rate_limit::admission::Admitted,
    store::{Refused, StoreError, Users, Write, users::read_account},
};

/// The power to check passwords. A cheap clone.
#[derive(Debug, Clone)]
pub struct Passwords {
    users: Users,
    hasher: Hasher,
    keys: Arc<KeySet>,
    devices: KnownDevices,
}

/// Whom a login is for: the id behind the name, or the shadow that a name without an account has.
#[derive(Debug, Clone, Copy)]
pub struct Candidate(UserId);

impl Candidate {
    /// The account's id, or the shadow's.
    #[must_use]
    pub fn user(self) -> UserId {
        self.0
    }
}

/// Proof that a password was right; nothing else opens a session. Whoever commits with it must commit its write, first of
/// all.
#[must_use = "the write in it holds the guess against the others"]
#[derive(Debug)]
pub struct PasswordVerified {
    pub(crate) user: User,
    pub(crate) lane: Lane,
    pub(crate) write: Write,
}

/// Proof that a running session's user gave the right password again; committed already, so that whatever is answered
/// next tells nothing that guesses in parallel could use.
#[must_use]
#[derive(Debug)]
pub struct PasswordConfirmed {
    pub(crate) user: User,
    pub(crate) account: Account,
}

/// Why a password was not verified.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Wrong, or nobody has that name; the guess is counted.
    #[error("wrong user name or password")]
    Mismatch,
    /// Not looked at.
    #[error(transparent)]
    Held(#[from] Held),
    /// No verdict: the queue is full, or the stored hash or its key is unusable.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The store gave no answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A count that others change meanwhile is read again this often; each loss means somebody else's guess was counted.
const COUNT_TRIES: u32 = 32;

impl Passwords {
    /// Passwords of the accounts in `users`.
    #[must_use]
    pub fn new(users: Users, hasher: Hasher, keys: Arc<KeySet>, devices: KnownDevices) -> Self {
        Self { users, hasher, keys, devices }
    }

    /// Waits for leave to check a password; to be taken before the account is read.
    ///
    /// # Errors
    /// [`HashError::Busy`].
    pub async fn slot(&self) -> Result<HashingSlot, HashError> {
        self.hasher.slot().await
    }

    /// How busy the hashing threads are.
    #[must_use]
    pub fn queue(&self) -> Queue {
        self.hasher.queue()
    }

    /// Whom a typed name is for. Harmless: may run beside the charge.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn candidate(&self, typed_name: &str) -> Result<Candidate, StoreError> {
        let found = match Username::parse(typed_name) {
            Ok(username) => self.users.id_of(&username).await?,
            Err(_) => None,
        };
        Ok(Candidate(found.unwrap_or_else(|| UserId(self.keys.shadow_id(&Username::shadow_form(typed_name))))))
    }

    /// Checks a stranger's password, or a known device's.
    ///
    /// # Errors
    /// [`PasswordError`]; a mismatch has been counted by then.
    pub async fn verify(
        &self,
        _admitted: &Admitted,
        slot: &HashingSlot,
        candidate: Candidate,
        password: &Password,
        device: Option<&str>,
        now: Timestamp,
    ) -> Result<PasswordVerified, PasswordError> {
        let account = self.users.account(candidate.0).await?;
        let lane = self.devices.lane(device, account.user.as_ref(), now);
        self.check(slot, account, password, lane, now).await
    }

    /// Checks the password of whoever holds a running session; they have the known devices' lane.
    ///
    /// # Errors
    /// [`PasswordError`]; a mismatch has been counted by then.
    pub async fn verify_again(
        &self,
        user: UserId,
        password: &Password,
        now: Timestamp,
    ) -> Result<PasswordConfirmed, PasswordError> {
        let confirmed = self.confirm(user, password, now).await;
        confirmed.inspect_err(|_| events::confirmation_failed(user, "password"))
    }

    async fn confirm(
        &self,
        user: UserId,
        password: &Password,
        now: Timestamp,
    ) -> Result<PasswordConfirmed, PasswordError> {
        let slot = self.slot().await?;
        let account = self.users.account(user).await?;
        let verified = self.check(&slot, account.clone(), password, Lane::Known, now).await?;
        let PasswordVerified { user, lane, write } = verified;
        match self.users.commit(write).await? {
            Ok(()) => Ok(PasswordConfirmed { user, account }),
            Err(refused) => Err(PasswordVerified::why_refused(user.profile.id, lane, &refused, now)),
        }
    }

    /// Hashes a new password; the write is a credential change.
    ///
    /// # Errors
    /// [`PasswordError::Hash`], [`PasswordError::Store`].
    pub async fn change(&self, proof: &PasswordConfirmed, new: &Password) -> Result<Write, PasswordError> {
        let phc = self.hasher.hash(&self.slot().await?, new).await?;
        Ok(self.users.password_changed(&proof.user, &phc)?)
    }

    async fn check(
        &self,
        slot: &HashingSlot,
        account: Account,
        password: &Password,
        lane: Lane,
        now: Timestamp,
    ) -> Result<PasswordVerified, PasswordError> {
        account.password_guesses(lane).admit(now)?;
        let Some(user) = account.user.clone() else {
            self.hasher.verify_nothing(slot, password).await?;
            return Err(self.count_mismatch(account, lane, now).await);
        };
        match self.hasher.verify(slot, password, &user.phc).await? {
            Comparison::Mismatch => Err(self.count_mismatch(account, lane, now).await),
            Comparison::Match { rehashed } => {
                let write = self.users.password_proven(&account, &user, lane, rehashed.as_ref(), now)?;
                Ok(PasswordVerified { user, lane, write })
            }
        }
    }

    /// Counts a failure before anybody learns that it was one. Guesses that race are counted one by one.
    async fn count_mismatch(&self, mut account: Account, lane: Lane, now: Timestamp) -> PasswordError {
        for _ in 0..COUNT_TRIES {
            let guesses = account.password_guesses(lane);
            if let Err(held) = guesses.admit(now) {
                return held.into();
            }
            match self.users.record_password_failure(&account, lane, guesses.after_failure(now), now).await {
                Ok(Ok(())) => return PasswordError::Mismatch,
                Ok(Err(newer)) => account = newer,
                Err(error) => return error.into(),
            }
        }
        StoreError::Unavailable("a count of failures changes too fast".to_owned()).into()
    }
}

impl PasswordVerified {
    /// Where the write in this proof stands in the transaction that it is committed with.
    const WRITE_INDEX: usize = 0;

    /// Why that transaction was refused: guesses were held meanwhile, or the credentials changed.
    pub(crate) fn why_refused(user: UserId, lane: Lane, refused: &Refused, now: Timestamp) -> PasswordError {
        let Some(item) = refused.at(Self::WRITE_INDEX) else {
            return PasswordError::Mismatch;
        };
        match read_account(user, item.clone()).map(|account| account.password_guesses(lane).admit(now)) {
            Ok(Ok(())) => PasswordError::Mismatch,
            Ok(Err(held)) => held.into(),
            Err(error) => error.into(),
        }
    }
}
