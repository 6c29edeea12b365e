//! Calls to the store by operation and result, and how long they took. Each try of the SDK is a call.

use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
        http_client_fn,
    },
    orchestrator::HttpRequest,
    runtime_components::RuntimeComponents,
};
use hallpass_core::clock::SharedClock;
use hallpass_embedded::wire;
use jiff::Timestamp;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::{BUCKETS_SECONDS, seconds_since};

#[derive(Clone)]
pub(super) struct StoreCalls {
    clock: SharedClock,
    ended: Family<Ended, Counter>,
    durations: Family<Operation, Histogram, fn() -> Histogram>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    operation: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    operation: &'static str,
    result: &'static str,
}

/// One call; whatever becomes of it, it is counted when it is dropped.
struct Call {
    calls: StoreCalls,
    operation: &'static str,
    started: Timestamp,
    result: &'static str,
}

impl StoreCalls {
    pub(super) fn register(registry: &mut Registry, clock: SharedClock) -> Self {
        let durations: fn() -> Histogram = || Histogram::new(BUCKETS_SECONDS);
        let calls = Self { clock, ended: Family::default(), durations: Family::new_with_constructor(durations) };
        registry.register("store_calls", "Calls to the store that ended", calls.ended.clone());
        registry.register_with_unit(
            "store_call_duration",
            "Time until the store answered or was given up",
            Unit::Seconds,
            calls.durations.clone(),
        );
        calls
    }

    pub(super) fn around(&self, inner: SharedHttpClient) -> SharedHttpClient {
        let calls = self.clone();
        http_client_fn(move |settings: &HttpConnectorSettings, components: &RuntimeComponents| {
            let inner = inner.http_connector(settings, components);
            SharedHttpConnector::new(Measured { calls: calls.clone(), inner })
        })
    }

    fn begin(&self, operation: &str) -> Call {
        // Given up: by a deadline, or because whoever asked is gone.
        let (operation, started) = (word(operation), self.clock.now());
        Call { calls: self.clone(), operation, started, result: "no_answer" }
    }
}

impl Call {
    /// Takes all of the call along, or the future would hold a copy of its result and let the rest end too early.
    fn end(mut self, status: Option<u16>) {
        self.result = status.map_or(self.result, result);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let Self { calls, operation, started, result } = self;
        let (operation, result) = (*operation, *result);
        calls.durations.get_or_create(&Operation { operation }).observe(seconds_since(*started, &*calls.clock));
        calls.ended.get_or_create(&Ended { operation, result }).inc();
    }
}

struct Measured {
    calls: StoreCalls,
    inner: SharedHttpConnector,
}

impl std::fmt::Debug for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Measured").field(&self.inner).finish()
    }
}

impl HttpConnector for Measured {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let call = self.calls.begin(wire::operation(request.headers().get(wire::TARGET)));
        let answer = self.inner.call(request);
        HttpConnectorFuture::new(async move {
            let answer = answer.await;
            call.end(answer.as_ref().ok().map(|answer| answer.status().as_u16()));
            answer
        })
    }
}

/// A word of ours for an operation.
fn word(operation: &str) -> &'static str {
    const OPERATIONS: [&str; 11] = [
        "BatchGetItem",
        "CreateTable",
        "DeleteItem",
        "DescribeTable",
        "DescribeTimeToLive",
        "GetItem",
        "PutItem",
        "Query",
        "TransactWriteItems",
        "UpdateItem",
        "UpdateTimeToLive",
    ];
    OPERATIONS.into_iter().find(|ours| *ours == operation).unwrap_or("other")
}

/// Conditions that failed are answers; only the body tells them from throttling, and it is not read for this.
fn result(status: u16) -> &'static str {
    match status {
        200..=299 => "done",
        400..=499 => "refused",
        _ => "failed",
    }
}
