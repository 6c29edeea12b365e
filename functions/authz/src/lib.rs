//! `/api/authz`: answers proxies that ask whether a request may pass. The rule is in `core::guard`; here is how three
//! kinds of proxies ask, and how they are told.
//!
//! The path and query of the guarded request decide nothing. They are read for one thing only: where a person who has
//! to log in first goes afterwards.

mod answer;
mod demand;
mod forwarded;
mod question;

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::any,
};
use hallpass_core::{app::Keyless, http::problem::ProblemDocument, sessions::session::Level};
use utoipa_axum::{router::OpenApiRouter, routes};

use self::{demand::demanded, question::Question};

/// The one thing this crate offers, to the Lambda in main.rs and to the container alike.
///
/// Proxies ask with the method of the guarded request or with `GET`, so every method is taken. There is no limit layer:
/// the guard charges by itself, beside its read of the session.
#[must_use]
pub fn router() -> OpenApiRouter<Keyless> {
    OpenApiRouter::new()
        .routes(routes!(forward_auth))
        .routes(routes!(auth_request))
        .routes(routes!(ext_authz))
        .route("/api/authz/forward-auth", any(forward_auth))
        .route("/api/authz/auth-request", any(auth_request))
        .route("/api/authz/ext-authz", any(ext_authz))
        // Envoy appends the guarded request's path to the one it is given.
        .route("/api/authz/ext-authz/", any(ext_authz_of_a_path))
        .route("/api/authz/ext-authz/{*path}", any(ext_authz_of_a_path))
}

/// May a request pass? (Traefik, Caddy)
///
/// For proxies that pass any refusal on to the client. A person's browser that has to log in first is sent to the login
/// page, and from there back to where it was going if that is on our own origin.
#[utoipa::path(
    get,
    path = "/api/authz/forward-auth",
    tag = "guard",
    security(("session_cookie" = []), ("bearer" = [])),
    params(
        ("level" = inline(Option<Level>), Query, description = "The least level of the session; `aal1` unless set"),
        ("limit" = Option<String>, Query, description = "A limit of the settings, charged besides `authz`: a policy for guarded APIs, or a function's that takes no password or code"),
        ("x-hallpass-require-level" = inline(Option<Level>), Header, description = "The same as `level`; the higher counts"),
        ("x-hallpass-require-limit" = Option<String>, Header, description = "The same as `limit`; both are charged"),
    ),
    responses(
        (status = 200, description = "It may pass", headers(
            ("Remote-User" = String, description = "User name; what is not visible ASCII is percent-encoded, as in the others"),
            ("Remote-Name" = String, description = "The same"),
            ("Remote-Email" = String, description = "E-mail address, not verified; empty if there is none"),
            ("X-Hallpass-User-Id" = String, description = "The user's id, which never changes"),
            ("X-Hallpass-Level" = String, description = "`aal1` or `aal2`"),
            ("X-Hallpass-Methods" = String, description = "What proved the user, such as `pwd otp`"),
        )),
        (status = 302, description = "To the login page, for a browser that has no session"),
        (status = 401, description = "`session-required`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "`second-factor-required`, or `cross-origin`", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn forward_auth(question: Question) -> Response {
    let reply = question.ask(demanded(question.query.as_deref(), &question.headers)).await;
    match reply.must_log_in() && forwarded::is_navigation(&question.headers) {
        true => reply.redirect(&forwarded::login_page(&question)),
        false => reply.into_response(),
    }
}

/// May a request pass? (nginx)
///
/// As `forward-auth`, for a proxy that knows 401 and 403 only: over a limit it answers 403 with `X-Hallpass-Reason:
/// rate-limited` and `Retry-After`, of which the sample configuration makes a 429.
#[utoipa::path(
    get,
    path = "/api/authz/auth-request",
    tag = "guard",
    security(("session_cookie" = []), ("bearer" = [])),
    params(
        ("level" = inline(Option<Level>), Query, description = "The least level of the session; `aal1` unless set"),
        ("limit" = Option<String>, Query, description = "A limit of the settings, charged besides `authz`: a policy for guarded APIs, or a function's that takes no password or code"),
        ("x-hallpass-require-level" = inline(Option<Level>), Header, description = "The same as `level`; the higher counts"),
        ("x-hallpass-require-limit" = Option<String>, Header, description = "The same as `limit`; both are charged"),
    ),
    responses(
        (status = 200, description = "It may pass; headers as `forward-auth`"),
        (status = 401, description = "`session-required`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "`second-factor-required`, `cross-origin` or `rate-limited`; `X-Hallpass-Reason` tells which", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn auth_request(question: Question) -> Response {
    let reply = question.ask(demanded(question.query.as_deref(), &question.headers)).await;
    // nginx makes a 500 of what it doesn't know.
    reply.told_as(StatusCode::TOO_MANY_REQUESTS, StatusCode::FORBIDDEN).into_response()
}

/// May a request pass? (Envoy)
///
/// As `forward-auth`, for a proxy that appends the path and query of the guarded request to this one's: behind a slash
/// all is the client's and passed over, and what is demanded comes in headers alone. No redirects.
#[utoipa::path(
    get,
    path = "/api/authz/ext-authz",
    tag = "guard",
    security(("session_cookie" = []), ("bearer" = [])),
    params(
        ("level" = inline(Option<Level>), Query, description = "The least level of the session; `aal1` unless set; only where no path follows"),
        ("limit" = Option<String>, Query, description = "A limit of the settings, charged besides `authz`; only where no path follows"),
        ("x-hallpass-require-level" = inline(Option<Level>), Header, description = "The same as `level`; the higher counts"),
        ("x-hallpass-require-limit" = Option<String>, Header, description = "The same as `limit`; both are charged"),
    ),
    responses(
        (status = 200, description = "It may pass; headers as `forward-auth`"),
        (status = 401, description = "`session-required`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "`second-factor-required`, or `cross-origin`", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn ext_authz(question: Question) -> Response {
    question.ask(demanded(question.query.as_deref(), &question.headers)).await.into_response()
}

async fn ext_authz_of_a_path(question: Question) -> Response {
    // The query is the guarded request's, and so the client's.
    question.ask(demanded(None, &question.headers)).await.into_response()
}
