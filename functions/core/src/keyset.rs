//! The keys that are not in the table: they seal TOTP secrets, pepper passwords and sign known-device cookies.
//!
//! A key file holds one key a line, 32 bytes in Base64; empty lines and lines that start with `#` are passed over.
//! The first key seals, every key opens, so a key is rotated by putting a new one on top; where several processes read
//! the file, one after the other, they are first told of it below the top. The last line stays what it is: unknown names
//! are counted under it. A key may stand in several lines.

use std::fmt;

use aes_gcm::{
    Aes256Gcm, Nonce,
    aead::{Aead, KeyInit, Payload},
};
use data_encoding::BASE64;
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::random::{self, Random};

/// Names a key in what it sealed; tells nothing about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyId(pub [u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

/// One master key of 256 bits; what it is used for is derived from it (HKDF-SHA-256, RFC 5869).
#[derive(Clone)]
pub struct Key {
    id: KeyId,
    master: Zeroizing<[u8; 32]>,
}

/// One or more keys, newest first.
#[derive(Clone)]
pub struct KeySet {
    first: Key,
    older: Vec<Key>,
}

/// Why keys can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The file holds no key.
    #[error("no key in it: one line of 32 bytes in Base64 is needed")]
    Empty,
    /// A line is not 32 bytes in Base64.
    #[error("line {line} is not a key: 32 bytes in Base64 are needed")]
    Malformed {
        /// Counted from 1.
        line: usize,
    },
}

/// Why something sealed stays shut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("sealed under another key, for another owner or purpose, or altered")]
pub struct SealBroken;

/// What a sealed value is for; part of its associated data, so it opens nowhere else (ASVS 5.0 11.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A TOTP secret in the users table.
    TotpSecret,
    /// A known-device cookie.
    KnownDevice,
}

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Self::TotpSecret => "users/totp-secret",
            Self::KnownDevice => "cookie/known-device",
        }
    }
}

const NONCE_BYTES: usize = 12;

impl Key {
    /// A key of 32 unpredictable bytes.
    #[must_use]
    pub fn new(master: [u8; 32]) -> Self {
        let mut id = [0; 8];
        let digest = Sha256::new().chain_update(b"hallpass key id").chain_update(master).finalize();
        id.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        Self { id: KeyId(id), master: Zeroizing::new(master) }
    }

    /// The key's name.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The secret that goes into every password hash beside the password (NIST SP 800-63B-4 3.1.1.2).
    pub(crate) fn pepper(&self) -> Zeroizing<[u8; 32]> {
        self.derive("pepper")
    }

    #[expect(clippy::expect_used, reason = "HKDF-SHA-256 gives up to 8160 bytes; 32 are asked for")]
    fn derive(&self, use_for: &str) -> Zeroizing<[u8; 32]> {
        let mut derived = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(None, self.master.as_slice())
            .expand_multi_info(&[b"hallpass/v1/", use_for.as_bytes()], derived.as_mut_slice())
            .expect("32 bytes are within HKDF's range");
        derived
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new(&(*self.derive("seal")).into())
    }
}

impl KeySet {
    /// A set whose first key seals. `None` without any key.
    #[must_use]
    pub fn new(keys: Vec<Key>) -> Option<Self> {
        let mut keys = keys.into_iter();
        Some(Self { first: keys.next()?, older: keys.collect() })
    }

