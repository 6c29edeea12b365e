//! HTTP/1.1 over rustls: all that DynamoDB, SSM and whoever takes CloudFormation's answers need. The SDK's own client links
//! HTTP/2 as well, which is a tenth of a function.

use std::{error::Error, sync::Arc, time::Duration};

use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        http::{HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn},
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
        retries::ErrorKind,
    },
};
use aws_smithy_types::body::SdkBody;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, Client, connect},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};

/// For TCP alone.
pub(crate) const CONNECT_DEADLINE: Duration = Duration::from_secs(1);

/// Speaks TLS to `https` addresses, and goes to `http` ones as they are.
pub type Connector = HttpsConnector<connect::HttpConnector>;

/// This build of rustls offers no version of TLS.
#[derive(Debug, thiserror::Error)]
#[error("no TLS: {0}")]
pub struct NoTls(#[from] rustls::Error);

/// A connector that trusts what the system trusts. Without certificates on the system it trusts nobody, which is fine
/// for `http` addresses.
///
/// # Errors
/// [`NoTls`].
pub fn connector() -> Result<Connector, NoTls> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(event = "tls.certificates_not_read", %error);
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions()?.with_root_certificates(roots).with_no_client_auth();
    let mut tcp = connect::HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_DEADLINE));
    Ok(HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1().wrap_connector(tcp))
}

/// The HTTP client of the SDK's clients.
///
/// # Errors
/// [`NoTls`].
pub fn client() -> Result<SharedHttpClient, NoTls> {
    let pool = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector()?);
    let connector = SharedHttpConnector::new(Https(pool));
    Ok(http_client_fn(move |_settings, _components| connector.clone()))
}

#[derive(Debug, Clone)]
struct Https(Client<Connector, SdkBody>);

impl HttpConnector for Https {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = self.0.clone();
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            let response = client.request(request).await.map_err(failed)?;
            HttpResponse::try_from(response.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// What went wrong, so that the SDK can tell whether another try may help. Whether the call took effect is never known
/// here; the store's callers write so that it doesn't matter.
fn failed(error: legacy::Error) -> ConnectorError {
    let hyper = source_of::<hyper::Error>(&error);
    if hyper.is_some_and(hyper::Error::is_timeout) {
        return ConnectorError::timeout(error.into());
    }
    if hyper.is_some_and(hyper::Error::is_incomplete_message) {
        return ConnectorError::other(error.into(), Some(ErrorKind::TransientError));
    }
    let is_closed = hyper.is_some_and(|error| error.is_closed() || error.is_canceled());
    let is_io = error.is_connect() || is_closed || source_of::<std::io::Error>(&error).is_some();
    let error: BoxError = error.into();
    if is_io { ConnectorError::io(error) } else { ConnectorError::other(error, None) }
}

fn source_of<T: Error + 'static>(error: &legacy::Error) -> Option<&T> {
    std::iter::successors(error.source(), |error| (*error).source()).find_map(|error| error.downcast_ref())
}
