//! Asks the store what each call costs, in DynamoDB's units.

use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::{
    http::{HttpClient, HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn},
    orchestrator::HttpRequest,
};
use hallpass_embedded::wire;
use serde_json::{Value, json};

/// Capacity units.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Capacity {
    /// Of 1 KiB written.
    pub writes: f64,
    /// Of 4 KiB read strongly consistently.
    pub reads: f64,
}

/// Adds up what the calls that go through it cost. A cheap clone.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<Mutex<Capacity>>);

impl Meter {
    /// What was used since it was last asked.
    #[must_use]
    pub fn take(&self) -> Capacity {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// A client that meters what goes through `inner`.
    #[must_use]
    pub fn around(&self, inner: SharedHttpClient) -> SharedHttpClient {
        let meter = self.clone();
        http_client_fn(move |settings, components| {
            SharedHttpConnector::new(Metering {
                meter: meter.clone(),
                inner: inner.http_connector(settings, components),
            })
        })
    }

    fn add(&self, operation: &str, answer: &[u8]) {
        let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
        let consumed = &answer["ConsumedCapacity"];
        let tables = consumed.as_array().cloned().unwrap_or_else(|| vec![consumed.clone()]);
        let units: f64 = tables.iter().filter_map(|table| table["CapacityUnits"].as_f64()).sum();
        let is_read = matches!(operation, "GetItem" | "BatchGetItem" | "Query");
        let mut total = self.0.lock().unwrap();
        let kind = if is_read { &mut total.reads } else { &mut total.writes };
        *kind += units;
    }
}

#[derive(Debug)]
struct Metering {
    meter: Meter,
    inner: SharedHttpConnector,
}

impl HttpConnector for Metering {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let operation = wire::operation(request.headers().get(wire::TARGET)).to_owned();
        let mut body: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        if !operation.contains("Table") && !operation.contains("TimeToLive") {
            body["ReturnConsumedCapacity"] = json!("TOTAL");
        }
        *request.body_mut() = body.to_string().into();
        let (meter, call) = (self.meter.clone(), self.inner.call(request));
        HttpConnectorFuture::new(async move {
            let answer = call.await?;
            meter.add(&operation, answer.body().bytes().unwrap());
            Ok(answer)
        })
    }
}
