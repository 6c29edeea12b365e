//! `/sessions`: lists and ends a user's sessions.

use axum::{
    extract::{FromRef, Path, State, rejection::PathRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use hallpass_core::{
    app::Keyless,
    clock::SharedClock,
    config::Function,
    events,
    http::{
        authenticated::Authenticated,
        body::{Nothing, Submitted},
        problem::{Problem, ProblemDocument},
        reply::{json, with_cookies_cleared},
    },
    pages::notice::Notice,
    rate_limit::admission::limited,
    sessions::{
        keeper::{Ended, Keeper},
        session::{Session, SessionView},
        token::SessionId,
    },
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The one thing this crate offers, to the Lambda in main.rs and to the container alike.
#[must_use]
pub fn router() -> OpenApiRouter<Keyless> {
    let routes = OpenApiRouter::new()
        .routes(routes!(list, end_others))
        .routes(routes!(end_others_by_form))
        .routes(routes!(end))
        .routes(routes!(end_by_form));
    limited(routes, Function::Sessions)
}

/// What these endpoints can reach.
#[derive(Clone)]
struct Powers {
    keeper: Keeper,
    clock: SharedClock,
}

impl FromRef<Keyless> for Powers {
    fn from_ref(keyless: &Keyless) -> Self {
        Self { keeper: keyless.keeper.clone(), clock: keyless.clock.clone() }
    }
}

/// A user's sessions.
#[derive(Debug, Serialize, ToSchema)]
struct SessionList {
    /// Newest first.
    sessions: Vec<SessionView>,
}

/// How many sessions were ended.
#[derive(Debug, Serialize, ToSchema)]
struct Revoked {
    revoked: usize,
}

/// Lists the user's sessions.
///
/// Newest first; the one that this request came with is marked.
#[utoipa::path(
    get,
    path = "/sessions",
    tag = "session",
    security(("session_cookie" = []), ("bearer" = [])),
    responses(
        (status = 200, description = "The sessions that live", body = SessionList),
        (status = 401, description = "`session-required`", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn list(
    State(powers): State<Powers>,
    Authenticated { session: current, .. }: Authenticated,
) -> Result<Response, Problem> {
    let live = powers.keeper.list(current.user.id, powers.clock.now()).await?;
    let view = |session: Session| {
        let is_current = session.id == current.id;
        session.into_view(is_current).1
    };
    Ok(json(&SessionList { sessions: live.into_iter().map(view).collect() }))
}

/// Ends every other session.
///
/// The one that this request came with goes on; logins that wait for their second step end too.
#[utoipa::path(
    delete,
    path = "/sessions",
    tag = "session",
    security(("session_cookie" = []), ("bearer" = [])),
    responses(
        (status = 200, description = "How many were ended", body = Revoked),
        (status = 401, description = "`session-required`", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn end_others(
    State(powers): State<Powers>,
    Authenticated { session, .. }: Authenticated,
    Submitted(Nothing {}, _): Submitted<Nothing>,
) -> Result<Response, Problem> {
    revoke_others(&powers, &session).await
}

/// Ends every other session, for a form.
#[utoipa::path(
    post,
    path = "/sessions/revoke-others",
    tag = "session",
    security(("session_cookie" = []), ("bearer" = [])),
    request_body(content((Option<Nothing> = "application/json"), (Option<Nothing> = "application/x-www-form-urlencoded"))),
    responses(
        (status = 200, description = "How many were ended", body = Revoked),
        (status = 303, description = "The same, for a form"),
        (status = 401, description = "`session-required`", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn end_others_by_form(
    State(powers): State<Powers>,
    Authenticated { session, .. }: Authenticated,
    Submitted(Nothing {}, style): Submitted<Nothing>,
) -> Result<Response, Problem> {
    Ok(style.answer_with_notice(revoke_others(&powers, &session).await?, PAGE, Notice::SessionsEnded))
}

/// Ends one of the user's sessions.
///
/// Also the current one, which is then logged out.
#[utoipa::path(
    delete,
    path = "/sessions/{id}",
    tag = "session",
    security(("session_cookie" = []), ("bearer" = [])),
    params(("id" = String, Path, description = "The session's public id")),
    responses(
        (status = 204, description = "Ended"),
        (status = 401, description = "`session-required`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "`not-found`, also for somebody else's", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn end(
    State(powers): State<Powers>,
    Authenticated { session, .. }: Authenticated,
    id: Result<Path<String>, PathRejection>,
    Submitted(Nothing {}, _): Submitted<Nothing>,
) -> Result<Response, Problem> {
    revoke(&powers, &session, id).await
}

/// Ends one of the user's sessions, for a form.
#[utoipa::path(
    post,
    path = "/sessions/{id}/revoke",
    tag = "session",
    security(("session_cookie" = []), ("bearer" = [])),
    params(("id" = String, Path, description = "The session's public id")),
    request_body(content((Option<Nothing> = "application/json"), (Option<Nothing> = "application/x-www-form-urlencoded"))),
    responses(
        (status = 204, description = "Ended"),
        (status = 303, description = "The same, for a form"),
        (status = 401, description = "`session-required`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "`not-found`, also for somebody else's", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn end_by_form(
    State(powers): State<Powers>,
    Authenticated { session, .. }: Authenticated,
    id: Result<Path<String>, PathRejection>,
    Submitted(Nothing {}, style): Submitted<Nothing>,
) -> Result<Response, Problem> {
    Ok(style.answer_with_notice(revoke(&powers, &session, id).await?, PAGE, Notice::SessionEnded))
}

/// The page whose forms post here.
const PAGE: &str = "/account/sessions";

async fn revoke_others(powers: &Powers, session: &Session) -> Result<Response, Problem> {
    let revoked = powers.keeper.end_others(session, powers.clock.now()).await?;
    events::sessions_revoked(session.user.id, revoked);
    Ok(json(&Revoked { revoked }))
}

async fn revoke(
    powers: &Powers,
    session: &Session,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    // What is no id, not even UTF-8, is nobody's.
    let id = id.ok().and_then(|Path(id)| SessionId::parse(&id)).ok_or_else(Problem::not_found)?;
    let ended = powers.keeper.end(session.user.id, id, powers.clock.now()).await?;
    if ended != Ended::Nothing {
        events::sessions_revoked(session.user.id, 1);
    }
    if ended != Ended::Living {
        return Err(Problem::not_found());
    }
    let answer = StatusCode::NO_CONTENT.into_response();
    Ok(if id == session.id { with_cookies_cleared(answer) } else { answer })
}
