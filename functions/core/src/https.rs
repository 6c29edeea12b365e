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
use axum::http;
use http_body_util::BodyExt;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, Client, connect},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio::sync::Semaphore;

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
    trusting(roots)
}

fn trusting(roots: RootCertStore) -> Result<Connector, NoTls> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions()?.with_root_certificates(roots).with_no_client_auth();
    let mut tcp = connect::HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_DEADLINE));
    Ok(HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1().wrap_connector(tcp))
}

/// The HTTP client of the SDK's clients: no more than `calls_max` calls at a time, and so many connections that are kept.
///
/// # Errors
/// [`NoTls`].
pub fn client(calls_max: usize) -> Result<SharedHttpClient, NoTls> {
    let mut pool = Client::builder(TokioExecutor::new());
    let pool = pool.pool_timer(TokioTimer::new()).pool_max_idle_per_host(calls_max).build(connector()?);
    let connector = SharedHttpConnector::new(Https { pool, calls: Arc::new(Semaphore::new(calls_max)) });
    Ok(http_client_fn(move |_settings, _components| connector.clone()))
}

#[derive(Debug, Clone)]
struct Https {
    pool: Client<Connector, SdkBody>,
    calls: Arc<Semaphore>,
}

impl HttpConnector for Https {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Self { pool, calls } = self.clone();
        HttpConnectorFuture::new(async move {
            // Who waits here does so within the deadlines of a call, as if the store took so long.
            let _permit = calls.acquire_owned().await;
            let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            let response = pool.request(request).await.map_err(failed)?;
            let (head, body) = response.into_parts();
            // Read whole: until then the connection is in use.
            let body = body.collect().await.map_err(|error| ConnectorError::io(error.into()))?.to_bytes();
            HttpResponse::try_from(http::Response::from_parts(head, SdkBody::from(body)))
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

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpListener,
        sync::mpsc::{Receiver, channel},
        thread,
    };

    use aws_sdk_dynamodb::config::{BehaviorVersion, Builder, Region};
    use data_encoding::BASE64;
    use futures_util::FutureExt;
    use rustls::{ServerConfig, ServerConnection, StreamOwned, pki_types::PrivatePkcs8KeyDer};

    use super::*;
    use crate::{logging::reasons, store::StoreError};

    /// Of `localhost`, by its own authority, until 2120; openssl made it, and a key that opens nothing else.
    const VALID: &str = "MIIBbzCCARWgAwIBAgIUBgfedBLsM8T8c5SJcT7h48J1jewwCgYIKoZIzj0EAwIwEzERMA8GA1UEAwwIaGFsbHBhc3MwIBcNMjAw\
         MTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBMxETAPBgNVBAMMCGhhbGxwYXNzMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\
         j8/6h0umojO4bgCN/YAAeQ50VuI8As40CsmK22iB4emFdouvmlJd8fenvpS442UQX2sY9L4/H8MNQVdPmTxRXKNFMEMwFAYDVR0R\
         BA0wC4IJbG9jYWxob3N0MAwGA1UdEwEB/wQCMAAwHQYDVR0OBBYEFB9wFDIh2gE6Rdyhdxsh3EcfhQCfMAoGCCqGSM49BAMCA0gA\
         MEUCIQCR9Ihdk3Zh8ZNnW8nnbWr0wzuvZk3qrD8311OW0oa8ygIgVmyKfsXvZiKFV2Rz9XU6l4BJOCHjGIl7lwpRdCAyUMQ=";
    /// The same until 2020.
    const EXPIRED: &str = "MIIBbTCCAROgAwIBAgIUGfCnuCAokcSrKyadAyAV0IuB3dYwCgYIKoZIzj0EAwIwEzERMA8GA1UEAwwIaGFsbHBhc3MwHhcNMjAw\
         MTAxMDAwMDAwWhcNMjAwMTAyMDAwMDAwWjATMREwDwYDVQQDDAhoYWxscGFzczBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABI/P\
         +odLpqIzuG4Ajf2AAHkOdFbiPALONArJittogeHphXaLr5pSXfH3p76UuONlEF9rGPS+Px/DDUFXT5k8UVyjRTBDMBQGA1UdEQQN\
         MAuCCWxvY2FsaG9zdDAMBgNVHRMBAf8EAjAAMB0GA1UdDgQWBBQfcBQyIdoBOkXcoXcbIdxHH4UAnzAKBggqhkjOPQQDAgNIADBF\
         AiEAzoPLDBd9qRu3Www4HjJ+QskHpf64vBjpdn+iZZvD/lICIFRM22KyBoTYD3qfC/TDF4vnE4g3K+KekA2wUr441dNO";
    const KEY: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgd9TkoJ03f/ddnGVl2vr8rPHMm6w7J/FUE77GoFKOVKOhRANCAASP\
         z/qHS6aiM7huAI39gAB5DnRW4jwCzjQKyYrbaIHh6YV2i6+aUl3x96e+lLjjZRBfaxj0vj8fww1BV0+ZPFFc";

    fn decoded(text: &str) -> Vec<u8> {
        BASE64.decode(text.as_bytes()).unwrap()
    }

    /// Answers over TLS on the port that it returns.
    fn serve(certificate: &str) -> u16 {
        let key = PrivatePkcs8KeyDer::from(decoded(KEY)).into();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let config = Arc::new(config.with_single_cert(vec![decoded(certificate).into()], key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for tcp in listener.incoming() {
                let mut tls = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), tcp.unwrap());
                // Who doesn't trust the certificate sends nothing.
                if tls.read(&mut [0; 1024]).is_ok() {
                    tls.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
                }
            }
        });
        port
    }

    async fn ask(url: &str, trusted: Option<&str>) -> Result<u16, String> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(trusted.map(|certificate| decoded(certificate).into()));
        let client = Client::builder(TokioExecutor::new()).build(trusting(roots).unwrap());
        let request = http::Request::get(url).body(SdkBody::empty()).unwrap();
        let answer = client.request(request).await.map_err(|error| reasons(&error))?;
        Ok(answer.status().as_u16())
    }

    #[tokio::test]
    async fn a_certificate_of_nobody_we_trust_of_another_name_or_of_the_past_is_refused() {
        let (valid, expired) = (serve(VALID), serve(EXPIRED));
        assert_eq!(ask(&format!("https://localhost:{valid}"), Some(VALID)).await, Ok(200));
        for (url, trusted, reason) in [
            (format!("https://localhost:{valid}"), None, "UnknownIssuer"),
            (format!("https://127.0.0.1:{valid}"), Some(VALID), "not valid for name"),
            (format!("https://localhost:{expired}"), Some(EXPIRED), "certificate expired"),
        ] {
            let error = ask(&url, trusted).await.unwrap_err();
            assert!(error.contains("invalid peer certificate") && error.contains(reason), "{url}: {error}");
        }
    }

    /// Answers every request with `302 Found` to another place of its own; its address, and what it was asked.
    fn redirecting() -> (String, Receiver<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let head = format!("HTTP/1.1 302 Found\r\nlocation: {address}/elsewhere\r\n");
        let answer = format!("{head}connection: close\r\ncontent-length: 0\r\n\r\n");
        let (tell, asked) = channel();
        thread::spawn(move || {
            for tcp in listener.incoming() {
                let mut tcp = tcp.unwrap();
                let _ = tcp.read(&mut [0; 4096]).unwrap();
                tell.send(()).unwrap();
                tcp.write_all(answer.as_bytes()).unwrap();
            }
        });
        (address, asked)
    }

    #[tokio::test]
    async fn a_store_that_sends_elsewhere_is_no_store_and_not_followed() {
        let (address, asked) = redirecting();
        let config = Builder::new().behavior_version(BehaviorVersion::latest()).region(Region::from_static("local"));
        let config = config.endpoint_url(address).allow_no_auth().http_client(client(1).unwrap());
        let store = aws_sdk_dynamodb::Client::from_conf(config.build());
        let error = store.list_tables().send().boxed().await.unwrap_err();
        assert_eq!(error.raw_response().unwrap().status().as_u16(), 302);
        assert!(matches!(StoreError::from(error), StoreError::Unavailable(_)));
        assert_eq!(asked.try_iter().count(), 1);
    }
}
