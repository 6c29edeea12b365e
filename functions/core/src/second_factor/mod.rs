//! The second step: TOTP and recovery codes, set up, checked and spent.

pub mod enrolment;
pub mod qr;
pub mod recovery;
pub mod totp;

use std::sync::Arc;

use jiff::Timestamp;
use subtle::ConstantTimeEq;

use self::{
    recovery::RecoveryCode,
    totp::{TimeStep, TotpCode, TotpSecret},
};
use crate::{
    accounts::{
        guessing::{Guesses, Lane},
        known_device::KnownDevices,
        passwords::PasswordConfirmed,
        user::{Account, SealedSecret, User, UserId},
    },
    config::{Issuer, TotpSettings},
    events,
    keyset::{KeySet, Purpose, SealBroken},
    random::SharedRandom,
    rate_limit::admission::Admitted,
    sessions::{session::PendingLogin, token::LoginToken},
    store::{
        Refused, Sessions, StoreError, Users, Write,
        users::{FactorChange, Spent, read_account},
    },
};

/// The power to set up, check and spend second factors. A cheap clone.
#[derive(Clone)]
pub struct SecondFactor {
    users: Users,
    sessions: Sessions,
    keys: Arc<KeySet>,
    devices: KnownDevices,
    random: SharedRandom,
    issuer: Issuer,
    settings: TotpSettings,
}

/// What somebody offers as a second step.
#[derive(Debug, Clone)]
pub enum Offered {
    /// A TOTP code; `None` if it can't be one.
    Code(Option<TotpCode>),
    /// A recovery code; `None` if it can't be one.
    RecoveryCode(Option<RecoveryCode>),
}

impl Offered {
    /// The factor's name in log lines.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Code(_) => "totp",
            Self::RecoveryCode(_) => "recovery_code",
        }
    }
}

/// Proof that a second step was right; nothing else completes a login. Its writes spend what proved it.
#[must_use = "the writes in it spend the code"]
#[derive(Debug)]
pub struct SecondFactorVerified {
    pub(crate) user: User,
    pub(crate) pending: PendingLogin,
    pub(crate) writes: Vec<Write>,
    lane: Lane,
}

/// Proof that a running session's user gave password and second step again.
#[must_use]
#[derive(Debug)]
pub struct BothVerified {
    pub(crate) user: User,
    pub(crate) spent: Spent,
}

