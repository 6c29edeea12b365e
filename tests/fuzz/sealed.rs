//! What we sealed and gave away: it comes back as it was, or opens nothing.

use std::sync::Arc;

use hallpass_core::{
    accounts::{
        guessing::Lane,
        hasher::Phc,
        known_device::KnownDevices,
        user::{CredentialVersion, Profile, User, UserId},
    },
    keyset::{Key, KeySet},
    random::OsRandom,
};
use jiff::Timestamp;
use proptest::{option, prelude::*};
use uuid::Uuid;

use crate::{config, replaced};

const NOON: Timestamp = Timestamp::constant(1_800_000_000, 0);

/// Padding, a few characters, or as many as the whole cookie has, which is 91.
const PIECE: &str = "=|[A-Za-z0-9_=-]{0,4}|[A-Za-z0-9_-]{0,92}";

fn devices(key: u8) -> KnownDevices {
    KnownDevices::new(Arc::new(KeySet::new(vec![Key::new([key; 32])]).unwrap()), Arc::new(OsRandom))
}

fn user(id: u128, version: u64) -> User {
    User {
        profile: Profile {
            id: UserId(Uuid::from_u128(id)),
            username: "ada".to_owned(),
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

fn cookie_of(key: u8, user: &User) -> String {
    devices(key).issue(user.profile.id, user.credential_version, NOON)
}

properties! {
    config(), trial;

    #[test]
    fn a_device_cookie_opens_its_lane_only_as_it_was_given(
        id in any::<u128>(),
        version in any::<u64>(),
        edit in option::of((prop_oneof![0..91_usize, Just(91)], prop_oneof![0..3_usize, 0..92_usize], PIECE)),
    ) {
        let user = user(id, version);
        let given = cookie_of(1, &user);
        let sent = edit.map_or_else(|| given.clone(), |(at, length, piece)| replaced(&given, at, length, &piece));
        let is_known = devices(1).lane(Some(&sent), Some(&user), NOON) == Lane::Known;
        prop_assert_eq!(is_known, sent == given);
        if is_known {
            trial.accept();
        }
    }

    #[test]
    fn a_device_cookie_is_of_one_key_one_account_one_version_and_its_time(
        given in (0..2_u8, 0..2_u128, 0..2_u64),
        other in option::of((0..2_u8, 0..2_u128, 0..2_u64)),
        seconds in prop_oneof![0..200 * 86_400_i64, Just(KnownDevices::LIFETIME.as_secs())],
    ) {
        let (key, id, version) = given;
        let cookie = cookie_of(key, &user(id, version));
        let asked = other.unwrap_or(given);
        let (key, id, version) = asked;
        let now = Timestamp::from_second(NOON.as_second() + seconds).unwrap();
        let is_known = devices(key).lane(Some(&cookie), Some(&user(id, version)), now) == Lane::Known;
        prop_assert_eq!(is_known, given == asked && seconds < KnownDevices::LIFETIME.as_secs());
        if is_known {
            trial.accept();
        }
    }
}
