//! The Lambda function.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    hallpass_core::lambda::serve_keyless(hallpass_authz::router()).await
}
