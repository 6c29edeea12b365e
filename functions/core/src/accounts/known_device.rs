//! The known-device cookie: a device that completed a login keeps a lane of its own when strangers guess.
//!
//! It is sealed, bound to the account and its credential version, and expires. It opens a lane, never a factor.

use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::{
    guessing::Lane,
    user::{CredentialVersion, User, UserId},
};
use crate::{
    clock::later,
    keyset::{KeySet, Purpose},
    random::SharedRandom,
};

/// Issues and recognizes known-device cookies. A cheap clone.
#[derive(Clone)]
pub struct KnownDevices {
    keys: Arc<KeySet>,
    random: SharedRandom,
}

impl KnownDevices {
    /// How long a device is known after its last login.
    pub const LIFETIME: SignedDuration = SignedDuration::from_hours(90 * 24);

    /// Devices known by cookies sealed under `keys`.
    #[must_use]
    pub fn new(keys: Arc<KeySet>, random: SharedRandom) -> Self {
        Self { keys, random }
    }

    /// A cookie value for the device that just completed a login.
    #[must_use]
    pub fn issue(&self, user: UserId, version: CredentialVersion, now: Timestamp) -> String {
        let expires_at = later(now, Self::LIFETIME);
        let claims = [version.0.to_be_bytes(), expires_at.as_second().to_be_bytes()].concat();
        let sealed = self.keys.seal(Purpose::KnownDevice, user.0, &claims, &*self.random);
        BASE64URL_NOPAD.encode(&[user.0.as_bytes().as_slice(), &sealed].concat())
    }

    /// The lane of a request that came with `cookie`, for guesses at `user`.
    #[must_use]
    pub fn lane(&self, cookie: Option<&str>, user: Option<&User>, now: Timestamp) -> Lane {
        let known = cookie.zip(user).and_then(|(cookie, user)| {
            let (version, expires_at) = self.open(cookie, user.profile.id)?;
            Some(version == user.credential_version && now < expires_at)
        });
        if known == Some(true) { Lane::Known } else { Lane::Stranger }
    }

    fn open(&self, cookie: &str, user: UserId) -> Option<(CredentialVersion, Timestamp)> {
        let bytes = BASE64URL_NOPAD.decode(cookie.as_bytes()).ok()?;
        let (owner, sealed) = bytes.split_first_chunk::<16>()?;
        let claims = (Uuid::from_bytes(*owner) == user.0)
            .then(|| self.keys.open(Purpose::KnownDevice, user.0, sealed).ok())??;
        let (version, expires_at) = claims.split_first_chunk::<8>()?;
        let expires_at = Timestamp::from_second(i64::from_be_bytes(expires_at.try_into().ok()?)).ok()?;
        Some((CredentialVersion(u64::from_be_bytes(*version)), expires_at))
    }
}

impl std::fmt::Debug for KnownDevices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KnownDevices")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        accounts::{hasher::Phc, user::Profile},
        keyset::Key,
        random::OsRandom,
    };

    const NOON: Timestamp = Timestamp::constant(1_800_000_000, 0);

    fn devices() -> KnownDevices {
        KnownDevices::new(Arc::new(KeySet::new(vec![Key::new([1; 32])]).unwrap()), Arc::new(OsRandom))
    }

    fn user(id: u128, version: u64) -> User {
        User {
            profile: Profile {
                id: UserId(Uuid::from_u128(id)),
                username: "ada".into(),
                email: None,
                totp_enabled: false,
                created_at: NOON,
            },
            credential_version: CredentialVersion(version),
            phc: Phc::stored(String::new()),
            totp_secret: None,
            last_time_step: None,
            recovery_digests: Vec::new(),
            enrolment: None,
        }
    }

    #[test]
    fn a_device_is_known_to_its_account_at_its_version_until_it_expires() {
        let cookie = devices().issue(user(1, 3).profile.id, CredentialVersion(3), NOON);
        let lane = |user: &User, now| devices().lane(Some(&cookie), Some(user), now);
        assert_eq!(lane(&user(1, 3), NOON), Lane::Known);
        assert_eq!(lane(&user(2, 3), NOON), Lane::Stranger, "another account");
        assert_eq!(lane(&user(1, 4), NOON), Lane::Stranger, "after a credential change");
        assert_eq!(lane(&user(1, 3), NOON + KnownDevices::LIFETIME), Lane::Stranger, "expired");
    }

    #[test]
    fn a_cookie_for_one_account_does_not_become_one_for_another() {
        let cookie = devices().issue(user(1, 3).profile.id, CredentialVersion(3), NOON);
        let mut bytes = BASE64URL_NOPAD.decode(cookie.as_bytes()).unwrap();
        bytes[..16].copy_from_slice(user(2, 3).profile.id.0.as_bytes());
        assert_eq!(devices().lane(Some(&BASE64URL_NOPAD.encode(&bytes)), Some(&user(2, 3)), NOON), Lane::Stranger);
    }

    #[test]
    fn no_cookie_and_nonsense_are_strangers() {
        for cookie in [None, Some(""), Some("AAAA"), Some("not base64!")] {
            assert_eq!(devices().lane(cookie, Some(&user(1, 3)), NOON), Lane::Stranger);
        }
    }
}