    /// Reads a key file's text.
    ///
    /// # Errors
    /// [`KeyError`] names the line; it never quotes it.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
        let keys = lines
            .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
            .map(|(line, text)| key_of(text).ok_or(KeyError::Malformed { line }))
            .collect::<Result<Vec<_>, _>>()?;
        Self::new(keys).ok_or(KeyError::Empty)
    }

    /// The text of a new key file with one fresh key.
    #[must_use]
    pub fn fresh_file(random: &dyn Random) -> Zeroizing<String> {
        let key = Zeroizing::new(BASE64.encode(random::secret::<32>(random).as_slice()));
        Zeroizing::new(format!(
            "# Hallpass keys: one a line, 32 bytes in Base64. The first seals, all open.\n\
             # Lose them and nobody can log in any more; keep a copy apart from the data.\n{}\n",
            *key
        ))
    }

    /// The key that seals.
    #[must_use]
    pub fn first(&self) -> &Key {
        &self.first
    }

    /// Every key, newest first.
    pub fn iter(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.first).chain(&self.older)
    }

    /// Whether the first key sealed this.
    pub(crate) fn is_under_first(&self, sealed: &[u8]) -> bool {
        sealed.starts_with(&self.first.id.0)
    }

    pub(crate) fn by_id(&self, id: &[u8]) -> Option<&Key> {
        self.iter().find(|key| key.id.0 == id)
    }

    /// Seals `plain` for one owner and purpose: key id, nonce, then AES-256-GCM ciphertext and tag.
    ///
    /// Nonces are random; 2³² seals under one key are far off (NIST SP 800-38D section 8.3).
    pub(crate) fn seal(&self, purpose: Purpose, owner: Uuid, plain: &[u8], random: &dyn Random) -> Vec<u8> {
        let nonce: [u8; NONCE_BYTES] = random::bytes(random);
        let payload = Payload { msg: plain, aad: &associated_data(purpose, owner) };
        #[expect(clippy::expect_used, reason = "AES-GCM only refuses texts over 64 GiB")]
        let ciphertext = self.first.cipher().encrypt(&Nonce::from(nonce), payload).expect("a short text can be sealed");
        [self.first.id.0.as_slice(), &nonce, &ciphertext].concat()
    }

    /// Opens what [`KeySet::seal`] sealed for the same owner and purpose.
    pub(crate) fn open(&self, purpose: Purpose, owner: Uuid, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealBroken> {
        let (id, rest) = sealed.split_first_chunk::<8>().ok_or(SealBroken)?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(SealBroken)?;
        let key = self.by_id(id).ok_or(SealBroken)?;
        let payload = Payload { msg: ciphertext, aad: &associated_data(purpose, owner) };
        key.cipher().decrypt(&Nonce::from(*nonce), payload).map(Zeroizing::new).map_err(|_| SealBroken)
    }

    /// A user id that an unknown name always gets and nobody can tell from a real one.
    ///
    /// Guesses at it are counted like guesses at an account, so the limits don't tell which names exist.
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    pub(crate) fn shadow_id(&self, folded_name: &str) -> Uuid {
        // The oldest key: rotating keys must not forget what was counted.
        let oldest = self.older.last().unwrap_or(&self.first);
        let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(oldest.derive("shadow").as_slice())
            .expect("HMAC takes any key");
        mac.update(folded_name.as_bytes());
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(mac.finalize().into_bytes()).for_each(|(to, from)| *to = from);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(Key::id)).finish()
    }
}

fn associated_data(purpose: Purpose, owner: Uuid) -> Vec<u8> {
    [purpose.name().as_bytes(), b"/", owner.as_bytes()].concat()
}

