//! `GET /openapi.json` and `GET /docs`: the contract.
//!
//! The document is a file, written by `cargo run --bin openapi` from the code that serves it and held
//! to it by a test. So a change of the contract is seen where changes are read, and no process makes it again.

mod page;

use std::sync::LazyLock;

use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use hallpass_core::{
    app::Keyless,
    config::Function,
    http::{authenticated::Unambiguous, problem::Problem},
    rate_limit::admission::limited,
};
use utoipa_axum::{router::OpenApiRouter, routes};

/// The contract as OpenAPI 3.1.
const CONTRACT: &str = include_str!("../openapi.json");

/// The one thing this crate offers, to the Lambda in main.rs and to the container alike.
#[must_use]
pub fn router() -> OpenApiRouter<Keyless> {
    limited(OpenApiRouter::new().routes(routes!(openapi_json)).routes(routes!(docs)), Function::Docs)
}

/// The contract as OpenAPI 3.1.
#[utoipa::path(get, path = "/openapi.json", tag = "docs", responses((status = 200, description = "This document", body = Object)))]
async fn openapi_json(_: Unambiguous) -> Response {
    typed("application/json", CONTRACT)
}

/// The contract as a page.
#[utoipa::path(get, path = "/docs", tag = "docs", responses((status = 200, description = "A page for people", body = String, content_type = "text/html")))]
async fn docs(_: Unambiguous) -> Response {
    // The same for everybody.
    static PAGE: LazyLock<Option<String>> = LazyLock::new(|| page::render(&serde_json::from_str(CONTRACT).ok()?));
    PAGE.as_deref().map_or_else(|| Problem::internal().into_response(), |page| typed("text/html; charset=utf-8", page))
}

fn typed(content_type: &'static str, body: &'static str) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))], body).into_response()
}
