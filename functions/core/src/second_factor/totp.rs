//! Time-based one-time passwords (RFC 6238): SHA-1, 6 digits, 30 seconds, 160-bit secrets.
//!
//! The library doesn't stop replays; the caller accepts a time step at most once, by a conditional write.

use std::fmt;

use jiff::Timestamp;
use totp_rs::{Builder, Totp};
use zeroize::Zeroizing;

use crate::random::{self, Random};

/// A shared secret; wiped when dropped.
pub struct TotpSecret(Zeroizing<[u8; Self::BYTES]>);

/// A code as a person types it: exactly six ASCII digits, spaces aside.
#[derive(Clone, PartialEq, Eq)]
pub struct TotpCode(Zeroizing<String>);

/// A number of 30-second steps since 1970; what is burnt when a code is accepted, however the code was spelt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeStep(pub u64);

const DIGITS: usize = 6;

impl TotpSecret {
    /// 160 bits, as RFC 4226 section 4 (R6) recommends.
    pub const BYTES: usize = 20;

    pub(crate) fn generate(random: &dyn Random) -> Self {
        Self(random::secret(random))
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| Self(Zeroizing::new(bytes)))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// The secret as authenticator apps take it by hand.
    #[must_use]
    pub fn to_base32(&self) -> Zeroizing<String> {
        Zeroizing::new(data_encoding::BASE32_NOPAD.encode(self.0.as_slice()))
    }

    /// The `otpauth://` URL that the QR code holds.
    #[must_use]
    pub(crate) fn otpauth_url(&self, issuer: &str, account: &str) -> Option<Zeroizing<String>> {
        let totp = self.builder(0).with_account_name(account).with_issuer(Some(issuer)).build().ok()?;
        totp.to_url().ok().map(Zeroizing::new)
    }

    /// The time step that `code` belongs to, if it lies within the drift.
    #[must_use]
    pub(crate) fn step_of(&self, code: &TotpCode, drift_steps: u32, now: Timestamp) -> Option<TimeStep> {
        let seconds = u64::try_from(now.as_second()).ok()?;
        let drift = u16::try_from(drift_steps).ok()?;
        self.builder(drift).build().ok().and_then(|totp: Totp| totp.check(&code.0, seconds)).map(TimeStep)
    }

    fn builder(&self, drift_steps: u16) -> Builder {
        Builder::new().with_secret(self.0.to_vec()).with_skew(drift_steps)
    }
}

impl fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpSecret(hidden)")
    }
}

impl TotpCode {
    /// Reads a code; spaces are dropped once, here, before anything is compared (OpenBao CVE-2025-55000).
    #[must_use]
    pub fn parse(typed: &str) -> Option<Self> {
        let digits = Zeroizing::new(typed.chars().filter(|c| *c != ' ').collect::<String>());
        (digits.len() == DIGITS && digits.bytes().all(|b| b.is_ascii_digit())).then_some(Self(digits))
    }
}

impl fmt::Debug for TotpCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpCode(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use totp_rs::Algorithm;

    use super::*;
    use crate::random::Counting;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn secret() -> TotpSecret {
        TotpSecret::from_bytes(b"12345678901234567890").unwrap()
    }

    fn code(text: &str) -> TotpCode {
        TotpCode::parse(text).unwrap()
    }

    #[test]
    fn all_160_bits_of_a_secret_are_drawn_and_handed_out() {
        let secret = TotpSecret::generate(&Counting::default());
        let bytes = data_encoding::BASE32_NOPAD.decode(secret.to_base32().as_bytes()).unwrap();
        assert_eq!(bytes, (1..=20).collect::<Vec<u8>>());
    }

    /// RFC 6238 appendix B, SHA-1, cut to our six digits, through the function every code goes through.
    #[test]
    fn rfc_6238_sha1_vectors_pass_through_our_own_check() {
        for (seconds, digits) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(
                secret().step_of(&code(digits), 0, at(seconds)),
                Some(TimeStep(u64::try_from(seconds).unwrap() / 30))
            );
        }
    }

    /// RFC 6238 appendix B in full, on the library: eight digits, all three hashes.
    #[test]
    fn rfc_6238_vectors_pass_for_all_three_hashes() {
        let seed = |bytes: usize| b"1234567890".iter().copied().cycle().take(bytes).collect::<Vec<u8>>();
        let cases = [
            (Algorithm::SHA1, 20, ["94287082", "07081804", "14050471", "89005924", "69279037", "65353130"]),
            (Algorithm::SHA256, 32, ["46119246", "68084774", "67062674", "91819424", "90698825", "77737706"]),
            (Algorithm::SHA512, 64, ["90693936", "25091201", "99943326", "93441116", "38618901", "47863826"]),
        ];
        for (algorithm, bytes, expected) in cases {
            let totp =
                Builder::new().with_algorithm(algorithm).with_digits(8).with_secret(seed(bytes)).build().unwrap();
            for (seconds, code) in [59, 1_111_111_109, 1_111_111_111, 1_234_567_890, 2_000_000_000, 20_000_000_000]
                .into_iter()
                .zip(expected)
            {
                assert_eq!(totp.check(code, seconds), Some(seconds / 30), "{algorithm:?} at {seconds}");
            }
        }
    }

    /// RFC 4226 appendix D: HOTP counters are our time steps.
    #[test]
    fn rfc_4226_vectors_pass_through_our_own_check() {
        let codes =
            ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"];
        for (counter, digits) in codes.into_iter().enumerate() {
            let step = u64::try_from(counter).unwrap();
            assert_eq!(secret().step_of(&code(digits), 0, at(i64::try_from(step * 30).unwrap())), Some(TimeStep(step)));
        }
    }

    #[test]
    fn drift_is_accepted_each_way_as_far_as_it_is_set() {
        let digits = code("359152");
        for (seconds, drift, expected) in [
            (60, 0, true),
            (89, 0, true),
            (90, 0, false),
            (59, 0, false),
            (119, 1, true),
            (120, 1, false),
            (30, 1, true),
            (29, 1, false),
            (149, 2, true),
            (150, 2, false),
        ] {
            assert_eq!(
                secret().step_of(&digits, drift, at(seconds)),
                expected.then_some(TimeStep(2)),
                "{seconds} s, drift {drift}"
            );
        }
    }

    #[test]
    fn only_six_ascii_digits_are_a_code() {
        for typed in ["123456", " 123456 ", "123 456"] {
            assert_eq!(TotpCode::parse(typed), TotpCode::parse("123456"), "{typed:?}");
        }
        for typed in
            ["", "12345", "1234567", "１２３４５６", "١٢٣٤٥٦", "12345a", "+12345", "123\t456", "123-456", "123456\0"]
        {
            assert!(TotpCode::parse(typed).is_none(), "{typed:?}");
        }
    }

    #[test]
    fn the_otpauth_url_names_issuer_and_account_and_escapes_them() {
        let url = secret().otpauth_url("University App", "ada+x@example.org").unwrap();
        assert!(
            url.starts_with(
                "otpauth://totp/University%20App:ada%2Bx%40example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
            ),
            "{}",
            *url
        );
        assert!(url.contains("issuer=University%20App"), "{}", *url);
    }
}
