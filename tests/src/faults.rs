//! Faults of the store, between the SDK and the engine.

mod answers;
mod kind;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::{
    Client,
    config::{Credentials, SharedCredentialsProvider},
};
use aws_smithy_runtime_api::client::{
    http::{HttpClient, HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
};
use hallpass_core::store;
use serde_json::Value;
use tokio::sync::watch;

use self::answers::{gone_wrong, lost, of_other_types, response};
pub use self::kind::{Call, Fault};

/// Which calls fail, and how. A cheap clone.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    plan: Arc<Mutex<Plan>>,
    /// Calls that hang now.
    hanging: Arc<watch::Sender<usize>>,
}

#[derive(Debug, Default)]
struct Plan {
    calls: Vec<Call>,
    strikes: Vec<Strike>,
    struck: Vec<Call>,
    /// Writes on their way that were taken for lost.
    late: Vec<(Value, HttpRequest)>,
    /// Answers of transactions by their token: a transaction that comes again is not done again, as at DynamoDB.
    answered: HashMap<String, (u16, Vec<u8>)>,
}

#[derive(Debug, Clone)]
struct Strike {
    /// Until it begins only such calls count.
    of: Option<Call>,
    /// How many of them it lets pass.
    passes: usize,
    fault: Fault,
    lasts: bool,
    has_begun: bool,
}

impl Strike {
    fn hits(&mut self, call: &Call) -> bool {
        if self.has_begun {
            return self.lasts;
        }
        if self.of.as_ref().is_some_and(|of| of != call) {
            return false;
        }
        self.has_begun = self.passes == 0;
        self.passes = self.passes.saturating_sub(1);
        self.has_begun
    }
}

impl Faults {
    /// The call with this number from now on goes wrong; if it `lasts`, all after it as well.
    pub fn strike(&self, call: usize, fault: Fault, lasts: bool) {
        self.plan(vec![Strike { of: None, passes: call, fault, lasts, has_begun: false }]);
    }

    /// The same where only calls like this one count: those that are made side by side have no order.
    pub fn strike_one_of(&self, call: &Call, passes: usize, fault: Fault, lasts: bool) {
        self.plan(vec![Strike { of: Some(call.clone()), passes, fault, lasts, has_begun: false }]);
    }

    /// Each of these calls from now on goes wrong in its own way.
    pub fn strike_each(&self, calls: impl IntoIterator<Item = (usize, Fault)>) {
        let strike = |(passes, fault)| Strike { of: None, passes, fault, lasts: false, has_begun: false };
        self.plan(calls.into_iter().map(strike).collect());
    }

    fn plan(&self, strikes: Vec<Strike>) {
        let mut plan = self.plan.lock().unwrap();
        let answered = std::mem::take(&mut plan.answered);
        *plan = Plan { strikes, answered, ..Plan::default() };
    }

