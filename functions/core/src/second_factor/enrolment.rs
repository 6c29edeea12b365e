//! Enrolment: a secret is made, shown once, and confirmed by its first code.

use jiff::{SignedDuration, Timestamp};
use zeroize::Zeroizing;

use super::{
    SecondFactor, SecondFactorError,
    recovery::RecoveryCode,
    totp::{TimeStep, TotpCode, TotpSecret},
};
use crate::{
    accounts::{
        passwords::PasswordConfirmed,
        user::{PendingEnrolment, User, UserId},
    },
    clock::later,
    events,
    sessions::session::Session,
    store::{StoreError, Write, users::FactorChange},
};

/// A started enrolment, to be shown once.
#[derive(Debug)]
pub struct Enrolment {
    /// Base32, for typing.
    pub secret: Zeroizing<String>,
    /// For the QR code.
    pub otpauth_url: Zeroizing<String>,
    /// When it must be confirmed.
    pub expires_at: Timestamp,
    /// To be committed on behalf of the session.
    pub write: Write,
}

/// A confirmed enrolment, to be committed as a credential change.
#[derive(Debug)]
pub struct ConfirmedEnrolment {
    /// To be shown once.
    pub recovery_codes: Vec<RecoveryCode>,
    /// To be committed as a credential change.
    pub write: Write,
}

/// Time to scan the QR code and type the first code.
const ENROLMENT_LIFETIME: SignedDuration = SignedDuration::from_mins(10);

impl SecondFactor {
    /// Starts an enrolment; nothing is on yet.
    ///
    /// # Errors
    /// [`SecondFactorError::AlreadyEnabled`], [`SecondFactorError::Store`].
    pub fn enrol(&self, password: PasswordConfirmed, now: Timestamp) -> Result<Enrolment, SecondFactorError> {
        let PasswordConfirmed { user, .. } = password;
        if user.totp_secret.is_some() {
            return Err(SecondFactorError::AlreadyEnabled);
        }
        let secret = TotpSecret::generate(&*self.random);
        let sealed = self.seal(&user, &secret);
        let expires_at = later(now, ENROLMENT_LIFETIME);
        let pending = PendingEnrolment { secret: sealed, expires_at, failures: 0 };
        let otpauth_url = secret
            .otpauth_url(self.issuer.as_str(), &user.profile.username)
            .ok_or_else(|| StoreError::Corrupt("a name for the otpauth URL".to_owned()))?;
        let write = self.users.enrolment_started(&user, &pending)?;
        Ok(Enrolment { secret: secret.to_base32(), otpauth_url, expires_at, write })
    }

    /// Confirms an enrolment by its first code, which is burnt by it.
    ///
    /// # Errors
    /// [`SecondFactorError`]; a wrong code has been counted by then.
    pub async fn confirm(
        &self,
        session: &Session,
        code: Option<&TotpCode>,
        now: Timestamp,
    ) -> Result<ConfirmedEnrolment, SecondFactorError> {
        let user = session.user.id;
        self.prove_enrolment(user, code, now).await.inspect_err(|_| events::confirmation_failed(user, "code"))
    }

    async fn prove_enrolment(
        &self,
        user: UserId,
        code: Option<&TotpCode>,
        now: Timestamp,
    ) -> Result<ConfirmedEnrolment, SecondFactorError> {
        let user = self.users.account(user).await?.user.ok_or(SecondFactorError::NotStarted)?;
        if user.totp_secret.is_some() {
            return Err(SecondFactorError::AlreadyEnabled);
        }
        let enrolment = user.enrolment.clone().filter(|enrolment| enrolment.is_live(now));
        let enrolment = enrolment.ok_or(SecondFactorError::NotStarted)?;
        let secret = self.open(&user, &enrolment.secret)?;
        let Some(TimeStep(time_step)) = code.and_then(|code| secret.step_of(code, self.settings.drift_steps, now))
        else {
            return Err(self.count_enrolment_failure(&user, &enrolment, now).await);
        };
        let recovery_codes = RecoveryCode::generate_set(&*self.random);
        let recovery_digests = recovery_codes.iter().map(RecoveryCode::digest).collect();
        let write =
            self.users.factor_changed(&user, &FactorChange::Enable { time_step, recovery_digests }, None, now)?;
        Ok(ConfirmedEnrolment { recovery_codes, write })
    }

    async fn count_enrolment_failure(
        &self,
        user: &User,
        enrolment: &PendingEnrolment,
        now: Timestamp,
    ) -> SecondFactorError {
        let outcome = match self.users.enrolment_failed(user, enrolment, now) {
            Ok(write) => self.users.commit(write).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(Ok(())) => SecondFactorError::InvalidCode,
            // Out of tries, replaced or confirmed meanwhile: no verdict on this code.
            Ok(Err(_)) => SecondFactorError::NotStarted,
            Err(error) => error.into(),
        }
    }
}
