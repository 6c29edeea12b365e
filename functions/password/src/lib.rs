//! `POST /password`: changes the password; every other session and pending login is dead from that instant.

use std::sync::Arc;

use axum::{
    extract::{FromRef, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use hallpass_core::{
    accounts::{known_device::KnownDevices, passwords::Passwords},
    app::App,
    clock::SharedClock,
    config::{Function, Settings},
    events,
    http::{
        authenticated::Authenticated,
        body::{Secret, Submitted},
        passwords::{chosen, typed},
        problem::{Problem, ProblemDocument},
        reply::with_renewed,
    },
    pages::notice::Notice,
    rate_limit::admission::limited,
    sessions::keeper::Keeper,
};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The one thing this crate offers, to the Lambda in main.rs and to the container alike.
#[must_use]
pub fn router() -> OpenApiRouter<App> {
    limited(OpenApiRouter::new().routes(routes!(change)), Function::Password)
}

/// What this endpoint can reach.
#[derive(Clone)]
struct Powers {
    passwords: Passwords,
    keeper: Keeper,
    devices: KnownDevices,
    settings: Arc<Settings>,
    clock: SharedClock,
}

impl FromRef<App> for Powers {
    fn from_ref(app: &App) -> Self {
        Self {
            passwords: app.passwords.clone(),
            keeper: app.keyless.keeper.clone(),
            devices: app.devices.clone(),
            settings: app.keyless.settings.clone(),
            clock: app.keyless.clock.clone(),
        }
    }
}

/// The old password and the new one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordForm {
    /// The password in force.
    #[schema(value_type = String, format = Password)]
    current_password: Secret,
    /// 8 to 256 characters, not a common password and not the user name.
    #[schema(value_type = String, format = Password, max_length = 256)]
    new_password: Secret,
}

/// Changes the password.
///
/// Every other session ends; this one gets a new token, as a cookie or in `X-Session-Token`, the way it came.
#[utoipa::path(
    post,
    path = "/password",
    tag = "account",
    security(("session_cookie" = []), ("bearer" = [])),
    request_body(content((PasswordForm = "application/json"), (PasswordForm = "application/x-www-form-urlencoded"))),
    responses(
        (status = 204, description = "Changed", headers(("X-Session-Token" = Option<String>, description = "The new token of a bearer session"))),
        (status = 303, description = "The same, for a form"),
        (status = 401, description = "`invalid-credentials` or `session-required`", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn change(
    State(powers): State<Powers>,
    Authenticated { session, delivery }: Authenticated,
    Submitted(form, style): Submitted<PasswordForm>,
) -> Result<Response, Problem> {
    let now = powers.clock.now();
    let user = session.user.id;
    let current = typed(&form.current_password);
    let (username, email) = (&session.user.username, session.user.email.as_deref());
    let new = chosen(&form.new_password, "new_password", username, email, &powers.settings)?;
    let proof = powers.passwords.verify_again(user, &current, now).await?;
    let change = powers.passwords.change(&proof, &new).await?;
    let renewed =
        powers.keeper.renew(&session, change, session.user.totp_enabled, session.methods.clone(), now).await?;
    events::credential_changed(user, "password");
    let answer = with_renewed(StatusCode::NO_CONTENT.into_response(), &renewed, delivery, &powers.devices, now);
    Ok(style.answer_with_notice(answer, "/account/security", Notice::PasswordChanged))
}
