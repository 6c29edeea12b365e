//! Faults of the store, between the SDK and the engine.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::{
    Client,
    config::{Credentials, SharedCredentialsProvider},
};
use aws_smithy_runtime_api::{
    client::{
        http::{HttpClient, HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn},
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
    },
    http::StatusCode,
};
use hallpass_core::store;
use hallpass_embedded::wire;
use serde_json::{Value, json};
use tokio::sync::watch;

/// What can go wrong with one call to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing arrives, and nobody hears of it.
    LostBefore,
    /// The call takes effect, and nobody hears of it.
    LostAfter,
    /// Refused for its rate; nothing happens.
    Throttled,
    /// A transaction is cancelled for the rate of one of its items; nothing happens.
    ThrottledInside,
    /// Another transaction is at the item; nothing happens.
    Conflict,
    /// The server fails; nothing happens.
    ServerError,
    /// The call takes effect, and the answer is that the server fails.
    ServerErrorAfter,
    /// A right answer, late.
    Slow,
    /// A write that is taken for lost, and takes effect once its second try was answered.
    LateAfterRetry,
    /// Nothing arrives, and nothing ever comes back: only a deadline ends it.
    Hangs,
    /// The call takes effect; the answer is somebody else's page.
    Page,
    /// The call takes effect; the answer ends in the middle.
    Truncated,
    /// The call takes effect; the answer has values of other types than it should.
    OtherTypes,
    /// A read of several items that gives none of them, and says so.
    Unprocessed,
    /// A read of one item that gives nothing though it is there. Not one of [`ALL`](Self::ALL): nobody can tell.
    FindsNothing,
}

impl Fault {
    /// Every kind.
    pub const ALL: [Self; 14] = [
        Self::LostBefore,
        Self::LostAfter,
        Self::Throttled,
        Self::ThrottledInside,
        Self::Conflict,
        Self::ServerError,
        Self::ServerErrorAfter,
        Self::Slow,
        Self::LateAfterRetry,
        Self::Hangs,
        Self::Page,
        Self::Truncated,
        Self::OtherTypes,
        Self::Unprocessed,
    ];

    /// Whether such a call can go wrong in this way.
    #[must_use]
    pub fn is_possible(self, call: &Call) -> bool {
        let operation = call.operation.as_str();
        match self {
            Self::Unprocessed => operation == "BatchGetItem",
            Self::FindsNothing => operation == "GetItem",
            Self::ThrottledInside => operation == TRANSACTION,
            // No transaction is ever at a counter.
            Self::Conflict => call.is_write() && call.table != "counters",
            Self::LateAfterRetry => call.is_write(),
            Self::LostBefore
            | Self::LostAfter
            | Self::Throttled
            | Self::ServerError
            | Self::ServerErrorAfter
            | Self::Slow
            | Self::Hangs
            | Self::Page
            | Self::Truncated
            | Self::OtherTypes => true,
        }
    }

    /// Whether whoever asks gets the right answer all the same: at a second try of the SDK's, or of our own.
    #[must_use]
    pub fn is_overcome(self, lasts: bool, retries: bool) -> bool {
        match self {
            Self::Slow => true,
            Self::LostBefore
            | Self::LostAfter
            | Self::Throttled
            | Self::ServerError
            | Self::ServerErrorAfter
            | Self::LateAfterRetry
            | Self::Hangs => retries && !lasts,
            Self::Conflict | Self::Unprocessed => !lasts,
            // The SDK doesn't try a cancelled transaction again.
            Self::ThrottledInside | Self::Page | Self::Truncated | Self::OtherTypes | Self::FindsNothing => false,
        }
    }
}

/// One call to the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Such as `UpdateItem`.
    pub operation: String,
    /// The first table that it names, without the prefix.
    pub table: String,
}

const TRANSACTION: &str = "TransactWriteItems";

impl Call {
    fn is_write(&self) -> bool {
        [TRANSACTION, "PutItem", "UpdateItem", "DeleteItem"].contains(&&*self.operation)
    }
}

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

/// Later than any answer, and far from the deadline.
const SLOW: Duration = Duration::from_millis(5);

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

    fn answered(&self, token: &str) -> Option<HttpResponse> {
        let (status, body) = self.plan.lock().unwrap().answered.get(token)?.clone();
        Some(response(status, body))
    }

    fn note_answer(&self, token: &str, answer: &HttpResponse) {
        if answer.status().is_success() {
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
        let call = call(&request, &body);
        let Some(fault) = self.faults.next(&call) else {
            return self.done(request, &body).await;
        };
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
        let token = body["ClientRequestToken"].as_str();
        if let Some(answer) = token.and_then(|token| self.faults.answered(token)) {
            return Ok(answer);
        }
        let answer = self.inner.call(request).await?;
        if let Some(token) = token {
            self.faults.note_answer(token, &answer);
        }
        Ok(answer)
    }
}

