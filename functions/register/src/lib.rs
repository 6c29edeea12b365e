//! `POST /register`: makes an account and opens its first session.

use axum::{
    extract::{FromRef, State},
    http::StatusCode,
    response::Response,
};
use hallpass_core::{
    accounts::{email::Email, known_device::KnownDevices, registration::Registrar, username::Username},
    app::App,
    clock::SharedClock,
    config::{Function, Settings},
    events,
    http::{
        body::{Secret, Submitted},
        passwords::chosen,
        problem::{Problem, ProblemDocument},
        reply::{Delivery, LoggedIn, local_path, logged_in},
        visitor::Visitor,
    },
    pages::notice::Notice,
    rate_limit::admission::limited,
    sessions::keeper::Keeper,
};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The one thing this crate offers, to the Lambda in main.rs and to the container alike.
#[must_use]
pub fn router() -> OpenApiRouter<App> {
    limited(OpenApiRouter::new().routes(routes!(register)), Function::Register)
}

/// What this endpoint can reach.
#[derive(Clone)]
struct Powers {
    registrar: Registrar,
    keeper: Keeper,
    devices: KnownDevices,
    settings: Arc<Settings>,
    clock: SharedClock,
}

impl FromRef<App> for Powers {
    fn from_ref(app: &App) -> Self {
        Self {
            registrar: app.registrar.clone(),
            keeper: app.keyless.keeper.clone(),
            devices: app.devices.clone(),
            settings: app.keyless.settings.clone(),
            clock: app.keyless.clock.clone(),
        }
    }
}

/// Who wants an account.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RegisterForm {
    /// 3 to 64 letters, digits, `.`, `_`, `-`, `@` or `+`, unique without regard to case, width and ligatures.
    username: String,
    /// 8 to 256 characters, not a common password and not the user name.
    #[schema(value_type = String, format = Password, max_length = 256)]
    password: Secret,
    /// An e-mail address.
    #[schema(format = Email)]
    email: Option<String>,
    /// How the token is to be handed out; always as a cookie for forms.
    #[serde(default)]
    delivery: Delivery,
    /// Where a form goes on to, a local path.
    next: Option<String>,
}

/// Registers.
///
/// Makes an account and logs in to it.
#[utoipa::path(
    post,
    path = "/register",
    tag = "login",
    request_body(content((RegisterForm = "application/json"), (RegisterForm = "application/x-www-form-urlencoded"))),
    responses(
        (status = 201, description = "The account and its first session", body = LoggedIn),
        (status = 303, description = "The same, for a form"),
        (status = 409, description = "`username-taken`, also for an e-mail address", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn register(
    State(powers): State<Powers>,
    visitor: Visitor,
    Submitted(form, style): Submitted<RegisterForm>,
) -> Result<Response, Problem> {
    let now = powers.clock.now();
    let username = Username::parse(&form.username).map_err(|error| Problem::invalid_input("username", error))?;
    // An empty field of a form is one that was not filled in.
    let email = form.email.as_deref().filter(|email| !email.is_empty()).map(Email::parse).transpose();
    let email = email.map_err(|error| Problem::invalid_input("email", error))?;
    let address = email.as_ref().map(Email::as_str);
    let password = chosen(&form.password, "password", username.folded(), address, &powers.settings)?;
    let account = powers.registrar.prepare(&username, email.as_ref(), &password, now).await?;
    let opened = powers.keeper.open_first(account, visitor.client, now).await?;
    events::registered(opened.session.user.id);
    let answer = logged_in(StatusCode::CREATED, &opened, form.delivery.for_style(style), &powers.devices, now);
    let next = form.next.as_deref().and_then(local_path).unwrap_or("/account");
    Ok(style.answer_with_notice(answer, next, Notice::Registered))
}
