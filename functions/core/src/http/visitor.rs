//! What a request without a session brings along: its client, and the cookies it already has.

use axum::{extract::FromRequestParts, http::request::Parts};

use super::{authenticated::Unambiguous, client::Client, cookies::Cookie, problem::Problem};
use crate::sessions::token::SessionToken;

/// Somebody at the door.
#[derive(Debug)]
pub struct Visitor {
    /// What a session will remember.
    pub client: Client,
    /// The known-device cookie, unchecked.
    pub device: Option<String>,
    /// The session cookie, unchecked: the session that a new one takes the place of.
    pub replaced: Option<SessionToken>,
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Unambiguous::from_request_parts(parts, state).await?;
        Ok(Self {
            client: Client::from_request_parts(parts, state).await?,
            device: Cookie::Device.read(&parts.headers).map(str::to_owned),
            replaced: Cookie::Session.read(&parts.headers).and_then(SessionToken::parse),
        })
    }
}
