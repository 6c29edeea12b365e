//! The Lambda shell: the same routers behind API Gateway.
//!
//! What a cold start needs is done in the init phase, before the first event is asked for: settings, keys, credentials,
//! the connection to the store. DNS, TCP and TLS take longer than everything else together.

pub mod keys;
pub mod platform;

use std::{net::IpAddr, sync::Arc};

use aws_sdk_dynamodb::Client;
use axum::{Router, extract::Request, http::header};
use lambda_http::{
    Adapter, LambdaEvent, RequestExt,
    request::{LambdaRequest, RequestContext},
    service_fn,
};
use tower::{ServiceBuilder, ServiceExt};
use url::Url;
use utoipa_axum::router::OpenApiRouter;

use self::platform::Platform;
use crate::{
    app::{App, Keyed, Keyless, Parts},
    clock::SystemClock,
    config::{Settings, StoreKind, Vars},
    http::{client::Peer, shell},
    logging,
    random::OsRandom,
    store::{Counters, tables::TableNames},
};

/// A function serves one request at a time.
const HASHING_THREADS: usize = 1;

/// Runs an endpoint that needs no key as a Lambda function: settings and clients once per cold start.
///
/// # Errors
/// Settings that can't be used, and the runtime's own errors.
pub async fn serve_keyless(router: OpenApiRouter<Keyless>) -> Result<(), lambda_http::Error> {
    let keyless = keyless().await?;
    Box::pin(run(router.with_state(keyless.clone()), keyless)).await
}

/// Runs an endpoint as a Lambda function: settings, keys and clients once per cold start.
///
/// # Errors
/// Settings or keys that can't be used, and the runtime's own errors.
pub async fn serve(router: OpenApiRouter<App>) -> Result<(), lambda_http::Error> {
    let (parts, platform) = Box::pin(parts()).await?;
    let keys = Box::pin(keys::load(&parts.settings, &platform)).await?;
    let app = App::new(parts, Keyed { keys, hashing_threads: HASHING_THREADS })?;
    Box::pin(run(router.with_state(app.clone()), app.keyless.clone())).await
}

/// What needs no key, for a function that is no endpoint.
///
/// # Errors
/// Settings that can't be used.
pub async fn keyless() -> Result<Keyless, lambda_http::Error> {
    Ok(Keyless::new(Box::pin(parts()).await?.0))
}

async fn parts() -> Result<(Parts, Platform), lambda_http::Error> {
    let mut vars = Vars::of_process();
    let platform = Platform::read(&mut vars)?;
    let settings = Settings { store: StoreKind::DynamoDb, ..Settings::read(&vars, None)? };
    logging::start(&settings.log)?;
    let client = platform.dynamodb();
    warm(&client, &settings).await;
    Ok((
        Parts { settings, client, revisions: None, clock: Arc::new(SystemClock), random: Arc::new(OsRandom) },
        platform,
    ))
}

/// Opens the connection to the store, with credentials, by a read that every function may do. Whether it succeeds is
/// no matter: the first request tries again, and answers for it.
async fn warm(client: &Client, settings: &Settings) {
    let counters = Counters::new(client.clone(), &TableNames::new(&settings.table_prefix));
    if let Err(error) = counters.ping().await {
        tracing::warn!(event = "store.not_warmed", %error);
    }
}

async fn run(router: OpenApiRouter, keyless: Keyless) -> Result<(), lambda_http::Error> {
    let (router, _) = router.split_for_parts();
    let app = shell::complete(router, keyless);
    let adapter = Adapter::from(service_fn(move |event: lambda_http::Request| answer(app.clone(), event)));
    let readable = ServiceBuilder::new()
        .map_request(|LambdaEvent { payload, context }| LambdaEvent { payload: readable(payload), context });
    lambda_http::lambda_runtime::run(readable.service(adapter)).await
}

/// An event without what `lambda_http` would panic at when it makes a URL of it. Nothing of ours reads the host; a path and
/// a query become what a browser would have sent.
fn readable(mut event: LambdaRequest) -> LambdaRequest {
    if let LambdaRequest::ApiGatewayV2(request) = &mut event {
        request.headers.remove(header::HOST);
        request.request_context.domain_name = None;
        request.raw_path =
            request.raw_path.take().filter(|path| path.starts_with('/')).or_else(|| Some("/".to_owned()));
        request.raw_query_string = request.raw_query_string.take().and_then(|query| encoded(&query));
    }
    event
}

