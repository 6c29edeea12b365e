//! `POST /logout`: ends the session it came with.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use hallpass_core::{
    app::Keyless,
    clock::SharedClock,
    config::Function,
    events,
    http::{
        authenticated::session_token,
        body::{Nothing, Submitted},
        cookies::Cookie,
        problem::Problem,
        reply::with_cookies_cleared,
    },
    pages::notice::Notice,
    rate_limit::admission::limited,
    sessions::{
        keeper::{Ended, Keeper},
        token::LoginToken,
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

/// The one thing this crate offers, to the Lambda in main.rs and to the container alike.
#[must_use]
pub fn router() -> OpenApiRouter<Keyless> {
    limited(OpenApiRouter::new().routes(routes!(logout)), Function::Logout)
}

/// Logs out.
///
/// Ends the session and the pending login that the request came with, if any, and clears their cookies.
#[utoipa::path(
    post,
    path = "/logout",
    tag = "session",
    request_body(content((Option<Nothing> = "application/json"), (Option<Nothing> = "application/x-www-form-urlencoded"))),
    responses((status = 204, description = "Logged out, or there was nothing to log out of"), (status = 303, description = "The same, for a form"))
)]
async fn logout(
    State(keeper): State<Keeper>,
    State(clock): State<SharedClock>,
    headers: HeaderMap,
    Submitted(Nothing {}, style): Submitted<Nothing>,
) -> Result<Response, Problem> {
    let session = session_token(&headers)?.map(|(token, _)| token);
    let pending = Cookie::Login.read(&headers).and_then(LoginToken::parse);
    let ended = keeper.log_out(session.as_ref(), pending.as_ref(), clock.now()).await?;
    if let Some(token) = session.filter(|_| ended != Ended::Nothing) {
        events::logged_out(token.user());
    }
    let answer = with_cookies_cleared(StatusCode::NO_CONTENT.into_response());
    Ok(style.answer_with_notice(answer, "/", Notice::LoggedOut))
}
