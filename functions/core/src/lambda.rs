//! The Lambda shell: the same routers behind API Gateway.

use std::{net::IpAddr, sync::Arc};

use axum::{Router, extract::Request};
use lambda_http::{RequestExt, request::RequestContext, service_fn};
use tower::ServiceExt;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    app::{App, Parts},
    clock::SystemClock,
    config::{Settings, StoreKind, Vars},
    http::{client::Peer, shell},
    keyset::KeySet,
    logging,
    random::OsRandom,
    store,
};

/// Runs one endpoint as a Lambda function: settings, keys and clients once per cold start.
///
/// # Errors
/// Settings or keys that can't be used, and the runtime's own errors.
pub async fn serve(router: OpenApiRouter<App>) -> Result<(), lambda_http::Error> {
    let settings = Settings { store: StoreKind::DynamoDb, ..Settings::read(&Vars::of_process(), None)? };
    logging::start(&settings.log)?;
    let keys = keys(&settings)?;
    let parts = Parts {
        settings,
        client: store::with_aws(store::https()).await,
        keys,
        // A function serves one request at a time.
        hashing_threads: 1,
        clock: Arc::new(SystemClock),
        random: Arc::new(OsRandom),
    };
    let (router, _) = router.split_for_parts();
    let app = shell::complete(router, App::new(parts)?);
    lambda_http::run(service_fn(move |event: lambda_http::Request| answer(app.clone(), event))).await
}

fn keys(settings: &Settings) -> Result<KeySet, lambda_http::Error> {
    let Some(path) = &settings.keys_file else {
        return Err("HALLPASS_KEYS_FILE: no keys; name the file that holds them".into());
    };
    let text = zeroize::Zeroizing::new(
        std::fs::read_to_string(path).map_err(|error| format!("HALLPASS_KEYS_FILE: {}: {error}", path.display()))?,
    );
    Ok(KeySet::parse(&text).map_err(|error| format!("HALLPASS_KEYS_FILE: {}: {error}", path.display()))?)
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
