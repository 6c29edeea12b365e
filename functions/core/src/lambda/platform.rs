//! What the platform puts into the environment of every function: region, credentials, and in tests where the services
//! are. The SDK's default chain would ask profiles, STS and metadata services besides, none of which a function has;
//! they are a tenth of its size.

use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig, environment::EnvironmentVariableCredentialsProvider};
use aws_sdk_ssm::config::{SharedCredentialsProvider, StalledStreamProtectionConfig, retry::RetryConfig};

use crate::{config::Vars, https, store};

/// A function answers one request at a time, which asks of the store a few things at once at most.
const CALLS_MAX: usize = 64;
/// Many functions that start at once ask for more keys a second than SSM gives by default.
const SSM_ATTEMPTS: u32 = 5;
/// Doubled each time, so that all tries fit into the deadline.
const SSM_FIRST_BACKOFF: Duration = Duration::from_millis(100);

/// How a function reaches AWS.
pub struct Platform {
    shared: SdkConfig,
    /// `AWS_ENDPOINT_URL_DYNAMODB`
    dynamodb_url: Option<String>,
    /// `AWS_ENDPOINT_URL_SSM`
    ssm_url: Option<String>,
}

impl Platform {
    /// Reads the environment.
    ///
    /// # Errors
    /// [`https::NoTls`].
    pub fn read(vars: &mut Vars) -> Result<Self, https::NoTls> {
        let shared = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(https::client(CALLS_MAX)?)
            .region(vars.take("AWS_REGION").map(Region::new))
            .credentials_provider(SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new()))
            .build();
        Ok(Self {
            shared,
            dynamodb_url: vars.take("AWS_ENDPOINT_URL_DYNAMODB"),
            ssm_url: vars.take("AWS_ENDPOINT_URL_SSM"),
        })
    }

    /// A client of the store.
    #[must_use]
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        store::at(&self.shared, self.dynamodb_url.clone())
    }

    /// A client of the parameter store.
    #[must_use]
    pub fn ssm(&self) -> aws_sdk_ssm::Client {
        let mut config = aws_sdk_ssm::config::Builder::from(&self.shared)
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .timeout_config(store::deadlines())
            .retry_config(
                RetryConfig::standard().with_max_attempts(SSM_ATTEMPTS).with_initial_backoff(SSM_FIRST_BACKOFF),
            );
        config.set_endpoint_url(self.ssm_url.clone());
        aws_sdk_ssm::Client::from_conf(config.build())
    }
}
