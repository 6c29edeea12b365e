//! One question of a proxy.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, Method, request::Parts},
};
use hallpass_core::{
    app::Keyless,
    events,
    guard::{Credential, Demand, Unreadable},
    http::{
        client::{ClientAddress, Peer},
        problem::Problem,
    },
};

use crate::{answer::Reply, forwarded};

/// What a proxy sends, with the headers of the guarded request among its own.
pub(crate) struct Question {
    pub(crate) keyless: Keyless,
    /// The guarded request's client, as far as its proxy is trusted to tell.
    pub(crate) client: ClientAddress,
    /// The proxy.
    pub(crate) peer: Peer,
    pub(crate) method: Method,
    pub(crate) query: Option<String>,
    pub(crate) headers: HeaderMap,
}

impl FromRequestParts<Keyless> for Question {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, keyless: &Keyless) -> Result<Self, Problem> {
        Ok(Self {
            keyless: keyless.clone(),
            client: ClientAddress::from_request_parts(parts, keyless).await?,
            peer: parts.extensions.get().copied().unwrap_or(Peer(None)),
            method: parts.method.clone(),
            query: parts.uri.query().map(str::to_owned),
            headers: std::mem::take(&mut parts.headers),
        })
    }
}

impl Question {
    /// The guard's verdict, if no other site is behind the guarded request.
    pub(crate) async fn ask(&self, demand: Result<Demand, Unreadable>) -> Reply {
        if forwarded::is_cross_origin(self) {
            events::cross_origin_refused();
            return Reply::refused(Problem::cross_origin());
        }
        let (keyless, credential) = (&self.keyless, Credential::of(&self.headers));
        keyless.guard.ask(&credential, self.client, demand, keyless.clock.now()).await.into()
    }
}
