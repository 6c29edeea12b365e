//! `GET /session`: who the session belongs to. The hot path: one round trip to the store.

use axum::response::Response;
use hallpass_core::{
    accounts::user::Profile,
    app::Keyless,
    config::Function,
    http::{authenticated::Authenticated, problem::ProblemDocument, reply::json},
    rate_limit::admission::limited_reads,
    sessions::session::SessionView,
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The one thing this crate offers, to the Lambda in main.rs and to the container alike.
#[must_use]
pub fn router() -> OpenApiRouter<Keyless> {
    limited_reads(OpenApiRouter::new().routes(routes!(session)), Function::Session)
}

/// A session and its user.
#[derive(Debug, Serialize, ToSchema)]
struct CurrentSession {
    user: Profile,
    session: SessionView,
}

/// Shows the session.
///
/// Who is logged in, since when, how, and until when.
#[utoipa::path(
    get,
    path = "/session",
    tag = "session",
    security(("session_cookie" = []), ("bearer" = [])),
    responses(
        (status = 200, description = "The session lives", body = CurrentSession),
        (status = 401, description = "`session-required`", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn session(Authenticated { session, .. }: Authenticated) -> Response {
    let (user, session) = session.into_view(true);
    json(&CurrentSession { user, session })
}
