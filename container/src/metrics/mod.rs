//! `/metrics`: what a process did and does, in Prometheus's text format, on a port of its own.
//!
//! No label holds what a client chose: routes are patterns, methods, operations and results are words of ours, limits
//! are named by the settings. So the number of series is bounded, and no secret and no name can get among them
//! (attack 5.36). What core counts by itself is read when somebody asks; a request costs two look-ups and four reads of
//! the clock or fewer.

mod counted;
mod requests;
mod store_calls;

use std::sync::Arc;

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use axum::{
    Router,
    extract::State,
    http::{HeaderName, HeaderValue, header},
    middleware::from_fn_with_state,
    routing::get,
};
use hallpass_core::{
    app::App,
    clock::{Clock, SharedClock},
    http::problem::Problem,
};
use jiff::Timestamp;
use prometheus_client::{encoding::prometheus_text, metrics::info::Info, registry::Registry};

use self::{counted::Counted, requests::Requests, store_calls::StoreCalls};

/// Everything that is measured.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Requests,
    store_calls: StoreCalls,
}

/// Upper bounds in seconds: a guarded request takes 0.1 ms, a login 50 ms, a full queue four seconds.
const BUCKETS_SECONDS: [f64; 15] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
const TEXT: (HeaderName, HeaderValue) =
    (header::CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"));

impl Metrics {
    pub(crate) fn new(clock: SharedClock) -> Self {
        let mut registry = Registry::with_prefix("hallpass");
        registry.register("build", "What runs", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        let requests = Requests::register(&mut registry, Arc::clone(&clock));
        let store_calls = StoreCalls::register(&mut registry, clock);
        Self { registry, requests, store_calls }
    }

    /// A client whose calls are measured.
    pub(crate) fn around(&self, store: SharedHttpClient) -> SharedHttpClient {
        self.store_calls.around(store)
    }

    /// Routes whose requests are measured.
    pub(crate) fn measured(&self, router: Router) -> Router {
        router.layer(from_fn_with_state(self.requests.clone(), requests::measure))
    }

    /// Where all of it is read, together with what `app` counts.
    pub(crate) fn router(mut self, app: &App) -> Router {
        self.registry.register_collector(Box::new(Counted::by(app)));
        Router::new()
            .route("/metrics", get(show))
            .fallback(|| async { Problem::not_found() })
            .with_state(Arc::new(self.registry))
    }
}

async fn show(State(registry): State<Arc<Registry>>) -> Result<([(HeaderName, HeaderValue); 1], String), Problem> {
    let mut text = String::new();
    prometheus_text::encode(&mut text, &registry).map_err(|_| Problem::internal())?;
    Ok(([TEXT], text))
}

/// The seconds from `started` until now; none if the clock was set back meanwhile.
fn seconds_since(started: Timestamp, clock: &dyn Clock) -> f64 {
    clock.now().duration_since(started).as_secs_f64().max(0.0)
}