/// Reads one line. Written anew it must be the same: the decoder would also take padding in the middle.
fn key_of(text: &str) -> Option<Key> {
    let bytes = Zeroizing::new(BASE64.decode(text.as_bytes()).ok()?);
    let is_canonical = Zeroizing::new(BASE64.encode(&bytes)).as_str() == text;
    <[u8; 32]>::try_from(bytes.as_slice()).ok().filter(|_| is_canonical).map(Key::new)
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;
    use crate::random::{Counting, OsRandom};

    fn set(bytes: &[u8]) -> KeySet {
        KeySet::new(bytes.iter().map(|byte| Key::new([*byte; 32])).collect()).unwrap()
    }

    const ADA: Uuid = Uuid::from_u128(1);
    const BOB: Uuid = Uuid::from_u128(2);

    #[test]
    fn what_is_sealed_opens_for_the_same_owner_and_purpose_only() {
        let keys = set(&[1]);
        let sealed = keys.seal(Purpose::TotpSecret, ADA, b"twenty secret bytes!", &OsRandom);
        assert_eq!(keys.open(Purpose::TotpSecret, ADA, &sealed).unwrap().as_slice(), b"twenty secret bytes!");
        assert_eq!(keys.open(Purpose::TotpSecret, BOB, &sealed), Err(SealBroken));
        assert_eq!(keys.open(Purpose::KnownDevice, ADA, &sealed), Err(SealBroken));
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
    }

    #[test]
    fn what_the_first_key_sealed_is_known_by_how_it_begins() {
        let mut sealed = set(&[1]).seal(Purpose::TotpSecret, ADA, b"secret", &OsRandom);
        assert!(set(&[1, 2]).is_under_first(&sealed));
        assert!(!set(&[2, 1]).is_under_first(&sealed));
        let id_bytes = set(&[1]).first().id().0.len();
        sealed.rotate_left(id_bytes);
        assert!(!set(&[1, 2]).is_under_first(&sealed));
    }

    #[test]
    fn every_flipped_bit_breaks_the_seal() {
        let keys = set(&[1]);
        let sealed = keys.seal(Purpose::KnownDevice, ADA, b"device", &OsRandom);
        for bit in 0..sealed.len() * 8 {
            let mut altered = sealed.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(keys.open(Purpose::KnownDevice, ADA, &altered), Err(SealBroken), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert_eq!(keys.open(Purpose::KnownDevice, ADA, &sealed[..length]), Err(SealBroken));
        }
    }

    #[test]
    fn a_rotated_set_opens_what_the_old_key_sealed() {
        let sealed = set(&[1]).seal(Purpose::TotpSecret, ADA, b"secret", &OsRandom);
        assert!(set(&[2, 1]).open(Purpose::TotpSecret, ADA, &sealed).is_ok());
        assert_eq!(set(&[2]).open(Purpose::TotpSecret, ADA, &sealed), Err(SealBroken));
    }

    /// The two steps of a rotation over several processes, from the key 1 to the key 2.
    #[test]
    fn a_key_that_is_announced_before_it_seals_opens_everywhere_and_changes_no_shadow() {
        let (before, announced, rotated) = (set(&[1]), set(&[1, 2, 1]), set(&[2, 1]));
        let by_old = announced.seal(Purpose::TotpSecret, ADA, b"secret", &OsRandom);
        let by_new = rotated.seal(Purpose::TotpSecret, ADA, b"secret", &OsRandom);
        assert!(before.open(Purpose::TotpSecret, ADA, &by_old).is_ok(), "the old key still seals");
        assert!(before.open(Purpose::TotpSecret, ADA, &by_new).is_err());
        for keys in [&announced, &rotated] {
            assert!([&by_old, &by_new].iter().all(|sealed| keys.open(Purpose::TotpSecret, ADA, sealed).is_ok()));
            assert_eq!(keys.shadow_id("ada"), before.shadow_id("ada"));
        }
    }

    /// By HKDF, HMAC and AES-GCM of another library. If it were not the same, nobody's password or second step would be
    /// right after an upgrade.
    #[test]
    fn what_a_key_makes_is_the_same_in_every_release() {
        let keys = set(&[7]);
        let pepper = "718c406e20e6415306821a2b592366536d0f4d84b2254466c53f684427cb69b8";
        assert_eq!(HEXLOWER.encode(keys.first().pepper().as_slice()), pepper);
        assert_eq!(keys.shadow_id("mallory").to_string(), "cb4b481a-f5e9-444a-883d-a7d9b0b9a14d");
        for (purpose, sealed) in [
            (
                Purpose::TotpSecret,
                "b44451cd2975a593000102030405060708090a0bd4b9b26da998e2af67128025fb05cac6f871178523d0",
            ),
            (
                Purpose::KnownDevice,
                "b44451cd2975a593000102030405060708090a0bd4b9b26da998569b6b69e57d18ae29adb8344e862abf",
            ),
        ] {
            let sealed = HEXLOWER.decode(sealed.as_bytes()).unwrap();
            assert_eq!(keys.open(purpose, ADA, &sealed).unwrap().as_slice(), b"secret");
        }
    }

    #[test]
    fn a_fresh_file_can_be_read_and_a_wrong_one_names_its_line() {
        assert_eq!(KeySet::parse(&KeySet::fresh_file(&OsRandom)).unwrap().iter().count(), 1);
        assert_eq!(KeySet::parse("# only a comment\n\n").unwrap_err(), KeyError::Empty);
        assert_eq!(KeySet::parse("# one\nc2hvcnQ=\n").unwrap_err(), KeyError::Malformed { line: 2 });
        assert_eq!(KeySet::parse("not base64!").unwrap_err(), KeyError::Malformed { line: 1 });
        // Two pieces with padding each, of 2 and of 30 bytes.
        let pieces = format!("QUI={}", "A".repeat(40));
        assert_eq!(KeySet::parse(&pieces).unwrap_err(), KeyError::Malformed { line: 1 });
    }

    #[test]
    fn all_256_bits_of_a_fresh_key_are_drawn() {
        let drawn = BASE64.encode(&(1..=32).collect::<Vec<u8>>());
        assert_eq!(KeySet::fresh_file(&Counting::default()).lines().last(), Some(drawn.as_str()));
    }

    #[test]
    fn a_shadow_id_is_stable_and_differs_by_name_and_key() {
        assert_eq!(set(&[1]).shadow_id("ada"), set(&[2, 1]).shadow_id("ada"));
        assert_ne!(set(&[1]).shadow_id("ada"), set(&[1]).shadow_id("bob"));
        assert_ne!(set(&[1]).shadow_id("ada"), set(&[2]).shadow_id("ada"));
        assert_eq!(set(&[1]).shadow_id("ada").get_version_num(), 4);
    }
}
