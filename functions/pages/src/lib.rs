//! The pages for people, the files they load, and the two forms that no other function takes. What they look like is in
//! `hallpass_core::pages`.

use axum::{
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::future::try_join;
use hallpass_core::{
    app::Keyless,
    clock::SharedClock,
    config::Function,
    http::{
        authenticated::{Perhaps, session_token},
        body::{Secret, Submitted},
        cookies::Cookie,
        problem::Problem,
        reason::Reason,
        reply::{local_path, with_cookies},
    },
    pages::{Language, Pages, visit::Visit},
    rate_limit::admission::limited_reads,
    second_factor::recovery::RecoveryCode,
    sessions::keeper::Keeper,
};
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;

/// The one thing this crate offers, to the Lambda in main.rs and to the container alike.
///
/// Not in the OpenAPI document, which is about the API. All of it only reads, so it runs beside its charge.
#[must_use]
pub fn router() -> OpenApiRouter<Keyless> {
    let routes = OpenApiRouter::new()
        .route("/", get(home))
        .route("/login", get(login))
        .route("/login/verify", get(verify))
        .route("/register", get(register))
        .route("/account", get(account))
        .route("/account/security", get(security))
        .route("/account/sessions", get(sessions))
        .route("/account/security/recovery-codes.txt", post(download))
        .route("/language", post(switch));
    // Files are not limited: they cost nothing, and the page that tells of a limit needs them.
    limited_reads(routes, Function::Pages).route("/assets/{file}", get(asset))
}

async fn home(visit: Visit, Perhaps(session): Perhaps) -> Response {
    visit.home(session.as_ref())
}

async fn login(visit: Visit, Perhaps(session): Perhaps) -> Response {
    if session.is_some() { visit.to_next() } else { visit.login() }
}

async fn register(visit: Visit, Perhaps(session): Perhaps) -> Response {
    if session.is_some() { visit.to_next() } else { visit.register() }
}

/// Without a pending login there is nothing to verify; whether it lives is seen when the code comes.
async fn verify(visit: Visit, headers: HeaderMap) -> Response {
    if Cookie::Login.read(&headers).is_some() { visit.verify() } else { visit.to_start() }
}

async fn account(visit: Visit, Perhaps(session): Perhaps) -> Response {
    session.map_or_else(|| visit.to_login(), |session| visit.account(&session))
}

async fn security(visit: Visit, Perhaps(session): Perhaps) -> Response {
    session.map_or_else(|| visit.to_login(), |session| visit.security(&session))
}

/// The check and the list are read side by side; without a session nobody sees the list.
async fn sessions(
    State(keeper): State<Keeper>,
    State(clock): State<SharedClock>,
    visit: Visit,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Some((token, _)) = session_token(&headers)? else {
        return Ok(visit.to_login());
    };
    let now = clock.now();
    let (session, live) = try_join(keeper.find(&token, now), keeper.list(token.user(), now)).await?;
    Ok(session.map_or_else(|| visit.to_login(), |session| visit.sessions(&session, &live, now)))
}

/// The codes that the page shows, to be made a file of.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CodesForm {
    codes: Secret,
}

/// Nothing is read from the store, which has only digests: the codes come from the page that shows them, and only what
/// is a recovery code goes back.
async fn download(visit: Visit, Submitted(form, _): Submitted<CodesForm>) -> Result<Response, Problem> {
    let codes = form.codes.reveal().split_whitespace().take(RecoveryCode::SET).map(RecoveryCode::parse);
    let codes: Option<Vec<RecoveryCode>> = codes.collect();
    let codes = codes.ok_or_else(|| Problem::invalid_input("codes", Reason::NoRecoveryCode))?;
    Ok(visit.recovery_codes_file(&codes))
}

/// A language for the pages, and the page to go back to.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LanguageForm {
    language: String,
    next: Option<String>,
}

async fn switch(Submitted(form, style): Submitted<LanguageForm>) -> Result<Response, Problem> {
    let language = Language::of_tag(&form.language);
    let language = language.ok_or_else(|| Problem::invalid_input("language", Reason::NoSuchLanguage))?;
    let answer = with_cookies(StatusCode::NO_CONTENT.into_response(), [language.cookie()]);
    Ok(style.answer(answer, form.next.as_deref().and_then(local_path).unwrap_or("/")))
}

async fn asset(State(pages): State<Pages>, file: Result<Path<String>, PathRejection>) -> Result<Response, Problem> {
    file.ok().and_then(|Path(file)| pages.assets().answer(&file)).ok_or_else(Problem::not_found)
}
