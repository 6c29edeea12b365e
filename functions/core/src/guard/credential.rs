//! What a request offers to prove whose it is.

use axum::http::HeaderMap;

use crate::{http::authenticated::session_token, sessions::token::SessionToken};

/// The session cookie or a bearer token, as they were sent; nothing is looked up yet.
#[derive(Debug)]
pub enum Credential {
    /// Neither, or something that was never a token of ours.
    Missing,
    /// Both, or one of them in a way that two readers could read differently.
    Ambiguous,
    /// One token.
    Token(SessionToken),
}

impl Credential {
    /// Reads `Cookie` and `Authorization`; every other header is passed over.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        match session_token(headers) {
            Ok(Some((token, _))) => Self::Token(token),
            Ok(None) => Self::Missing,
            Err(_) => Self::Ambiguous,
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};
    use uuid::Uuid;

    use super::*;
    use crate::{accounts::user::UserId, random::OsRandom};

    fn of(headers: &[(&'static str, String)]) -> Credential {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        Credential::of(&map)
    }

    #[test]
    fn one_cookie_or_one_bearer_token_is_a_credential_and_both_are_none() {
        let token = SessionToken::generate(UserId(Uuid::from_u128(7)), &OsRandom);
        let text = token.reveal();
        let cookie = ("cookie", format!("a=b; __Host-session={}", *text));
        let bearer = ("authorization", format!("Bearer {}", *text));
        for one in [&cookie, &bearer] {
            let Credential::Token(read) = of(std::slice::from_ref(one)) else { panic!("{one:?}") };
            assert_eq!(read.id(), token.id());
        }
        assert!(matches!(of(&[cookie, bearer.clone()]), Credential::Ambiguous));
        assert!(matches!(of(&[bearer.clone(), bearer]), Credential::Ambiguous));
    }

    #[test]
    fn other_schemes_other_cookies_and_nonsense_are_no_credential() {
        let token = SessionToken::generate(UserId(Uuid::from_u128(7)), &OsRandom).reveal();
        for (name, value) in [
            ("authorization", format!("Basic {}", *token)),
            ("authorization", token.to_string()),
            ("authorization", "Bearer nonsense".to_owned()),
            ("cookie", format!("session={0}; __Host-login={0}", *token)),
            ("cookie", "__Host-session=nonsense".to_owned()),
            ("x-session-token", token.to_string()),
        ] {
            assert!(matches!(of(&[(name, value.clone())]), Credential::Missing), "{name}: {value}");
        }
        assert!(matches!(of(&[]), Credential::Missing));
    }
}
