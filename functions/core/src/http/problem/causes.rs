//! Which problem each refusal of core is told as.

use super::Problem;
use crate::{
    accounts::{guessing::Held, hasher::HashError, passwords::PasswordError, registration::RegistrationError},
    guard::Refusal,
    rate_limit::limiter::ChargeError,
    second_factor::SecondFactorError,
    sessions::keeper::OpenError,
    store::StoreError,
};

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Unavailable(_) => tracing::error!(event = "store.unavailable", %error),
            StoreError::Corrupt(_) => tracing::error!(event = "store.corrupt", %error),
        }
        Self::unavailable()
    }
}

impl From<ChargeError> for Problem {
    fn from(error: ChargeError) -> Self {
        match error {
            ChargeError::Limited(charged) => Self::rate_limited(charged),
            ChargeError::Store(error) => error.into(),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unauthenticated => Self::session_required(),
            Refusal::Ambiguous => Self::ambiguous_credentials(),
            Refusal::LevelTooLow(_) => Self::second_factor_required(),
            Refusal::Limited(charged) => Self::rate_limited(charged),
            // Whoever runs the proxy has to know; what it asked for is not repeated.
            Refusal::NoSuchLimit => {
                tracing::error!(event = "guard.no_such_limit");
                Self::malformed("No limit of that name may be demanded.")
            }
            // The second sentence is for whoever sets up a proxy that sends its client's query where it has none of its
            // own, as Caddy does.
            Refusal::Unreadable => Self::malformed(
                "A level is aal1 or aal2, a limit is named as in the settings; nothing else is read. \
                 A proxy must not send its client's query here: end the address with a question mark.",
            ),
            Refusal::Unavailable(error) => error.into(),
        }
    }
}

impl From<HashError> for Problem {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Busy => tracing::warn!(event = "argon2.queue_full"),
            HashError::Malformed | HashError::UnknownKey => tracing::error!(event = "argon2.unusable_hash", %error),
        }
        Self::unavailable()
    }
}

impl From<PasswordError> for Problem {
    fn from(error: PasswordError) -> Self {
        match error {
            // One answer for all three: nobody learns which names exist or which lanes are closed.
            PasswordError::Mismatch | PasswordError::Held(Held::Closed) => Self::invalid_credentials(),
            PasswordError::Held(Held::Until { seconds, .. }) => Self::slowed_down(seconds),
            PasswordError::Hash(error) => error.into(),
            PasswordError::Store(error) => error.into(),
        }
    }
}

impl From<RegistrationError> for Problem {
    fn from(error: RegistrationError) -> Self {
        match error {
            RegistrationError::Hash(error) => error.into(),
            RegistrationError::Store(error) => error.into(),
        }
    }
}

impl From<SecondFactorError> for Problem {
    fn from(error: SecondFactorError) -> Self {
        match error {
            SecondFactorError::InvalidCode => Self::invalid_code(),
            SecondFactorError::LoginExpired => Self::login_expired(),
            SecondFactorError::NotEnabled => Self::totp_not_enabled(),
            SecondFactorError::AlreadyEnabled => Self::totp_already_enabled(),
            SecondFactorError::NotStarted => Self::totp_not_started(),
            SecondFactorError::Sealed(error) => {
                tracing::error!(event = "keys.seal_broken", %error);
                Self::unavailable()
            }
            SecondFactorError::Store(error) => error.into(),
        }
    }
}

impl From<OpenError> for Problem {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Password(error) => error.into(),
            OpenError::SecondFactor(error) => error.into(),
            OpenError::UsernameTaken => Self::username_taken("username"),
            OpenError::EmailTaken => Self::username_taken("email"),
            OpenError::Superseded => Self::changed_meanwhile(),
            OpenError::SessionDied => Self::session_required(),
            OpenError::Store(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::{keyset::SealBroken, logging::tests::logged};

    #[track_caller]
    fn expect_line(cause: impl Into<Problem>, event: &str) {
        let log = logged(|| assert_eq!(cause.into(), Problem::unavailable()));
        let line: Value = serde_json::from_str(&log).unwrap();
        assert_eq!((line["level"].as_str(), line["event"].as_str()), (Some("ERROR"), Some(event)), "{line}");
        assert!(line["error"].is_string(), "{line}");
    }

    /// ASVS 5.0 16.3.4: what fails behind us is told to whoever runs it, and to nobody else.
    #[test]
    fn what_fails_behind_us_is_unavailable_to_clients_and_a_line_that_names_its_kind() {
        expect_line(StoreError::Unavailable("invalid peer certificate".to_owned()), "store.unavailable");
        expect_line(StoreError::Corrupt("an attribute".to_owned()), "store.corrupt");
        expect_line(SecondFactorError::Sealed(SealBroken), "keys.seal_broken");
        expect_line(HashError::UnknownKey, "argon2.unusable_hash");
    }
}
