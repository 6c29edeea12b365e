//! `POST /login`: a password in; a session, or a pending login, out.

use axum::{
    extract::{FromRef, State},
    http::StatusCode,
    response::Response,
};
use futures_util::FutureExt;
use hallpass_core::{
    accounts::{
        known_device::KnownDevices,
        passwords::{PasswordError, Passwords},
        user::UserId,
    },
    app::App,
    clock::{SharedClock, to_rfc3339},
    config::Function,
    events::{self, logins::LoginEnd},
    http::{
        body::{Secret, Style, Submitted},
        passwords::typed,
        problem::{Problem, ProblemDocument},
        reply::{Delivery, LoggedIn, json, local_path, logged_in, with_login_cookie},
        visitor::Visitor,
    },
    rate_limit::admission::{Admission, limited_beside},
    sessions::{
        keeper::{Keeper, OpenError, Opened},
        opening::PasswordStep,
        token::LoginToken,
    },
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The one thing this crate offers, to the Lambda in main.rs and to the container alike.
#[must_use]
pub fn router() -> OpenApiRouter<App> {
    limited_beside(OpenApiRouter::new().routes(routes!(login)), Function::Login)
}

/// What this endpoint can reach.
#[derive(Clone)]
struct Powers {
    passwords: Passwords,
    keeper: Keeper,
    devices: KnownDevices,
    clock: SharedClock,
}

impl FromRef<App> for Powers {
    fn from_ref(app: &App) -> Self {
        Self {
            passwords: app.passwords.clone(),
            keeper: app.keyless.keeper.clone(),
            devices: app.devices.clone(),
            clock: app.keyless.clock.clone(),
        }
    }
}

/// Who wants to log in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LoginForm {
    /// In any spelling that folds to the registered name.
    username: String,
    /// As it was chosen.
    #[schema(value_type = String, format = Password)]
    password: Secret,
    /// How the token is to be handed out; always as a cookie for forms.
    #[serde(default)]
    delivery: Delivery,
    /// Where a form goes on to, a local path.
    next: Option<String>,
}

/// A second step is due.
#[derive(Debug, Serialize, ToSchema)]
struct SecondStepDue {
    /// Always `verify`: go on to `POST /login/verify`.
    next: &'static str,
    /// What will be taken there.
    methods: [&'static str; 2],
    /// When the pending login is dead.
    #[serde(serialize_with = "to_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    expires_at: jiff::Timestamp,
    /// The pending login's token, where tokens were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    login_token: Option<String>,
}

/// The answer to a right password.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes the two answers in the OpenAPI document")]
enum LoginAnswer {
    Complete(LoggedIn),
    SecondStepDue(SecondStepDue),
}

/// Logs in.
///
/// Checks a password and opens a session, or a pending login when a second step is due.
#[utoipa::path(
    post,
    path = "/login",
    tag = "login",
    request_body(content((LoginForm = "application/json"), (LoginForm = "application/x-www-form-urlencoded"))),
    responses(
        (status = 200, description = "A session, or a second step that is due; as cookies or as tokens", body = LoginAnswer),
        (status = 303, description = "The same, for a form"),
        (status = 401, description = "`invalid-credentials`", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn login(
    State(powers): State<Powers>,
    admission: Admission,
    visitor: Visitor,
    Submitted(form, style): Submitted<LoginForm>,
) -> Result<Response, Problem> {
    let now = powers.clock.now();
    let password = typed(&form.password);
    let slot = powers.passwords.slot().await?;
    // From here on boxed: a request that still waits for its slot doesn't hold the room for what comes after it.
    let candidate = powers.passwords.candidate(&form.username).boxed().await?;
    // Charged before hashing: Argon2 time is what an attacker wants us to spend (ASVS 5.0 6.3.1).
    let admitted = admission.admitted().await?;
    let user = candidate.user();
    let verified =
        powers.passwords.verify(&admitted, &slot, candidate, &password, visitor.device.as_deref(), now).boxed().await;
    drop(slot);
    let verified = verified.map_err(|error| refusal(user, error))?;
    let next = form.next.as_deref().and_then(local_path);
    let opened = powers
        .keeper
        .open(verified, visitor.client.clone(), visitor.replaced.as_ref(), next.map(str::to_owned), now)
        .boxed()
        .await;
    match opened {
        Ok(PasswordStep::Opened(opened)) => Ok(complete(&powers, &opened, form.delivery, style, next, now)),
        Ok(PasswordStep::Pending { token, expires_at }) => {
            events::login_pending(user);
            Ok(second_step_due(&token, expires_at, form.delivery, style))
        }
        Err(OpenError::Password(error)) => Err(refusal(user, error)),
        Err(error) => Err(error.into()),
    }
}

fn second_step_due(token: &LoginToken, expires_at: jiff::Timestamp, delivery: Delivery, style: Style) -> Response {
    let due = |login_token| {
        json(&SecondStepDue { next: "verify", methods: ["totp", "recovery_code"], expires_at, login_token })
    };
    match (delivery, style) {
        (Delivery::Token, Style::Json) => due(Some(token.reveal().to_string())),
        (Delivery::Token | Delivery::Cookie, _) => style.answer(with_login_cookie(due(None), token), "/login/verify"),
    }
}

fn complete(
    powers: &Powers,
    opened: &Opened,
    delivery: Delivery,
    style: Style,
    next: Option<&str>,
    now: jiff::Timestamp,
) -> Response {
    events::login_completed(opened.session.user.id, opened.session.level(), "password");
    let answer = logged_in(StatusCode::OK, opened, delivery.for_style(style), &powers.devices, now);
    style.answer(answer, next.unwrap_or("/account"))
}

fn refusal(user: UserId, error: PasswordError) -> Problem {
    let why = match error {
        PasswordError::Mismatch => LoginEnd::Credentials,
        PasswordError::Held(_) => LoginEnd::Held,
        PasswordError::Hash(_) | PasswordError::Store(_) => LoginEnd::Unavailable,
    };
    events::login_failed(Some(user), why);
    error.into()
}
