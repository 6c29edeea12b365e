//! `POST /login/verify`: a second step in, a session out.

use axum::{
    extract::{FromRef, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use hallpass_core::{
    accounts::{known_device::KnownDevices, user::UserId},
    app::App,
    clock::SharedClock,
    config::Function,
    events::{self, logins::LoginEnd},
    http::{
        body::{Secret, Submitted},
        cookies::Cookie,
        offered::offered,
        problem::{Problem, ProblemDocument},
        reply::{Delivery, LoggedIn, logged_in},
        visitor::Visitor,
    },
    rate_limit::admission::{Admission, limited_beside},
    second_factor::{SecondFactor, SecondFactorError},
    sessions::{
        keeper::{Keeper, OpenError},
        token::LoginToken,
    },
};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The one thing this crate offers, to the Lambda in main.rs and to the container alike.
#[must_use]
pub fn router() -> OpenApiRouter<App> {
    limited_beside(OpenApiRouter::new().routes(routes!(verify)), Function::Verify)
}

/// What this endpoint can reach.
#[derive(Clone)]
struct Powers {
    second_factor: SecondFactor,
    keeper: Keeper,
    devices: KnownDevices,
    clock: SharedClock,
}

impl FromRef<App> for Powers {
    fn from_ref(app: &App) -> Self {
        Self {
            second_factor: app.second_factor.clone(),
            keeper: app.keyless.keeper.clone(),
            devices: app.devices.clone(),
            clock: app.keyless.clock.clone(),
        }
    }
}

/// A second step: a code or a recovery code, and the pending login's token unless it came as a cookie.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct VerifyForm {
    /// Six digits from the authenticator app.
    #[schema(value_type = Option<String>)]
    code: Option<Secret>,
    /// One of the recovery codes, which is spent.
    #[schema(value_type = Option<String>)]
    recovery_code: Option<Secret>,
    /// The pending login's token, where it was handed out as one.
    #[schema(value_type = Option<String>)]
    login_token: Option<Secret>,
    /// How the session's token is to be handed out; by default the way the pending login's came.
    delivery: Option<Delivery>,
}

/// Completes a login.
///
/// Takes the second step of a pending login and opens the session. Five wrong codes end the pending login.
#[utoipa::path(
    post,
    path = "/login/verify",
    tag = "login",
    request_body(content((VerifyForm = "application/json"), (VerifyForm = "application/x-www-form-urlencoded"))),
    responses(
        (status = 200, description = "The session; the pending login is spent", body = LoggedIn),
        (status = 303, description = "The same, for a form"),
        (status = 401, description = "`invalid-code` or `login-expired`", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn verify(
    State(powers): State<Powers>,
    admission: Admission,
    visitor: Visitor,
    headers: HeaderMap,
    Submitted(form, style): Submitted<VerifyForm>,
) -> Result<Response, Problem> {
    let now = powers.clock.now();
    let offered = offered(form.code.as_ref(), form.recovery_code.as_ref())?;
    let (token, came_as) = login_token(&headers, form.login_token.as_ref())?;
    let user = token.user();
    let pending = powers.second_factor.pending(&token, now).await.map_err(|error| refusal(user, error))?;
    let admitted = admission.admitted().await?;
    let verified = powers.second_factor.verify(&admitted, pending, &offered, visitor.device.as_deref(), now).await;
    let verified = verified.map_err(|error| refusal(user, error))?;
    let next = verified.next().unwrap_or("/account").to_owned();
    let opened = match powers
        .keeper
        .complete(&powers.second_factor, verified, visitor.client.clone(), visitor.replaced.as_ref(), now)
        .await
    {
        Ok(opened) => opened,
        Err(OpenError::SecondFactor(error)) => return Err(refusal(user, error)),
        Err(error) => return Err(error.into()),
    };
    events::login_completed(user, opened.session.level(), offered.name());
    let delivery = form.delivery.unwrap_or(came_as).for_style(style);
    Ok(style.answer(logged_in(StatusCode::OK, &opened, delivery, &powers.devices, now), &next))
}

/// The pending login's token: from the body or from the cookie, not from both.
fn login_token(headers: &HeaderMap, in_body: Option<&Secret>) -> Result<(LoginToken, Delivery), Problem> {
    let found = match (in_body, Cookie::Login.read(headers)) {
        (Some(_), Some(_)) => return Err(Problem::ambiguous_credentials()),
        (Some(token), None) => LoginToken::parse(token.reveal()).map(|token| (token, Delivery::Token)),
        (None, Some(token)) => LoginToken::parse(token).map(|token| (token, Delivery::Cookie)),
        (None, None) => None,
    };
    found.ok_or_else(Problem::login_expired)
}

fn refusal(user: UserId, error: SecondFactorError) -> Problem {
    match error {
        SecondFactorError::InvalidCode => events::second_step_failed(user, LoginEnd::Code),
        // The token's user is only a claim here.
        SecondFactorError::LoginExpired => events::login_failed(None, LoginEnd::LoginExpired),
        SecondFactorError::NotEnabled
        | SecondFactorError::AlreadyEnabled
        | SecondFactorError::NotStarted
        | SecondFactorError::Sealed(_)
        | SecondFactorError::Store(_) => {
            events::second_step_failed(user, LoginEnd::Unavailable);
        }
    }
    error.into()
}
