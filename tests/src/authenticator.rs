//! An authenticator app: a secret, and the code it shows at a time.

use jiff::{SignedDuration, Timestamp};
use totp_rs::{Builder, Totp};

/// Shows codes for one secret.
pub struct Authenticator(Totp);

impl Authenticator {
    /// Scans the secret in Base32.
    #[must_use]
    pub fn scan(base32: &str) -> Self {
        let secret = data_encoding::BASE32_NOPAD.decode(base32.as_bytes()).unwrap();
        Self(Builder::new().with_secret(secret).build().unwrap())
    }

    /// The code that is shown at `now`.
    #[must_use]
    pub fn code(&self, now: Timestamp) -> String {
        self.0.generate(now.as_second().try_into().unwrap()).to_string()
    }

    /// A code that no step near `now` has.
    #[must_use]
    pub fn wrong_code(&self, now: Timestamp) -> String {
        self.wrong_codes(now).next().unwrap()
    }

    /// All of them.
    pub fn wrong_codes(&self, now: Timestamp) -> impl Iterator<Item = String> {
        let near: Vec<String> = (-3..=3).map(|steps| self.code(now + SignedDuration::from_secs(30 * steps))).collect();
        (0..1_000_000).map(|number| format!("{number:06}")).filter(move |code| !near.contains(code))
    }
}
