//! Records the calls to the store, and how many of them had to wait for another.

use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
        http_client_fn,
    },
    orchestrator::HttpRequest,
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use hallpass_embedded::wire;

/// A shared record of store calls. A cheap clone.
#[derive(Debug, Clone, Default)]
pub struct Recorder {
    events: Arc<Mutex<Vec<Event>>>,
    stale_reads: Arc<Mutex<Vec<String>>>,
    cut_off: Arc<Mutex<&'static [&'static str]>>,
    held: Arc<Mutex<Option<(&'static str, Gate)>>>,
}

/// Where one call waits.
#[derive(Debug, Clone, Default)]
struct Gate {
    arrived: Arc<tokio::sync::Notify>,
    opened: Arc<tokio::sync::Notify>,
}

/// One call that is held back until it is let go.
#[derive(Debug)]
pub struct Held(Gate);

impl Held {
    /// Waits until the call is there, ready to be sent.
    pub async fn arrived(&self) {
        self.0.arrived.notified().await;
    }

    /// Sends the call on its way.
    pub fn let_go(self) {
        self.0.opened.notify_one();
    }
}

#[derive(Debug, Clone)]
enum Event {
    Began(usize, String),
    Ended(usize),
}

impl Recorder {
    /// Every operation that an endpoint calls.
    pub const ALL: &[&str] =
        &["GetItem", "BatchGetItem", "Query", "UpdateItem", "PutItem", "DeleteItem", "TransactWriteItems"];

    /// A client that records what goes through `inner`.
    #[must_use]
    pub fn around(&self, inner: SharedHttpClient) -> SharedHttpClient {
        let recorder = self.clone();
        http_client_fn(move |settings: &HttpConnectorSettings, components: &RuntimeComponents| {
            SharedHttpConnector::new(Recording {
                recorder: recorder.clone(),
                inner: inner.http_connector(settings, components),
            })
        })
    }

    /// Forgets what was recorded.
    pub fn clear(&self) {
        self.events.lock().unwrap().clear();
    }

    /// Operations that asked for what the store has, but not for what was written last.
    #[must_use]
    pub fn stale_reads(&self) -> Vec<String> {
        self.stale_reads.lock().unwrap().clone()
    }

    fn look_at(&self, operation: &str, body: &[u8]) {
        if matches!(operation, "GetItem" | "BatchGetItem" | "Query" | "Scan") {
            let asked = String::from_utf8_lossy(body);
            if !asked.contains(r#""ConsistentRead":true"#) {
                self.stale_reads.lock().unwrap().push(format!("{operation} {asked}"));
            }
        }
    }

    /// From now on no call of these operations reaches the store.
    pub fn cut_off(&self, operations: &'static [&'static str]) {
        *self.cut_off.lock().unwrap() = operations;
    }

    /// From now on every call reaches the store again.
    pub fn reconnect(&self) {
        self.cut_off(&[]);
    }

    /// Holds back the next call of this operation: what it was decided on may change before it is sent.
    #[must_use]
    pub fn hold_next(&self, operation: &'static str) -> Held {
        let gate = Gate::default();
        *self.held.lock().unwrap() = Some((operation, gate.clone()));
        Held(gate)
    }

    /// Lets a call through to the store and records it; `None` if the store is cut off.
    pub async fn observe<Answer>(&self, operation: &str, call: impl Future<Output = Answer>) -> Option<Answer> {
        if self.cut_off.lock().unwrap().contains(&operation) {
            return None;
        }
        if let Some(gate) = self.gate(operation) {
            gate.arrived.notify_one();
            gate.opened.notified().await;
        }
        let number = self.record(|number| Event::Began(number, operation.to_owned()));
        // Whatever is to run side by side with this call begins before it ends.
        others_first(3).await;
        // And what races with it overtakes it by chance, on the way there and on the way back.
        others_first(fastrand::u8(..=OVERTAKEN_MAX)).await;
        let answer = call.await;
        others_first(fastrand::u8(..=OVERTAKEN_MAX)).await;
        self.record(|_| Event::Ended(number));
        Some(answer)
    }

    fn gate(&self, operation: &str) -> Option<Gate> {
        let mut held = self.held.lock().unwrap();
        held.take_if(|(held, _)| *held == operation).map(|(_, gate)| gate)
    }

    /// The operations that were called, in order.
    #[must_use]
    pub fn operations(&self) -> Vec<String> {
        let events = self.events.lock().unwrap();
        events
            .iter()
            .filter_map(|event| match event {
                Event::Began(_, operation) => Some(operation.clone()),
                Event::Ended(_) => None,
            })
            .collect()
    }

    /// Round trips in sequence: the longest chain of calls of which each began after the one before had ended.
    #[must_use]
    pub fn trips_in_sequence(&self) -> usize {
        let events = self.events.lock().unwrap();
        let mut depth_of = std::collections::HashMap::new();
        let mut deepest_ended = 0;
        for event in events.iter() {
            match event {
                Event::Began(call, _) => drop(depth_of.insert(*call, deepest_ended + 1)),
                Event::Ended(call) => deepest_ended = deepest_ended.max(depth_of[call]),
            }
        }
        depth_of.values().copied().max().unwrap_or(0)
    }

    fn record(&self, event: impl FnOnce(usize) -> Event) -> usize {
        let mut events = self.events.lock().unwrap();
        let number = events.len();
        events.push(event(number));
        number
    }
}

/// How often others may go first on either way.
const OVERTAKEN_MAX: u8 = 6;

/// Whatever is ready to run goes on first, so many times.
async fn others_first(times: u8) {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}

#[derive(Debug)]
struct Recording {
    recorder: Recorder,
    inner: SharedHttpConnector,
}

impl HttpConnector for Recording {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let operation = wire::operation(request.headers().get(wire::TARGET)).to_owned();
        let (recorder, inner) = (self.recorder.clone(), self.inner.clone());
        recorder.look_at(&operation, request.body().bytes().unwrap_or_default());
        HttpConnectorFuture::new(async move {
            let cut_off = || Err(ConnectorError::io("cut off by the test".into()));
            recorder.observe(&operation, async { inner.call(request).await }).await.unwrap_or_else(cut_off)
        })
    }
}
