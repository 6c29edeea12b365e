//! `GET /api/resource`: an open resource under a limit, to try limits on.

use axum::response::Response;
use hallpass_core::{
    app::Keyless,
    config::Function,
    http::{authenticated::Unambiguous, reply::json},
    rate_limit::admission::limited_open,
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The one thing this crate offers, to the Lambda in main.rs and to the container alike.
#[must_use]
pub fn router() -> OpenApiRouter<Keyless> {
    limited_open(OpenApiRouter::new().routes(routes!(resource)), Function::Resource)
}

/// What is guarded.
#[derive(Debug, Serialize, ToSchema)]
struct Resource {
    data: &'static str,
}

/// Shows the limited resource.
///
/// Ten a minute for each client address, unless set otherwise.
#[utoipa::path(get, path = "/api/resource", tag = "example", responses((status = 200, description = "Admitted", body = Resource)))]
async fn resource(_: Unambiguous) -> Response {
    json(&Resource { data: "This is rate-limited" })
}
