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
    /// The server fails; nothing happens.
    ServerError,
    /// The call takes effect, and the answer is that the server fails.
    ServerErrorAfter,
    /// A right answer, late.
    Slow,
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
    pub const ALL: [Self; 11] = [
        Self::LostBefore,
        Self::LostAfter,
        Self::Throttled,
        Self::ServerError,
        Self::ServerErrorAfter,
        Self::Slow,
        Self::Hangs,
        Self::Page,
        Self::Truncated,
        Self::OtherTypes,
        Self::Unprocessed,
    ];

    /// Whether it can strike whatever is called, and whatever is answered.
    #[must_use]
    pub fn is_of_every_call(self) -> bool {
        !matches!(self, Self::OtherTypes | Self::Unprocessed | Self::FindsNothing)
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
            | Self::Hangs => retries && !lasts,
            Self::Unprocessed => !lasts,
            Self::Page | Self::Truncated | Self::OtherTypes | Self::FindsNothing => false,
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

/// Which calls fail, and how. A cheap clone.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    plan: Arc<Mutex<Plan>>,
    /// Calls that hang now.
    hanging: Arc<watch::Sender<usize>>,
}

#[derive(Debug, Default)]
struct Plan {
    calls: usize,
    strikes: Vec<Strike>,
    struck: Vec<Call>,
    /// Answers of transactions by their token: a transaction that comes again is not done again, as at DynamoDB.
    answered: HashMap<String, (u16, Vec<u8>)>,
}

#[derive(Debug, Clone, Copy)]
struct Strike {
    call: usize,
    fault: Fault,
    lasts: bool,
}

/// Later than any answer, and far from the deadline.
const SLOW: Duration = Duration::from_millis(5);

impl Faults {
    /// The call with this number from now on goes wrong; if it `lasts`, all after it as well.
    pub fn strike(&self, call: usize, fault: Fault, lasts: bool) {
        self.plan(vec![Strike { call, fault, lasts }]);
    }

    /// Each of these calls from now on goes wrong in its own way.
    pub fn strike_each(&self, calls: impl IntoIterator<Item = (usize, Fault)>) {
        self.plan(calls.into_iter().map(|(call, fault)| Strike { call, fault, lasts: false }).collect());
    }

    fn plan(&self, strikes: Vec<Strike>) {
        let mut plan = self.plan.lock().unwrap();
        (plan.calls, plan.strikes, plan.struck) = (0, strikes, Vec::new());
    }

    /// Calls since the last plan was made.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.plan.lock().unwrap().calls
    }

    /// From now on all is well. The calls that went wrong, in order.
    pub fn heal(&self) -> Vec<Call> {
        let mut plan = self.plan.lock().unwrap();
        (plan.strikes, plan.calls) = (Vec::new(), 0);
        std::mem::take(&mut plan.struck)
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
        let number = plan.calls;
        plan.calls += 1;
        let strikes = |strike: &&Strike| number == strike.call || (strike.lasts && number > strike.call);
        let fault = plan.strikes.iter().find(strikes)?.fault;
        // Only one operation each has these ways to fail.
        let is_possible = (fault != Fault::Unprocessed || call.operation == "BatchGetItem")
            && (fault != Fault::FindsNothing || call.operation == "GetItem");
        is_possible.then_some(fault)
    }

    fn note_struck(&self, call: Call) {
        self.plan.lock().unwrap().struck.push(call);
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

#[derive(Debug)]
struct Faulty {
    faults: Faults,
    inner: SharedHttpConnector,
}

impl HttpConnector for Faulty {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        let call = call(&request, &body);
        let (faults, inner) = (self.faults.clone(), self.inner.clone());
        HttpConnectorFuture::new(async move {
            let fault = faults.next(&call);
            let token = body["ClientRequestToken"].as_str();
            let done = async {
                if let Some(answer) = token.and_then(|token| faults.answered(token)) {
                    return Ok(answer);
                }
                let answer = inner.call(request).await?;
                if let Some(token) = token {
                    faults.note_answer(token, &answer);
                }
                Ok(answer)
            };
            match fault {
                None => done.await,
                Some(Fault::OtherTypes) => {
                    let mut answer = done.await?;
                    if let Some(altered) = of_other_types(&answer) {
                        faults.note_struck(call);
                        answer = altered;
                    }
                    Ok(answer)
                }
                Some(Fault::Hangs) => {
                    faults.note_struck(call);
                    faults.hang().await
                }
                Some(fault) => {
                    faults.note_struck(call);
                    gone_wrong(fault, &body, done).await
                }
            }
        })
    }
}

async fn gone_wrong(
    fault: Fault,
    asked: &Value,
    done: impl Future<Output = Result<HttpResponse, ConnectorError>>,
) -> Result<HttpResponse, ConnectorError> {
    let lost = || Err(ConnectorError::timeout("lost by the test".into()));
    let failed = || Ok(error(500, "InternalServerError"));
    match fault {
        Fault::LostBefore => lost(),
        Fault::LostAfter => done.await.and_then(|_| lost()),
        Fault::Throttled => Ok(error(400, "ProvisionedThroughputExceededException")),
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
        Fault::Hangs => unreachable!("has no answer"),
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
    let body = json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{name}"), "message": "by the test" });
    response(status, body.to_string().into_bytes())
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
