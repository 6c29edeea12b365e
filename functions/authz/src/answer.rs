//! How a proxy is told: identity headers, or a problem and its name in a header.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use hallpass_core::{
    guard::{Identity, Verdict},
    http::problem::Problem,
    rate_limit::{headers::stamp, limiter::Charged},
};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

const REMOTE_USER: HeaderName = HeaderName::from_static("remote-user");
const REMOTE_NAME: HeaderName = HeaderName::from_static("remote-name");
const REMOTE_EMAIL: HeaderName = HeaderName::from_static("remote-email");
const USER_ID: HeaderName = HeaderName::from_static("x-hallpass-user-id");
const LEVEL: HeaderName = HeaderName::from_static("x-hallpass-level");
const METHODS: HeaderName = HeaderName::from_static("x-hallpass-methods");
const REASON: HeaderName = HeaderName::from_static("x-hallpass-reason");

/// Header values are read as ASCII, Latin-1 or UTF-8 by whoever gets them, so they are visible ASCII: the rest is
/// percent-encoded, and the percent sign too, so that no two names are written alike.
const NOT_VISIBLE: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// What is answered, however the proxy wants to hear it.
#[derive(Debug)]
pub(crate) struct Reply {
    outcome: Result<Identity, Problem>,
    charges: Vec<Charged>,
}

impl Reply {
    /// A refusal without a verdict of the guard.
    pub(crate) fn refused(problem: Problem) -> Self {
        Self { outcome: Err(problem), charges: Vec::new() }
    }

    /// Whether a session would help.
    pub(crate) fn must_log_in(&self) -> bool {
        self.outcome.as_ref().is_err_and(|problem| problem.status() == StatusCode::UNAUTHORIZED)
    }

    /// The same, where a refusal of one status is told as one of another.
    pub(crate) fn told_as(self, status: StatusCode, told: StatusCode) -> Self {
        let outcome = self.outcome.map_err(|problem| match problem.status() == status {
            true => problem.told_as(told),
            false => problem,
        });
        Self { outcome, ..self }
    }

    /// `302 Found` instead: proxies pass it on to the browser.
    pub(crate) fn redirect(self, location: &str) -> Response {
        let Ok(location) = HeaderValue::from_str(location) else {
            return self.into_response();
        };
        let mut response = StatusCode::FOUND.into_response();
        response.headers_mut().insert(header::LOCATION, location);
        if let Err(problem) = &self.outcome {
            response.headers_mut().insert(REASON, HeaderValue::from_static(problem.kind().slug()));
        }
        stamp(response.headers_mut(), &self.charges);
        response
    }
}

impl From<Verdict> for Reply {
    fn from(Verdict { outcome, charges }: Verdict) -> Self {
        Self { outcome: outcome.map_err(Problem::from), charges }
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = match self.outcome {
            Ok(identity) => passed(&identity),
            Err(problem) => refusal(problem),
        };
        stamp(response.headers_mut(), &self.charges);
        response
    }
}

fn passed(identity: &Identity) -> Response {
    let mut response = StatusCode::OK.into_response();
    add_identity(response.headers_mut(), identity);
    response
}

fn refusal(problem: Problem) -> Response {
    let reason = HeaderValue::from_static(problem.kind().slug());
    let mut response = problem.into_response();
    response.headers_mut().insert(REASON, reason);
    response
}

/// Every header is there, if need be empty: a proxy that copies what it gets then overwrites what a client sent.
fn add_identity(headers: &mut HeaderMap, identity: &Identity) {
    for (name, value) in [
        (REMOTE_USER, identity.username.as_str()),
        (REMOTE_NAME, &identity.username),
        (REMOTE_EMAIL, identity.email.as_deref().unwrap_or_default()),
        (USER_ID, &identity.user.to_string()),
        (LEVEL, identity.level.as_str()),
        (METHODS, &identity.method_names()),
    ] {
        let value = utf8_percent_encode(value, NOT_VISIBLE).to_string();
        // Nothing but visible ASCII is left.
        headers.insert(name, HeaderValue::from_str(&value).unwrap_or(HeaderValue::from_static("")));
    }
}
