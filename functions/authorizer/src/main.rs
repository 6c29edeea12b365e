//! The Lambda function.

use hallpass_core::lambda;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let keyless = lambda::keyless().await?;
    run(service_fn(async |event: LambdaEvent<Value>| {
        hallpass_authorizer::authorize(&keyless, event.payload).await.map_err(Error::from)
    }))
    .await
}
