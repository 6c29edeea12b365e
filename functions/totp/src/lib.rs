//! `/totp`: sets up, confirms and turns off two-step verification.

use axum::{
    extract::{FromRef, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use data_encoding::BASE64;
use hallpass_core::{
    accounts::{
        known_device::KnownDevices,
        passwords::{PasswordConfirmed, Passwords},
    },
    app::App,
    clock::{SharedClock, to_rfc3339},
    config::Function,
    events,
    http::{
        authenticated::Authenticated,
        body::{Secret, Style, Submitted},
        offered::offered,
        passwords::typed,
        problem::{Problem, ProblemDocument},
        reply::{json, with_renewed},
    },
    pages::{SetUp, notice::Notice, visit::Visit},
    rate_limit::admission::limited,
    second_factor::{SecondFactor, qr::Qr, recovery::RecoveryCode, totp::TotpCode},
    sessions::{
        keeper::{Keeper, OpenError},
        session::{Method, Session},
    },
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The one thing this crate offers, to the Lambda in main.rs and to the container alike.
#[must_use]
pub fn router() -> OpenApiRouter<App> {
    let routes =
        OpenApiRouter::new().routes(routes!(start, disable)).routes(routes!(confirm)).routes(routes!(disable_by_form));
    limited(routes, Function::Totp)
}

/// What these endpoints can reach.
#[derive(Clone)]
struct Powers {
    passwords: Passwords,
    second_factor: SecondFactor,
    keeper: Keeper,
    devices: KnownDevices,
    clock: SharedClock,
}

impl FromRef<App> for Powers {
    fn from_ref(app: &App) -> Self {
        Self {
            passwords: app.passwords.clone(),
            second_factor: app.second_factor.clone(),
            keeper: app.keyless.keeper.clone(),
            devices: app.devices.clone(),
            clock: app.keyless.clock.clone(),
        }
    }
}

/// The password, asked again before a credential changes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct StartForm {
    #[schema(value_type = String, format = Password)]
    password: Secret,
}

/// What the authenticator app needs; shown once.
#[derive(Serialize, ToSchema)]
struct Started {
    /// The secret in Base32, for typing.
    secret: String,
    /// The same as a link that authenticator apps open.
    otpauth_url: String,
    /// The link as a QR code: an SVG picture.
    qr_svg: String,
    /// The link as a QR code: a PNG picture in Base64.
    qr_png_base64: String,
    /// When the set-up must be confirmed.
    #[serde(serialize_with = "to_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    expires_at: jiff::Timestamp,
}

/// The first code from the authenticator app.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ConfirmForm {
    #[schema(value_type = String)]
    code: Secret,
}

/// Ten codes for when the authenticator is lost; shown once.
#[derive(Serialize, ToSchema)]
struct Confirmed {
    recovery_codes: Vec<String>,
}

/// The password and a second step.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DisableForm {
    #[schema(value_type = String, format = Password)]
    password: Secret,
    /// Six digits from the authenticator app.
    #[schema(value_type = Option<String>)]
    code: Option<Secret>,
    /// One of the recovery codes.
    #[schema(value_type = Option<String>)]
    recovery_code: Option<Secret>,
}

