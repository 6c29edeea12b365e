//! The Lambda function.

use axum::routing::post;
use hallpass_core::{app::Keyless, http::problem::Problem, lambda};
use utoipa_axum::router::OpenApiRouter;

/// What the forms on these pages are sent to, which are functions of their own: known here only so that a refusal of
/// another method names `POST` as well.
const POSTED_ELSEWHERE: [&str; 3] = ["/login", "/login/verify", "/register"];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let elsewhere = POSTED_ELSEWHERE.iter().fold(OpenApiRouter::<Keyless>::new(), |router, path| {
        router.route(path, post(|| async { Problem::not_found() }))
    });
    lambda::serve_keyless(hallpass_pages::router().merge(elsewhere)).await
}
