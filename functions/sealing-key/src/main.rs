//! The Lambda function.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    hallpass_core::logging::start("info")?;
    run(service_fn(async |event: LambdaEvent<hallpass_sealing_key::Event>| {
        hallpass_sealing_key::handle(event).await.map_err(Error::from)
    }))
    .await
}