/// Why a second step was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecondFactorError {
    /// Wrong, used before, or not answered in this lane any more.
    #[error("wrong code")]
    InvalidCode,
    /// The pending login is dead, or never was.
    #[error("no login is pending")]
    LoginExpired,
    /// There is no second factor to check.
    #[error("two-step verification is not on")]
    NotEnabled,
    /// There is one already.
    #[error("two-step verification is on already")]
    AlreadyEnabled,
    /// No enrolment was started, or it is too old, or had too many wrong codes.
    #[error("no enrolment was started")]
    NotStarted,
    /// The secret can't be opened with the keys there are.
    #[error(transparent)]
    Sealed(#[from] SealBroken),
    /// The store gave no answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SecondFactor {
    /// Second factors of the accounts in `users`.
    #[must_use]
    pub fn new(
        users: Users,
        sessions: Sessions,
        keys: Arc<KeySet>,
        devices: KnownDevices,
        random: SharedRandom,
        issuer: Issuer,
        settings: TotpSettings,
    ) -> Self {
        Self { users, sessions, keys, devices, random, issuer, settings }
    }

    /// The pending login and its user, read side by side. Harmless: may run beside the charge.
    ///
    /// # Errors
    /// [`SecondFactorError::LoginExpired`], [`SecondFactorError::Store`].
    pub async fn pending(
        &self,
        token: &LoginToken,
        now: Timestamp,
    ) -> Result<(PendingLogin, Account), SecondFactorError> {
        let (pending, account) =
            futures_util::future::try_join(self.sessions.find_pending(token), self.users.account(token.user())).await?;
        let epoch = account.user.as_ref().map(|user| user.credential_version);
        match pending.zip(epoch) {
            Some((pending, epoch)) if pending.is_live(epoch, now) => Ok((pending, account)),
            Some(_) | None => Err(SecondFactorError::LoginExpired),
        }
    }

    /// Checks the second step of a pending login.
    ///
    /// # Errors
    /// [`SecondFactorError`]; a wrong code has been counted by then, on the account and on the pending login.
    pub async fn verify(
        &self,
        _admitted: &Admitted,
        (pending, account): (PendingLogin, Account),
        offered: &Offered,
        device: Option<&str>,
        now: Timestamp,
    ) -> Result<SecondFactorVerified, SecondFactorError> {
        let Some(user) = account.user.clone() else {
            return Err(SecondFactorError::LoginExpired);
        };
        let lane = self.devices.lane(device, Some(&user), now);
        match self.spendable(&account, &user, offered, lane, now)? {
            Some(spent) => {
                let writes = vec![
                    self.users.second_step_proven(&user, &spent, lane, self.resealed(&user).as_ref())?,
                    self.sessions.spend_pending(user.profile.id, &pending, now)?,
                ];
                Ok(SecondFactorVerified { user, pending, writes, lane })
            }
            None => Err(self.count_failure(account.id, &pending, lane, now).await),
        }
    }

    /// Tells why a login that this proof should have completed was refused at commit, and counts a code that was used before.
    pub(crate) async fn refused(
        &self,
        verified: SecondFactorVerified,
        refused: &Refused,
        now: Timestamp,
    ) -> SecondFactorError {
        let user = &verified.user;
        let is_same_version = |item| {
            read_account(user.profile.id, item)
                .map(|account| account.user.is_some_and(|now| now.credential_version == user.credential_version))
        };
        match refused.at(0).cloned().map(is_same_version) {
            // Under the same credentials only the code can have been in the way: spent, or its lane closed.
            Some(Ok(true)) => self.count_failure(user.profile.id, &verified.pending, verified.lane, now).await,
            Some(Ok(false)) | None => SecondFactorError::LoginExpired,
            Some(Err(error)) => error.into(),
        }
    }

    /// Checks the second step of a running session's user, after the password.
    ///
    /// # Errors
    /// [`SecondFactorError`]; a wrong code has been counted by then.
    pub async fn verify_again(
        &self,
        password: PasswordConfirmed,
        offered: &Offered,
        now: Timestamp,
    ) -> Result<BothVerified, SecondFactorError> {
        let user = password.user.profile.id;
        let both = self.prove_both(password, offered, now).await;
        both.inspect_err(|_| events::confirmation_failed(user, "code"))
    }

    async fn prove_both(
        &self,
        password: PasswordConfirmed,
        offered: &Offered,
        now: Timestamp,
    ) -> Result<BothVerified, SecondFactorError> {
        let PasswordConfirmed { account, user } = password;
        if user.totp_secret.is_none() {
            return Err(SecondFactorError::NotEnabled);
        }
        match self.spendable(&account, &user, offered, Lane::Known, now)? {
            Some(spent) => Ok(BothVerified { user, spent }),
            None => {
                self.count_on_account(user.profile.id).await?;
                Err(SecondFactorError::InvalidCode)
            }
        }
    }

    /// The write that turns two-step verification off.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn disable(&self, both: &BothVerified, now: Timestamp) -> Result<Write, StoreError> {
        self.users.factor_changed(&both.user, &FactorChange::Disable, Some(&both.spent), now)
    }

    /// Counts and logs a second step that was right and was spent elsewhere before it could be committed: used, so wrong.
    pub async fn reject(&self, user: UserId) -> SecondFactorError {
        events::confirmation_failed(user, "code");
        match self.count_on_account(user).await {
            Ok(()) => SecondFactorError::InvalidCode,
            Err(error) => error.into(),
        }
    }

    async fn count_on_account(&self, user: UserId) -> Result<(), StoreError> {
        let failure = self.users.code_failure(user, Lane::Known)?;
        // Refused where the lane is closed: then there is nothing left to count.
        self.users.commit(failure).await.map(drop)
    }

    /// New recovery codes, and the write that puts them in place of the old ones.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn replace_recovery_codes(&self, both: &BothVerified) -> Result<(Vec<RecoveryCode>, Write), StoreError> {
        let codes = RecoveryCode::generate_set(&*self.random);
        let digests: Vec<Vec<u8>> = codes.iter().map(RecoveryCode::digest).collect();
        let write = self.users.recovery_codes_replaced(&both.user, &both.spent, &digests)?;
        Ok((codes, write))
    }

    /// What `offered` would spend; `None` if it is wrong. The commit decides whether it is still unspent.
    fn spendable(
        &self,
        account: &Account,
        user: &User,
        offered: &Offered,
        lane: Lane,
        now: Timestamp,
    ) -> Result<Option<Spent>, SecondFactorError> {
        let Some(sealed) = &user.totp_secret else {
            return Err(SecondFactorError::NotEnabled);
        };
        match offered {
            Offered::Code(Some(code)) if account.code_guesses(lane).failures < Guesses::CLOSED_AT => {
                let step = self.open(user, sealed)?.step_of(code, self.settings.drift_steps, now);
                let is_fresh = |step: &TimeStep| user.last_time_step.is_none_or(|last| last < step.0);
                Ok(step.filter(is_fresh).map(|TimeStep(step)| Spent::TimeStep(step)))
            }
            Offered::RecoveryCode(Some(code)) => {
                let digest = code.digest();
                let is_left =
                    user.recovery_digests.iter().any(|left| bool::from(left.as_slice().ct_eq(digest.as_slice())));
                Ok(is_left.then_some(Spent::RecoveryCode(digest)))
            }
            Offered::Code(_) | Offered::RecoveryCode(None) => Ok(None),
        }
    }

    /// The TOTP secret under the key that seals now, if an older one sealed it: so that the older one can go (ASVS 5.0
    /// 11.2.2). One that doesn't open stays as it is.
    fn resealed(&self, user: &User) -> Option<SealedSecret> {
        let sealed = user.totp_secret.as_ref().filter(|sealed| !self.keys.is_under_first(&sealed.0))?;
        let secret = self.open(user, sealed).ok()?;
        Some(self.seal(user, &secret))
    }

    fn seal(&self, user: &User, secret: &TotpSecret) -> SealedSecret {
        SealedSecret(self.keys.seal(Purpose::TotpSecret, user.profile.id.0, secret.as_bytes(), &*self.random))
    }

    fn open(&self, user: &User, sealed: &SealedSecret) -> Result<TotpSecret, SealBroken> {
        let bytes = self.keys.open(Purpose::TotpSecret, user.profile.id.0, &sealed.0)?;
        TotpSecret::from_bytes(&bytes).ok_or(SealBroken)
    }

    /// Counts a wrong code on the account and on the pending login in one transaction, before anybody learns of it.
    async fn count_failure(
        &self,
        user: UserId,
        pending: &PendingLogin,
        lane: Lane,
        now: Timestamp,
    ) -> SecondFactorError {
        match self.counted(user, pending, lane, now).await {
            Ok(true) => SecondFactorError::InvalidCode,
            Ok(false) => SecondFactorError::LoginExpired,
            Err(error) => error.into(),
        }
    }

    /// `false` if the pending login is dead, where nothing is counted.
    async fn counted(
        &self,
        user: UserId,
        pending: &PendingLogin,
        lane: Lane,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let on_login = self.sessions.fail_pending(user, pending, now)?;
        let on_account = self.users.code_failure(user, lane)?;
        match self.sessions.commit(vec![on_account, on_login.clone()]).await? {
            Ok(()) => Ok(true),
            // The lane was closed already: only the pending login has something to count.
            Err(refused) if refused.only_at(0).is_some() => Ok(self.sessions.commit(vec![on_login]).await?.is_ok()),
            Err(_) => Ok(false),
        }
    }
}

impl SecondFactorVerified {
    /// Where the user wanted to go when the login began.
    #[must_use]
    pub fn next(&self) -> Option<&str> {
        self.pending.next.as_deref()
    }
}

impl std::fmt::Debug for SecondFactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecondFactor").field("settings", &self.settings).finish_non_exhaustive()
    }
}
