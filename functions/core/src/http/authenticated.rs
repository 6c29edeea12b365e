//! The session behind a request.

use axum::{
    extract::{FromRef, FromRequestParts},
    http::{HeaderMap, header, request::Parts},
};

use super::{cookies::Cookie, problem::Problem, reply::Delivery};
use crate::{
    app::Keyless,
    events,
    pages::Filled,
    sessions::{session::Session, token::SessionToken},
};

/// Proof that the request came with a live session, and how it came.
#[derive(Debug)]
pub struct Authenticated {
    /// The session.
    pub session: Session,
    /// How its token came, and so how a new one goes back.
    pub delivery: Delivery,
}

/// The live session that the request came with, if any.
#[derive(Debug)]
pub struct Perhaps(pub Option<Session>);

/// Proof that the request came with one token at most, whether it lives or not.
#[derive(Debug)]
pub struct Unambiguous;

/// More than one `Authorization`, or one that is no header text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ambiguous;

/// The bearer token in `Authorization`, if that is what it holds; the scheme's case doesn't matter (RFC 9110 11.1).
///
/// # Errors
/// [`Ambiguous`] for more than one header.
pub fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Ambiguous> {
    let mut values = headers.get_all(header::AUTHORIZATION).into_iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Ambiguous);
    }
    let text = value.to_str().map_err(|_| Ambiguous)?;
    let token = text.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    Ok(token.map(|(_, token)| token.trim()))
}

/// The bearer token, where no session cookie stands beside it.
fn only_bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    match bearer(headers) {
        Ok(Some(_)) if Cookie::Session.is_sent(headers) => Err(Problem::ambiguous_credentials()),
        Ok(bearer) => Ok(bearer),
        Err(Ambiguous) => Err(Problem::ambiguous_credentials()),
    }
}

/// The one token that a request came with.
///
/// # Errors
/// 400 for a cookie and a bearer token together.
pub fn session_token(headers: &HeaderMap) -> Result<Option<(SessionToken, Delivery)>, Problem> {
    match (Cookie::Session.read(headers), only_bearer(headers)?) {
        (Some(cookie), None) => Ok(parsed(cookie).map(|token| (token, Delivery::Cookie))),
        (_, Some(bearer)) => Ok(parsed(bearer).map(|token| (token, Delivery::Token))),
        (None, None) => {
            if Cookie::Session.is_sent(headers) {
                events::token_malformed();
            }
            Ok(None)
        }
    }
}

fn parsed(text: &str) -> Option<SessionToken> {
    let token = SessionToken::parse(text);
    if token.is_none() {
        events::token_malformed();
    }
    token
}

/// The live session behind the request, and how its token came.
async fn live_session(parts: &Parts, keyless: &Keyless) -> Result<Option<(Session, Delivery)>, Problem> {
    let Some((token, delivery)) = session_token(&parts.headers)? else {
        return Ok(None);
    };
    Ok(keyless.keeper.find(&token, keyless.clock.now()).await?.map(|session| (session, delivery)))
}

impl<S: Sync> FromRequestParts<S> for Unambiguous {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        only_bearer(&parts.headers).map(|_| Self)
    }
}

impl<S> FromRequestParts<S> for Perhaps
where
    S: Send + Sync,
    Keyless: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let found = live_session(parts, &Keyless::from_ref(state)).await?;
        Ok(Self(found.map(|(session, _)| session)))
    }
}

impl<S> FromRequestParts<S> for Authenticated
where
    S: Send + Sync,
    Keyless: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let found = live_session(parts, &Keyless::from_ref(state)).await?;
        let (session, delivery) = found.ok_or_else(Problem::session_required)?;
        if let Some(filled) = parts.extensions.get::<Filled>() {
            filled.note_session(&session);
        }
        Ok(Self { session, delivery })
    }
}
