//! Passwords as people choose them (NIST SP 800-63B-4 3.1.1.2): length and a blocklist, nothing else.

use std::fmt;

use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::username::{Username, fold};

/// A password somebody sent: normalized to NFC, otherwise every character as it came, NUL and spaces included.
///
/// Never taken for one that is shorter, wiped when dropped.
pub struct Password(Zeroizing<String>);

/// Why a text can't be anybody's password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be at most 256 characters")]
pub struct PasswordTooLong;

/// Why a password may not be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeakPassword {
    /// Fewer code points than the setting asks for.
    #[error("must be at least {min_chars} characters")]
    TooShort {
        /// The shortest that is allowed.
        min_chars: usize,
    },
    /// Among the known common or breached ones.
    #[error("is among the most common passwords, the first that a thief tries")]
    Common,
    /// The user name, the e-mail address or the service's name.
    #[error("must not be your user name, your address or the name of this service")]
    Contextual,
}

/// 21,645 common passwords of 8 or more characters, lower case: zxcvbn-ts 4.1.3 (MIT) and Django 5.2 (BSD-3-Clause).
const COMMON: &str = include_str!("common-passwords.txt");

impl Password {
    /// The longest password, in code points: generous, and too short to burden the hash (attack 5.24).
    pub const MAX_CHARS: usize = 256;
    /// The longest text that is normalized at all; no composition makes more than four code points one.
    const TYPED_MAX_CHARS: usize = 4 * Self::MAX_CHARS;

    /// Takes a password that is chosen.
    ///
    /// # Errors
    /// [`PasswordTooLong`] over 256 code points in NFC.
    pub fn parse(typed: &str) -> Result<Self, PasswordTooLong> {
        if typed.chars().count() > Self::TYPED_MAX_CHARS {
            return Err(PasswordTooLong);
        }
        let normalized = Zeroizing::new(typed.nfc().collect::<String>());
        if normalized.chars().count() > Self::MAX_CHARS {
            return Err(PasswordTooLong);
        }
        Ok(Self(normalized))
    }

    /// Takes a password that is to be compared. One that can't be anybody's is wrong like others, and so much of it as
    /// tells that is kept: many may wait to be hashed.
    #[must_use]
    pub fn typed(typed: &str) -> Self {
        Self(Zeroizing::new(typed.chars().take(Self::TYPED_MAX_CHARS + 1).nfc().collect()))
    }

    /// The bytes that are hashed.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Whether this password may be chosen by `username` at the service called `issuer`.
    ///
    /// The blocklist is compared with the whole password, never with parts of it (NIST 3.1.1.2).
    ///
    /// # Errors
    /// [`WeakPassword`] names the reason, as NIST demands.
    pub fn check_strength(
        &self,
        username: &str,
        email: Option<&str>,
        issuer: &str,
        min_chars: usize,
    ) -> Result<(), WeakPassword> {
        if self.0.chars().count() < min_chars {
            return Err(WeakPassword::TooShort { min_chars });
        }
        let folded = Zeroizing::new(fold(&self.0));
        let lower = Zeroizing::new(self.0.to_lowercase());
        if COMMON.lines().any(|common| common == *lower || common == *folded) {
            return Err(WeakPassword::Common);
        }
        let name = Username::parse(username).map_or_else(|_| fold(username), |name| name.folded().to_owned());
        let backwards = name.chars().rev().collect::<String>();
        let context = [Some(name), Some(backwards), email.map(fold), Some(fold(issuer))];
        match context.iter().flatten().any(|word| *word == *folded) {
            true => Err(WeakPassword::Contextual),
            false => Ok(()),
        }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strength(password: &str) -> Result<(), WeakPassword> {
        Password::parse(password).unwrap().check_strength("Ada.Lovelace", Some("ada@example.org"), "UniversityApp", 8)
    }

    #[test]
    fn length_is_counted_in_code_points_after_nfc() {
        assert_eq!(strength("1four🦀x"), Err(WeakPassword::TooShort { min_chars: 8 }));
        assert_eq!(strength("zebras🦀🦀"), Ok(()));
        assert_eq!(
            strength("zebra e\u{301}"),
            Err(WeakPassword::TooShort { min_chars: 8 }),
            "7 code points once composed"
        );
        assert!(Password::parse(&"e\u{301}".repeat(256)).is_ok());
        assert!(Password::parse(&"x".repeat(256)).is_ok());
        assert_eq!(Password::parse(&"x".repeat(257)).unwrap_err(), PasswordTooLong);
    }

    #[test]
    fn no_composition_is_demanded() {
        for password in
            ["correct horse battery staple", "        8 spaces", "aaaaaaaabbbb", "8237465019283746", "🦀🦞🦐🦑🐙🐚🐡🐠"]
        {
            assert_eq!(strength(password), Ok(()), "{password:?}");
        }
    }

    #[test]
    fn common_passwords_are_refused_whatever_their_case() {
        for password in ["password", "PassWord", "12345678", "qwertyuiop", "iloveyou1", "Football"] {
            assert_eq!(strength(password), Err(WeakPassword::Common), "{password:?}");
        }
        assert!(COMMON.lines().count() > 20_000);
    }

    #[test]
    fn the_user_name_the_address_and_the_service_are_refused() {
        for password in ["ada.lovelace", "ADA.LOVELACE", "ecalevol.ada", "Ada@Example.org", "universityapp"] {
            assert_eq!(strength(password), Err(WeakPassword::Contextual), "{password:?}");
        }
        assert_eq!(strength("ada.lovelace1843"), Ok(()), "a part of a password is no reason");
    }

    #[test]
    fn debug_output_hides_the_password() {
        assert!(!format!("{:?}", Password::parse("correct horse battery").unwrap()).contains("horse"));
    }
}
