//! The paths of pages for people. The forms of the API redirect here; the pages themselves are still to come.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::State,
    response::{Html, IntoResponse, Response},
    routing::get,
};
use hallpass_core::{
    app::Keyless,
    config::{Function, Settings},
    http::problem::Problem,
    rate_limit::admission::limited,
};
use utoipa_axum::router::OpenApiRouter;

/// Every path that a form leads to. Not in the OpenAPI document, which is about the API.
const PATHS: [&str; 7] =
    ["/", "/login", "/login/verify", "/register", "/account", "/account/security", "/account/sessions"];

/// The one thing this crate offers, to the Lambda in main.rs and to the container alike.
#[must_use]
pub fn router() -> OpenApiRouter<Keyless> {
    limited(
        PATHS.iter().fold(OpenApiRouter::new(), |router, path| router.route(path, get(placeholder))),
        Function::Pages,
    )
}

#[derive(Template)]
#[template(path = "placeholder.html")]
struct Placeholder {
    is_insecure: bool,
}

async fn placeholder(State(settings): State<Arc<Settings>>) -> Response {
    let is_insecure = !settings.public_url.is_https() && !settings.public_url.is_localhost();
    match (Placeholder { is_insecure }).render() {
        Ok(page) => Html(page).into_response(),
        Err(_) => Problem::internal().into_response(),
    }
}