    /// Calls since the last plan was made.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.plan.lock().unwrap().calls.clone()
    }

    /// From now on all is well. The calls that went wrong, in order.
    pub fn heal(&self) -> Vec<Call> {
        let struck = std::mem::take(&mut self.plan.lock().unwrap().struck);
        self.plan(Vec::new());
        struck
    }

    /// How many calls hang.
    #[must_use]
    pub fn hanging(&self) -> watch::Receiver<usize> {
        self.hanging.subscribe()
    }

    /// Until whoever asks has had enough.
    async fn hang<Answer>(&self) -> Answer {
        self.hanging.send_modify(|calls| *calls += 1);
        let _until_dropped = Hanging(Arc::clone(&self.hanging));
        std::future::pending().await
    }

    /// A client whose calls through `inner` go wrong as planned.
    #[must_use]
    pub fn around(&self, inner: SharedHttpClient) -> SharedHttpClient {
        let faults = self.clone();
        http_client_fn(move |settings, components| {
            let inner = inner.http_connector(settings, components);
            SharedHttpConnector::new(Faulty { faults: faults.clone(), inner })
        })
    }

    fn next(&self, call: &Call) -> Option<Fault> {
        let mut plan = self.plan.lock().unwrap();
        plan.calls.push(call.clone());
        let hits = plan.strikes.iter_mut().filter_map(|strike| strike.hits(call).then_some(strike.fault));
        let fault = hits.reduce(|first, _| first)?;
        fault.is_possible(call).then_some(fault)
    }

    fn note_struck(&self, call: Call) {
        self.plan.lock().unwrap().struck.push(call);
    }

    fn note_late(&self, body: Value, request: HttpRequest) {
        self.plan.lock().unwrap().late.push((body, request));
    }

    /// The first try of this write, if it is late.
    fn late(&self, body: &Value) -> Option<HttpRequest> {
        let late = &mut self.plan.lock().unwrap().late;
        let index = late.iter().position(|(first, _)| first == body)?;
        Some(late.swap_remove(index).1)
    }

    fn answered(&self, token: Option<&str>) -> Option<HttpResponse> {
        let (status, body) = self.plan.lock().unwrap().answered.get(token?)?.clone();
        Some(response(status, body))
    }

    fn note_answer(&self, token: Option<&str>, answer: &HttpResponse) {
        if let Some(token) = token.filter(|_| answer.status().is_success()) {
            let answer = (answer.status().as_u16(), answer.body().bytes().unwrap().to_vec());
            self.plan.lock().unwrap().answered.insert(token.to_owned(), answer);
        }
    }
}

/// One call that hangs.
struct Hanging(Arc<watch::Sender<usize>>);

impl Drop for Hanging {
    fn drop(&mut self) {
        self.0.send_modify(|calls| *calls -= 1);
    }
}

#[derive(Debug, Clone)]
struct Faulty {
    faults: Faults,
    inner: SharedHttpConnector,
}

impl HttpConnector for Faulty {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let faulty = self.clone();
        HttpConnectorFuture::new(async move { faulty.answer(request).await })
    }
}

impl Faulty {
    async fn answer(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let body: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        let call = Call::of(&request, &body);
        let Some(fault) = self.faults.next(&call) else {
            return self.done(request, &body).await;
        };
        // What was done is known by its token when it comes again, and nothing is in its way any more.
        if fault == Fault::Conflict && self.faults.answered(token(&body)).is_some() {
            return self.done(request, &body).await;
        }
        if fault == Fault::OtherTypes {
            let answer = self.done(request, &body).await?;
            let altered = of_other_types(&answer).inspect(|_| self.faults.note_struck(call));
            return Ok(altered.unwrap_or(answer));
        }
        self.faults.note_struck(call);
        if fault == Fault::Hangs {
            return self.faults.hang().await;
        }
        if fault == Fault::LateAfterRetry {
            self.faults.note_late(body, request);
            return lost();
        }
        gone_wrong(fault, &body, self.done(request, &body)).await
    }

    /// What the engine says to it. The first try of the same write arrives after that, if it is late.
    async fn done(&self, request: HttpRequest, body: &Value) -> Result<HttpResponse, ConnectorError> {
        let answer = self.done_once(request, body).await?;
        if let Some(late) = self.faults.late(body) {
            self.done_once(late, body).await?;
        }
        Ok(answer)
    }

    async fn done_once(&self, request: HttpRequest, body: &Value) -> Result<HttpResponse, ConnectorError> {
        let token = token(body);
        if let Some(answer) = self.faults.answered(token) {
            return Ok(answer);
        }
        let answer = self.inner.call(request).await?;
        self.faults.note_answer(token, &answer);
        Ok(answer)
    }
}

/// What a transaction is known by when it comes again.
fn token(body: &Value) -> Option<&str> {
    body["ClientRequestToken"].as_str()
}

/// A client of DynamoDB's kind behind `http_client`, which tries again what may have been lost; the embedded store's does
/// not.
#[must_use]
pub fn retrying(http_client: SharedHttpClient) -> Client {
    let credentials = Credentials::new("test", "test", None, None, "test");
    let shared = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(http_client)
        .region(Region::from_static("local"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    store::at(&shared, Some("http://faulty.invalid".to_owned()))
}
