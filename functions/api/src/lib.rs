//! Every endpoint, merged: for the container, for tests, and for the document that describes them.

mod contract;

use axum::Router;
use hallpass_core::app::{App, Keyless};
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;

/// All endpoints of the API, ready to be put into the shell.
pub fn router(app: &App) -> Router {
    let (keyed, _) = keyed().with_state(app.clone()).split_for_parts();
    let (keyless, _) = keyless().with_state(app.keyless.clone()).split_for_parts();
    keyed.merge(keyless)
}

/// What they are: OpenAPI 3.1, in reading order.
#[must_use]
pub fn contract() -> Value {
    let mut endpoints = keyed().into_openapi();
    endpoints.merge(keyless().into_openapi());
    contract::complete(&endpoints)
}

fn keyed() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(hallpass_register::router())
        .merge(hallpass_login::router())
        .merge(hallpass_verify::router())
        .merge(hallpass_password::router())
        .merge(hallpass_totp::router())
        .merge(hallpass_recovery_codes::router())
}

fn keyless() -> OpenApiRouter<Keyless> {
    OpenApiRouter::new()
        .merge(hallpass_logout::router())
        .merge(hallpass_session::router())
        .merge(hallpass_sessions::router())
        .merge(hallpass_resource::router())
        .merge(hallpass_docs::router())
        .merge(hallpass_authz::router())
        .merge(hallpass_pages::router())
}
