//! Recovery codes: look-up secrets (NIST SP 800-63B-4 3.1.2) for when the authenticator is lost.

use std::fmt;

use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::random::{self, Random};

/// A recovery code of 120 bits: strong enough to be stored as a plain digest (ASVS 5.0 6.5.2 asks for 112).
#[derive(Clone)]
pub struct RecoveryCode(Zeroizing<[u8; Self::BYTES]>);

impl RecoveryCode {
    /// How many a user gets at a time.
    pub const SET: usize = 10;
    const BYTES: usize = 15;
    const GROUP_CHARS: usize = 4;

    pub(crate) fn generate_set(random: &dyn Random) -> Vec<Self> {
        (0..Self::SET).map(|_| Self(random::secret(random))).collect()
    }

    /// Reads a code as a person types it: case, spaces and dashes don't matter.
    #[must_use]
    pub fn parse(typed: &str) -> Option<Self> {
        let plain = Zeroizing::new(
            typed.chars().filter(|c| !matches!(c, ' ' | '-')).map(|c| c.to_ascii_uppercase()).collect::<String>(),
        );
        let bytes = Zeroizing::new(BASE32_NOPAD.decode(plain.as_bytes()).ok()?);
        bytes.as_slice().try_into().ok().map(|bytes| Self(Zeroizing::new(bytes)))
    }

    /// What is stored.
    #[must_use]
    pub(crate) fn digest(&self) -> Vec<u8> {
        Sha256::digest(self.0.as_slice()).to_vec()
    }

    /// The text to hand out, once: six groups of four.
    #[must_use]
    pub fn reveal(&self) -> String {
        let text = Zeroizing::new(BASE32_NOPAD.encode(self.0.as_slice()).to_ascii_lowercase());
        let groups: Vec<&str> = (0..text.len())
            .step_by(Self::GROUP_CHARS)
            .filter_map(|at| text.get(at..at.saturating_add(Self::GROUP_CHARS)))
            .collect();
        groups.join("-")
    }
}

impl fmt::Debug for RecoveryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryCode(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Counting, OsRandom};

    #[test]
    fn a_code_is_read_back_however_it_is_typed() {
        let [code, ..] = &RecoveryCode::generate_set(&OsRandom)[..] else { panic!() };
        let text = code.reveal();
        assert_eq!((text.len(), text.matches('-').count()), (29, 5));
        for typed in [text.clone(), text.to_uppercase(), text.replace('-', ""), format!(" {} ", text.replace('-', " "))]
        {
            assert_eq!(RecoveryCode::parse(&typed).unwrap().digest(), code.digest(), "{typed}");
        }
    }

    #[test]
    fn all_120_bits_of_every_code_are_drawn_and_handed_out() {
        let codes = RecoveryCode::generate_set(&Counting::default());
        let texts: String = codes.iter().map(RecoveryCode::reveal).collect();
        let bytes = BASE32_NOPAD.decode(texts.replace('-', "").to_uppercase().as_bytes()).unwrap();
        assert_eq!(bytes, (1..=150).collect::<Vec<u8>>());
    }

    #[test]
    fn a_set_is_ten_different_codes() {
        let digests: std::collections::HashSet<_> =
            RecoveryCode::generate_set(&OsRandom).iter().map(RecoveryCode::digest).collect();
        assert_eq!(digests.len(), 10);
    }

    #[test]
    fn what_was_never_a_code_is_none() {
        for typed in ["", "123456", "aaaa-bbbb", "0000-0000-0000-0000-0000-0000", "ａaaa-aaaa-aaaa-aaaa-aaaa-aaaa"] {
            assert!(RecoveryCode::parse(typed).is_none(), "{typed:?}");
        }
    }
}