/// Starts to set up two-step verification.
///
/// Nothing is on until the first code confirms it. Starting again replaces what was started before.
#[utoipa::path(
    post,
    path = "/totp",
    tag = "account",
    security(("session_cookie" = []), ("bearer" = [])),
    request_body(content((StartForm = "application/json"), (StartForm = "application/x-www-form-urlencoded"))),
    responses(
        (status = 200, description = "The secret, for ten minutes; a page, for a form", content((Started = "application/json"), (String = "text/html"))),
        (status = 401, description = "`invalid-credentials` or `session-required`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "`totp-already-enabled`", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn start(
    State(powers): State<Powers>,
    visit: Visit,
    Authenticated { session, .. }: Authenticated,
    Submitted(form, style): Submitted<StartForm>,
) -> Result<Response, Problem> {
    let now = powers.clock.now();
    let proof = password_again(&powers, &session, &form.password, now).await?;
    let enrolment = powers.second_factor.enrol(proof, now)?;
    powers.keeper.commit_for(&session, enrolment.write).await?;
    let qr = Qr::encode(&enrolment.otpauth_url).map_err(|_| Problem::internal())?;
    let started = Started {
        secret: enrolment.secret.to_string(),
        qr_svg: qr.svg(),
        qr_png_base64: BASE64.encode(&qr.png().map_err(|_| Problem::internal())?),
        otpauth_url: enrolment.otpauth_url.to_string(),
        expires_at: enrolment.expires_at,
    };
    Ok(match style {
        Style::Json => json(&started),
        Style::Form => {
            let Started { secret, otpauth_url, qr_svg, .. } = &started;
            visit.set_up(&session, &SetUp { secret, otpauth_url, qr_svg })
        }
    })
}

/// Turns two-step verification on.
///
/// The code is burnt by it. Every other session ends; this one gets a new token, the way it came.
#[utoipa::path(
    post,
    path = "/totp/confirm",
    tag = "account",
    security(("session_cookie" = []), ("bearer" = [])),
    request_body(content((ConfirmForm = "application/json"), (ConfirmForm = "application/x-www-form-urlencoded"))),
    responses(
        (status = 200, description = "On; the recovery codes; a page, for a form", content((Confirmed = "application/json"), (String = "text/html")), headers(("X-Session-Token" = Option<String>, description = "The new token of a bearer session"))),
        (status = 401, description = "`invalid-code` or `session-required`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "`totp-not-started` or `totp-already-enabled`", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn confirm(
    State(powers): State<Powers>,
    visit: Visit,
    Authenticated { session, delivery }: Authenticated,
    Submitted(form, style): Submitted<ConfirmForm>,
) -> Result<Response, Problem> {
    let now = powers.clock.now();
    let user = session.user.id;
    let code = TotpCode::parse(form.code.reveal());
    let confirmed = powers.second_factor.confirm(&session, code.as_ref(), now).await?;
    let methods = vec![Method::Pwd, Method::Otp];
    let renewed = match powers.keeper.renew(&session, confirmed.write, true, methods, now).await {
        Ok(renewed) => renewed,
        // Out of tries, replaced or confirmed meanwhile.
        Err(OpenError::Superseded) => return Err(Problem::totp_not_started()),
        Err(error) => return Err(error.into()),
    };
    events::credential_changed(user, "totp_enabled");
    let codes = confirmed.recovery_codes;
    let shown = match style {
        Style::Json => json(&Confirmed { recovery_codes: codes.iter().map(RecoveryCode::reveal).collect() }),
        Style::Form => visit.recovery_codes(&renewed.session, &codes, true),
    };
    Ok(with_renewed(shown, &renewed, delivery, &powers.devices, now))
}

/// Turns two-step verification off.
///
/// Every other session ends; this one gets a new token, the way it came.
#[utoipa::path(
    delete,
    path = "/totp",
    tag = "account",
    security(("session_cookie" = []), ("bearer" = [])),
    request_body(content((DisableForm = "application/json"), (DisableForm = "application/x-www-form-urlencoded"))),
    responses(
        (status = 204, description = "Off", headers(("X-Session-Token" = Option<String>, description = "The new token of a bearer session"))),
        (status = 303, description = "The same, for a form"),
        (status = 401, description = "`invalid-credentials`, `invalid-code` or `session-required`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "`totp-not-enabled`", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn disable(
    State(powers): State<Powers>,
    Authenticated { session, delivery }: Authenticated,
    Submitted(form, style): Submitted<DisableForm>,
) -> Result<Response, Problem> {
    let now = powers.clock.now();
    let user = session.user.id;
    let offered = offered(form.code.as_ref(), form.recovery_code.as_ref())?;
    let proof = password_again(&powers, &session, &form.password, now).await?;
    let both = powers.second_factor.verify_again(proof, &offered, now).await?;
    let change = powers.second_factor.disable(&both, now)?;
    let renewed = match powers.keeper.renew(&session, change, false, vec![Method::Pwd], now).await {
        Ok(renewed) => renewed,
        // Another request spent the same code first.
        Err(OpenError::Superseded) => return Err(powers.second_factor.reject(user).await.into()),
        Err(error) => return Err(error.into()),
    };
    events::credential_changed(user, "totp_disabled");
    let answer = with_renewed(StatusCode::NO_CONTENT.into_response(), &renewed, delivery, &powers.devices, now);
    Ok(style.answer_with_notice(answer, "/account/security", Notice::TwoStepTurnedOff))
}

/// Turns two-step verification off, for a form.
#[utoipa::path(
    post,
    path = "/totp/disable",
    tag = "account",
    security(("session_cookie" = []), ("bearer" = [])),
    request_body(content((DisableForm = "application/json"), (DisableForm = "application/x-www-form-urlencoded"))),
    responses(
        (status = 204, description = "Off", headers(("X-Session-Token" = Option<String>, description = "The new token of a bearer session"))),
        (status = 303, description = "The same, for a form"),
        (status = 401, description = "`invalid-credentials`, `invalid-code` or `session-required`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "`totp-not-enabled`", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn disable_by_form(
    powers: State<Powers>,
    session: Authenticated,
    form: Submitted<DisableForm>,
) -> Result<Response, Problem> {
    Box::pin(disable(powers, session, form)).await
}

async fn password_again(
    powers: &Powers,
    session: &Session,
    password: &Secret,
    now: jiff::Timestamp,
) -> Result<PasswordConfirmed, Problem> {
    let password = typed(password);
    Ok(powers.passwords.verify_again(session.user.id, &password, now).await?)
}
