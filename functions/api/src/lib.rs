//! Every endpoint, merged into one router: for the container, for tests, and for the document that describes them.

use hallpass_core::app::App;
use utoipa_axum::router::OpenApiRouter;

/// All endpoints of the API, in reading order.
#[must_use]
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(hallpass_register::router())
        .merge(hallpass_login::router())
        .merge(hallpass_verify::router())
        .merge(hallpass_logout::router())
        .merge(hallpass_session::router())
        .merge(hallpass_sessions::router())
        .merge(hallpass_password::router())
        .merge(hallpass_totp::router())
        .merge(hallpass_recovery_codes::router())
        .merge(hallpass_resource::router())
        .merge(hallpass_pages::router())
}
