//! `GET /openapi.json` and `GET /docs`: the contract, made from the code that serves it.

mod contract;
mod page;

use std::sync::Arc;

use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
    routing::get,
};
use hallpass_core::{app::Keyless, config::Function, http::problem::Problem, rate_limit::admission::limited};
use utoipa::openapi::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The router that serves the description of `endpoints`, and of itself.
#[must_use]
pub fn router(endpoints: OpenApi) -> OpenApiRouter<Keyless> {
    let described = OpenApiRouter::<Keyless>::new().routes(routes!(openapi_json)).routes(routes!(docs)).into_openapi();
    let mut whole = endpoints;
    whole.merge(described.clone());
    let contract = contract::complete(&whole);
    // Both are the same for everybody, so they are rendered once.
    let json: Arc<str> = contract.to_string().into();
    let html: Option<Arc<str>> = page::render(&contract).map(Into::into);
    let routes = OpenApiRouter::with_openapi(described)
        .route("/openapi.json", get(move || async move { typed("application/json", json.to_string()) }))
        .route(
            "/docs",
            get(move || async move {
                html.map_or_else(
                    || Problem::internal().into_response(),
                    |html| typed("text/html; charset=utf-8", html.to_string()),
                )
            }),
        );
    limited(routes, Function::Docs)
}

/// The contract as OpenAPI 3.1.
#[utoipa::path(get, path = "/openapi.json", tag = "docs", responses((status = 200, description = "This document", body = Object)))]
async fn openapi_json() {}

/// The contract as a page.
#[utoipa::path(get, path = "/docs", tag = "docs", responses((status = 200, description = "A page for people", body = String, content_type = "text/html")))]
async fn docs() {}

fn typed(content_type: &'static str, body: String) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))], body).into_response()
}
