//! `POST /recovery-codes`: replaces the recovery codes; the old ones are dead.

use axum::{
    extract::{FromRef, State},
    response::Response,
};
use hallpass_core::{
    accounts::passwords::Passwords,
    app::App,
    clock::SharedClock,
    config::Function,
    events,
    http::{
        authenticated::Authenticated,
        body::{Secret, Style, Submitted},
        offered::offered,
        passwords::typed,
        problem::{Problem, ProblemDocument},
        reply::json,
    },
    pages::visit::Visit,
    rate_limit::admission::limited,
    second_factor::{SecondFactor, recovery::RecoveryCode},
    sessions::keeper::{Keeper, OpenError},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The one thing this crate offers, to the Lambda in main.rs and to the container alike.
#[must_use]
pub fn router() -> OpenApiRouter<App> {
    limited(OpenApiRouter::new().routes(routes!(replace)), Function::RecoveryCodes)
}

/// What this endpoint can reach.
#[derive(Clone)]
struct Powers {
    passwords: Passwords,
    second_factor: SecondFactor,
    keeper: Keeper,
    clock: SharedClock,
}

impl FromRef<App> for Powers {
    fn from_ref(app: &App) -> Self {
        Self {
            passwords: app.passwords.clone(),
            second_factor: app.second_factor.clone(),
            keeper: app.keyless.keeper.clone(),
            clock: app.keyless.clock.clone(),
        }
    }
}

/// The password and a code.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReplaceForm {
    #[schema(value_type = String, format = Password)]
    password: Secret,
    /// Six digits from the authenticator app.
    #[schema(value_type = String)]
    code: Secret,
}

/// Ten codes for when the authenticator is lost; shown once.
#[derive(Serialize, ToSchema)]
struct Replaced {
    recovery_codes: Vec<String>,
}

/// Replaces the recovery codes.
///
/// All old ones are dead; sessions go on.
#[utoipa::path(
    post,
    path = "/recovery-codes",
    tag = "account",
    security(("session_cookie" = []), ("bearer" = [])),
    request_body(content((ReplaceForm = "application/json"), (ReplaceForm = "application/x-www-form-urlencoded"))),
    responses(
        (status = 200, description = "The new codes; a page, for a form", content((Replaced = "application/json"), (String = "text/html"))),
        (status = 401, description = "`invalid-credentials`, `invalid-code` or `session-required`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "`totp-not-enabled`", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn replace(
    State(powers): State<Powers>,
    visit: Visit,
    Authenticated { session, .. }: Authenticated,
    Submitted(form, style): Submitted<ReplaceForm>,
) -> Result<Response, Problem> {
    let now = powers.clock.now();
    let user = session.user.id;
    let offered = offered(Some(&form.code), None)?;
    let proof = powers.passwords.verify_again(user, &typed(&form.password), now).await?;
    let both = powers.second_factor.verify_again(proof, &offered, now).await?;
    let (codes, write) = powers.second_factor.replace_recovery_codes(&both)?;
    match powers.keeper.commit_for(&session, write).await {
        Ok(()) => {}
        // Another request spent the same code first.
        Err(OpenError::Superseded) => return Err(powers.second_factor.reject(user).await.into()),
        Err(error) => return Err(error.into()),
    }
    events::recovery_codes_replaced(user);
    Ok(match style {
        Style::Json => json(&Replaced { recovery_codes: codes.iter().map(RecoveryCode::reveal).collect() }),
        Style::Form => visit.recovery_codes(&session, &codes, false),
    })
}