fn lost() -> Result<HttpResponse, ConnectorError> {
    Err(ConnectorError::timeout("lost by the test".into()))
}

async fn gone_wrong(
    fault: Fault,
    asked: &Value,
    done: impl Future<Output = Result<HttpResponse, ConnectorError>>,
) -> Result<HttpResponse, ConnectorError> {
    let failed = || Ok(error(500, "InternalServerError"));
    match fault {
        Fault::LostBefore => lost(),
        Fault::LostAfter => done.await.and_then(|_| lost()),
        Fault::Throttled => Ok(error(400, "ProvisionedThroughputExceededException")),
        Fault::ThrottledInside => Ok(cancelled(asked, "ThrottlingError")),
        Fault::Conflict if asked["TransactItems"].is_array() => Ok(cancelled(asked, "TransactionConflict")),
        Fault::Conflict => Ok(error(400, "TransactionConflictException")),
        Fault::ServerError => failed(),
        Fault::ServerErrorAfter => done.await.and_then(|_| failed()),
        Fault::Slow => {
            tokio::time::sleep(SLOW).await;
            done.await
        }
        Fault::Page => done.await.map(|_| response(200, b"<html>Welcome to the hotel's network</html>".to_vec())),
        Fault::Truncated => done.await.map(|answer| {
            let body = answer.body().bytes().unwrap();
            response(answer.status().as_u16(), body[..body.len() / 2].to_vec())
        }),
        Fault::OtherTypes => unreachable!("depends on the answer"),
        Fault::Hangs | Fault::LateAfterRetry => unreachable!("has no answer"),
        Fault::FindsNothing => Ok(response(200, b"{}".to_vec())),
        Fault::Unprocessed => {
            let none = json!({ "Responses": {}, "UnprocessedKeys": asked["RequestItems"] });
            Ok(response(200, none.to_string().into_bytes()))
        }
    }
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

fn call(request: &HttpRequest, body: &Value) -> Call {
    let operation = wire::operation(request.headers().get(wire::TARGET)).to_owned();
    let first = |value: &Value| value.as_object().and_then(|tables| tables.keys().next().cloned());
    let item = &body["TransactItems"][0];
    let named = item.as_object().and_then(|item| item.values().next()).unwrap_or(body);
    let table = named["TableName"].as_str().map(str::to_owned).or_else(|| first(&body["RequestItems"]));
    let table = table.unwrap_or_default().rsplit('-').next().unwrap_or_default().to_owned();
    Call { operation, table }
}

fn response(status: u16, body: Vec<u8>) -> HttpResponse {
    let mut response = HttpResponse::new(StatusCode::try_from(status).unwrap(), body.into());
    response.headers_mut().insert("content-type", wire::MEDIA_TYPE);
    response
}

fn error(status: u16, name: &str) -> HttpResponse {
    response(status, exception(name).to_string().into_bytes())
}

fn exception(name: &str) -> Value {
    json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{name}"), "message": "by the test" })
}

/// A transaction is cancelled for this reason, which its last item has.
fn cancelled(asked: &Value, reason: &str) -> HttpResponse {
    let others = asked["TransactItems"].as_array().unwrap().len() - 1;
    let mut reasons = vec![json!({ "Code": "None" }); others];
    reasons.push(json!({ "Code": reason, "Message": "by the test" }));
    let mut body = exception("TransactionCanceledException");
    body["CancellationReasons"] = Value::Array(reasons);
    response(400, body.to_string().into_bytes())
}

/// The answer with numbers as text and text as numbers; `None` if there is neither in it.
fn of_other_types(answer: &HttpResponse) -> Option<HttpResponse> {
    let body: Value = serde_json::from_slice(answer.body().bytes().unwrap()).unwrap();
    let altered = exchanged(body.clone());
    (altered != body).then(|| response(answer.status().as_u16(), altered.to_string().into_bytes()))
}

fn exchanged(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let other = |name: String| match name.as_str() {
                "S" => "N".to_owned(),
                "N" | "B" => "S".to_owned(),
                _ => name,
            };
            Value::Object(map.into_iter().map(|(name, value)| (other(name), exchanged(value))).collect())
        }
        Value::Array(list) => Value::Array(list.into_iter().map(exchanged).collect()),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => other,
    }
}
