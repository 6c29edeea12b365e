//! The SDK's client: short deadlines, few retries, one TLS stack.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::{
    Client,
    config::{
        BehaviorVersion, Builder, Region, StalledStreamProtectionConfig, retry::RetryConfig, timeout::TimeoutConfig,
    },
};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use futures_util::FutureExt;

use crate::https::CONNECT_DEADLINE;

/// A try that takes longer than this is lost.
const ATTEMPT_DEADLINE: Duration = Duration::from_secs(2);
/// All tries together; the caller then answers 503.
const CALL_DEADLINE: Duration = Duration::from_secs(4);
const ATTEMPTS: u32 = 3;
const FIRST_BACKOFF: Duration = Duration::from_millis(20);

/// A client of DynamoDB, or of what `AWS_ENDPOINT_URL_DYNAMODB` names; region and credentials come from wherever the SDK
/// looks for them: variables, profiles, web identity, metadata services.
pub async fn with_aws(http_client: SharedHttpClient) -> Client {
    let shared = aws_config::defaults(BehaviorVersion::latest()).http_client(http_client).load().boxed().await;
    Client::from_conf(bounded(Builder::from(&shared)).build())
}

/// A client of DynamoDB, or of what answers at `url`.
#[must_use]
pub fn at(shared: &SdkConfig, url: Option<String>) -> Client {
    let mut config = bounded(Builder::from(shared));
    config.set_endpoint_url(url);
    Client::from_conf(config.build())
}

/// A client of the engine behind `http_client`: no network, no signing.
#[must_use]
pub fn over(http_client: SharedHttpClient) -> Client {
    let config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("local"))
        .endpoint_url("http://embedded.invalid")
        .allow_no_auth()
        .http_client(http_client);
    // One try with one deadline: a second would queue behind the first, and find its own success in the way.
    let deadline = TimeoutConfig::builder().operation_timeout(CALL_DEADLINE).build();
    let config = config.timeout_config(deadline).retry_config(RetryConfig::disabled());
    Client::from_conf(config.stalled_stream_protection(StalledStreamProtectionConfig::disabled()).build())
}

/// How long a service of AWS is waited for.
#[must_use]
pub fn deadlines() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_DEADLINE)
        .operation_attempt_timeout(ATTEMPT_DEADLINE)
        .operation_timeout(CALL_DEADLINE)
        .build()
}

fn bounded(config: Builder) -> Builder {
    config
        .timeout_config(deadlines())
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(FIRST_BACKOFF))
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
}
