//! `hallpass dynamodb`: the embedded store for other processes, over HTTP as DynamoDB speaks it.
//!
//! For a few replicas on one private network, and for Lambda functions on a developer's machine. Requests aren't
//! authenticated: whoever reaches the port reads and writes everything.

use std::{net::SocketAddr, path::Path, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use hallpass_core::{config::StoreKind, logging};
use hallpass_embedded::{Embedded, wire};

use super::{CommandError, run_until_stopped, settings};
use crate::{
    files,
    server::{self, Draining},
};

/// What DynamoDB takes at most, in bytes.
const BODY_MAX_BYTES: usize = 16 * 1024 * 1024;

/// Serves the store in the data folder until SIGTERM or SIGINT.
pub(crate) fn run(listen: SocketAddr) -> Result<(), CommandError> {
    let settings = settings()?;
    logging::start(&settings.log)?;
    run_until_stopped(serve(listen, &settings.data_dir))
}

async fn serve(listen: SocketAddr, data_dir: &Path) -> Result<(), CommandError> {
    let listener = server::bind(listen, "--listen").await?;
    let store = Arc::new(Embedded::open(data_dir)?);
    let signals = server::StopSignals::listen()?;
    let address = listener.local_addr()?;
    tracing::info!(event = "server.started", %address, "DynamoDB's language is spoken on http://{address}");
    if !address.ip().is_loopback() {
        tracing::warn!(
            event = "config.open_store",
            "requests are not authenticated: let nobody but your own replicas reach this port"
        );
    }
    let draining = Draining::default();
    let served = Served { store, draining: draining.clone() };
    server::serve(listener, router(served), files::places(StoreKind::Embedded), signals, draining).await;
    Ok(())
}

#[derive(Clone)]
struct Served {
    store: Arc<Embedded>,
    draining: Draining,
}

fn router(served: Served) -> Router {
    Router::new()
        .route("/", post(answer))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
        .with_state(served)
}

async fn answer(State(Served { store, .. }): State<Served>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get(wire::TARGET).and_then(|target| target.to_str().ok());
    match store.answer(wire::operation(target), body.to_vec()).await {
        Ok(answer) => {
            let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, [(header::CONTENT_TYPE, wire::MEDIA_TYPE)], answer.body).into_response()
        }
        // The SDK tries again.
        Err(_overloaded) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// Ready while the engine answers and nobody has told the process to stop.
async fn ready(State(Served { store, draining }): State<Served>) -> Result<&'static str, StatusCode> {
    if draining.has_begun() {
        return Err(StatusCode::SERVICE_UNAVAILABLE);
    }
    match store.answer("ListTables", b"{}".to_vec()).await {
        // Who has waited for the engine may have waited for long.
        Ok(answer) if answer.status == 200 && !draining.has_begun() => Ok("ready\n"),
        Ok(_) | Err(_) => Err(StatusCode::SERVICE_UNAVAILABLE),
    }
}
