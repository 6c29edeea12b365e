//! Tokens as they are given out, and ids as they are stored: a token turns into an id, never back.

use std::{fmt, marker::PhantomData};

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest, Sha256};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{
    accounts::user::UserId,
    random::{self, Random},
};

/// Marks tokens and ids of sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ForSession {}
/// Marks tokens and ids of pending logins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ForLogin {}

/// A bearer secret: base64url(user id ‖ 32 random bytes). Opens one thing of one user; wiped when dropped.
///
/// The user id leads to the partition; the secret is looked up by its digest, so no comparison leaks timing
/// (attack 5.37).
pub struct Token<Kind> {
    user: UserId,
    secret: Zeroizing<[u8; SECRET_BYTES]>,
    kind: PhantomData<Kind>,
}

/// The SHA-256 digest of a token's secret: what is stored, and what may be shown.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Id<Kind> {
    digest: [u8; SECRET_BYTES],
    kind: PhantomData<Kind>,
}

/// Opens a session.
pub type SessionToken = Token<ForSession>;
/// Opens a pending login, and nothing else.
pub type LoginToken = Token<ForLogin>;
/// A session's public id.
pub type SessionId = Id<ForSession>;
/// A pending login's id.
pub type LoginId = Id<ForLogin>;

/// 256 bits (ASVS 5.0 7.2.3 asks for 128).
const SECRET_BYTES: usize = 32;
const USER_ID_BYTES: usize = 16;

impl<Kind> Token<Kind> {
    /// A new token for `user`.
    pub(crate) fn generate(user: UserId, random: &dyn Random) -> Self {
        Self { user, secret: random::secret(random), kind: PhantomData }
    }

    /// Reads a token; `None` for anything that was never one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(BASE64URL_NOPAD.decode(text.as_bytes()).ok()?);
        let (user, secret) = bytes.split_first_chunk::<USER_ID_BYTES>()?;
        let secret = <[u8; SECRET_BYTES]>::try_from(secret).ok()?;
        Some(Self { user: UserId(Uuid::from_bytes(*user)), secret: Zeroizing::new(secret), kind: PhantomData })
    }

    /// Whose it claims to be; proven only by finding its digest in that user's partition.
    #[must_use]
    pub fn user(&self) -> UserId {
        self.user
    }

    /// The id under which it is stored.
    #[must_use]
    pub fn id(&self) -> Id<Kind> {
        Id { digest: Sha256::digest(self.secret.as_slice()).into(), kind: PhantomData }
    }

    /// The text to hand out, once.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        let bytes = Zeroizing::new([self.user.0.as_bytes().as_slice(), self.secret.as_slice()].concat());
        Zeroizing::new(BASE64URL_NOPAD.encode(&bytes))
    }
}

impl<Kind> fmt::Debug for Token<Kind> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

impl<Kind> Id<Kind> {
    /// Reads an id; `None` for anything that was never one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digest = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?.try_into().ok()?;
        Some(Self { digest, kind: PhantomData })
    }
}

impl<Kind> fmt::Display for Id<Kind> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        BASE64URL_NOPAD.encode_display(&self.digest).fmt(f)
    }
}

impl<Kind> fmt::Debug for Id<Kind> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;
    use crate::random::{Counting, OsRandom};

    const ADA: UserId = UserId(Uuid::from_u128(7));

    #[test]
    fn a_token_is_read_back_with_the_same_user_and_id() {
        let token = SessionToken::generate(ADA, &OsRandom);
        let read = SessionToken::parse(&token.reveal()).unwrap();
        assert_eq!((read.user(), read.id()), (ADA, token.id()));
        assert_eq!(token.reveal().len(), 64);
    }

    #[test]
    fn an_id_shows_nothing_of_the_token() {
        let token = SessionToken::generate(ADA, &OsRandom);
        assert!(SessionToken::parse(&token.id().to_string()).is_none());
        assert_eq!(format!("{token:?}"), "Token(hidden)");
    }

    /// As `sha256sum` tells it.
    #[test]
    fn an_id_is_the_sha_256_digest_of_the_32_bytes_of_a_secret() {
        let secret: Vec<u8> = (0..32).collect();
        let text = BASE64URL_NOPAD.encode(&[ADA.0.as_bytes().as_slice(), &secret].concat());
        let digest = "630dcd2966c4336691125448bbb25b4ff412a49c732db2c8abc1b8581bd710dd";
        assert_eq!(HEXLOWER.encode(&SessionToken::parse(&text).unwrap().id().digest), digest);
        assert_eq!(HEXLOWER.encode(&LoginToken::parse(&text).unwrap().id().digest), digest);
    }

    #[test]
    fn what_was_never_a_token_is_none() {
        let token = SessionToken::generate(ADA, &OsRandom).reveal();
        for text in [
            "",
            "epoch",
            "AAAA",
            &token[1..],
            &format!("{}=", *token),
            &format!(" {}", *token),
            &token.replace(|c: char| c.is_ascii_lowercase(), "+"),
        ] {
            assert!(SessionToken::parse(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn all_256_bits_of_a_token_are_drawn_and_handed_out() {
        let random = Counting::default();
        let [first, second] = [(), ()].map(|()| SessionToken::generate(ADA, &random).reveal());
        let secrets = [first, second].map(|text| BASE64URL_NOPAD.decode(text.as_bytes()).unwrap().split_off(16));
        assert_eq!(secrets.concat(), (1..=64).collect::<Vec<u8>>());
    }

    #[test]
    fn no_two_tokens_are_alike() {
        let ids: std::collections::HashSet<_> =
            (0..10_000).map(|_| SessionToken::generate(ADA, &OsRandom).id()).collect();
        assert_eq!(ids.len(), 10_000);
    }
}