fn encoded(query: &str) -> Option<String> {
    let mut url: Url = "http://localhost".parse().ok()?;
    url.set_query(Some(query));
    url.query().map(str::to_owned)
}

async fn answer(
    app: Router,
    event: lambda_http::Request,
) -> Result<axum::response::Response, std::convert::Infallible> {
    let peer = Peer(source_address(&event));
    let mut request: Request = event.map(axum::body::Body::new);
    request.extensions_mut().insert(peer);
    app.oneshot(request).await
}

/// The peer of the gateway, set by the platform: no header that a client sends can change it.
fn source_address(event: &lambda_http::Request) -> Option<IpAddr> {
    match event.request_context_ref()? {
        RequestContext::ApiGatewayV2(context) => context.http.source_ip.as_deref()?.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::{prelude::*, sample::select, test_runner::Config};
    use serde_json::{Value, json};

    use super::*;

    fn event() -> Value {
        json!({
            "version": "2.0",
            "routeKey": "GET /session",
            "rawPath": "/session",
            "rawQueryString": "",
            "headers": { "host": "login.example.org", "x-forwarded-proto": "https" },
            "requestContext": {
                "domainName": "login.example.org",
                "http": { "method": "GET", "path": "/session", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1" },
                "stage": "$default",
            },
            "isBase64Encoded": false,
        })
    }

    fn read(change: impl FnOnce(&mut Value)) -> lambda_http::Request {
        let mut event = event();
        change(&mut event);
        readable(serde_json::from_value(event).unwrap()).into()
    }

    #[test]
    fn any_event_is_read_or_refused() {
        let places = select(
            &[
                "/headers/host",
                "/headers/x-forwarded-proto",
                "/rawPath",
                "/rawQueryString",
                "/body",
                "/cookies",
                "/isBase64Encoded",
                "/requestContext/domainName",
                "/requestContext/stage",
                "/requestContext/http/method",
                "/requestContext/http/path",
                "/requestContext/http/sourceIp",
            ][..],
        );
        let texts = prop_oneof!["[ -~]{0,12}", "[:/?#\\[\\]@%.]{0,6}", any::<String>()];
        let read = Cell::new(0);
        let config = Config { failure_persistence: None, ..Config::default() };
        proptest!(config, |(place in places, text in texts, is_listed in any::<bool>())| {
            let mut event = event();
            event["body"] = json!("e30=");
            event["cookies"] = json!([]);
            *event.pointer_mut(place).unwrap() = if is_listed { json!([text]) } else { json!(text) };
            // What is no event is the platform's to refuse; what is one becomes a request without a panic.
            if let Ok(event) = serde_json::from_value(event) {
                let request: lambda_http::Request = readable(event).into();
                prop_assert!(request.uri().path().starts_with('/'));
                let address = source_address(&request).map(|address| address.to_string());
                prop_assert!(address.is_none_or(|address| address == "192.0.2.1" || address.parse::<IpAddr>() == text.parse()));
                read.set(read.get() + 1);
            }
        });
        assert!(read.get() > 0, "every event was refused");
    }

    #[test]
    fn an_event_with_a_host_a_scheme_or_a_query_that_is_none_is_read() {
        for host in ["", "a b", "[", "a:b:c", "\u{e9}"] {
            assert_eq!(read(|event| event["headers"]["host"] = json!(host)).uri().path(), "/session", "{host:?}");
            let request = read(|event| event["requestContext"]["domainName"] = json!(host));
            assert_eq!(request.uri().path(), "/session", "{host:?}");
        }
        assert_eq!(read(|event| event["headers"]["x-forwarded-proto"] = json!("1:/")).uri().path(), "/session");
        for (query, expected) in [("a b", "a%20b"), ("a#b", "a%23b"), ("\u{e9}", "%C3%A9"), ("a=%zz", "a=%zz")] {
            let request = read(|event| event["rawQueryString"] = json!(query));
            assert_eq!((request.uri().path(), request.uri().query()), ("/session", Some(expected)), "{query:?}");
        }
        assert_eq!(read(|event| event["rawPath"] = json!(":80/x")).uri().path(), "/");
        assert_eq!(source_address(&read(|_| ())), Some([192, 0, 2, 1].into()));
    }
}
