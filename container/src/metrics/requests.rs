//! Requests by route, method and status, and how long they took.

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use hallpass_core::{clock::SharedClock, http::shell::method_name};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::{BUCKETS_SECONDS, seconds_since};

#[derive(Clone)]
pub(super) struct Requests {
    clock: SharedClock,
    answered: Family<Answered, Counter>,
    durations: Family<Route, Histogram, fn() -> Histogram>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    method: &'static str,
    /// The pattern, such as `/sessions/{id}`; never the path.
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    #[prometheus(flatten)]
    route: Route,
    status: u16,
}

impl Requests {
    pub(super) fn register(registry: &mut Registry, clock: SharedClock) -> Self {
        let durations: fn() -> Histogram = || Histogram::new(BUCKETS_SECONDS);
        let requests = Self { clock, answered: Family::default(), durations: Family::new_with_constructor(durations) };
        registry.register("http_requests", "Requests that were answered", requests.answered.clone());
        registry.register_with_unit(
            "http_request_duration",
            "Time until an answer began",
            Unit::Seconds,
            requests.durations.clone(),
        );
        requests
    }
}

/// Measures one request. One whose client hangs up before the answer is not counted.
pub(super) async fn measure(State(requests): State<Requests>, request: Request, next: Next) -> Response {
    let pattern = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str);
    let route = Route { method: method_name(request.method()), route: pattern.to_owned() };
    let started = requests.clock.now();
    let response = next.run(request).await;
    requests.durations.get_or_create(&route).observe(seconds_since(started, &*requests.clock));
    requests.answered.get_or_create(&Answered { route, status: response.status().as_u16() }).inc();
    response
}
