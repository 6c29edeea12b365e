//! The store as functions reach it: over HTTP, and no further than their policies allow.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use hallpass_embedded::{Embedded, wire};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::{FOLDER_VARIABLE, TEMPLATE, Toolchain};
use crate::{recorder::Recorder, world};

/// The engine of this test run, served on a port of its own for one deployment.
pub(super) struct ServedStore {
    url: String,
    server: JoinHandle<()>,
}

struct Served {
    engine: &'static Embedded,
    recorder: Recorder,
    prefix: String,
}

/// Function, action, table: what somebody may do, or did.
pub type Grants = BTreeSet<(String, String, String)>;

impl ServedStore {
    pub(super) fn start(recorder: Recorder, prefix: &str) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let served = Arc::new(Served { engine: world::engine(), recorder, prefix: format!("{prefix}-") });
        let router = Router::new().route("/", post(answer)).with_state(served);
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, server }
    }

    pub(super) fn url(&self) -> String {
        self.url.clone()
    }
}

impl Drop for ServedStore {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(served): State<Arc<Served>>, headers: HeaderMap, body: Bytes) -> Response {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default().to_owned();
    let operation = wire::operation(Some(&text(wire::TARGET))).to_owned();
    let credential = text(header::AUTHORIZATION.as_str());
    let function = credential.split("Credential=").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let request: Value = serde_json::from_slice(&body).unwrap();
    for (action, table) in actions(&operation, &request, &served.prefix) {
        if !TEMPLATE.allows(function, &action, &table) {
            let message = format!("{function} may not {action} {table}");
            // A test whose function asks for too much fails by the answer; this says why.
            crate::say(&message);
            let refusal = json!({ "__type": "com.amazon.coral.service#AccessDeniedException", "message": message });
            return (StatusCode::BAD_REQUEST, refusal.to_string()).into_response();
        }
        note_used(function, &action, &table);
    }
    // What a cold start reads is no part of a request.
    if body.windows(PING.len()).any(|part| part == PING) {
        return reply(served.engine, &operation, body).await;
    }
    let call = async {
        tokio::time::sleep(NETWORK).await;
        reply(served.engine, &operation, body).await
    };
    match served.recorder.observe(&operation, call).await {
        Some(response) => response,
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// What a round trip takes; so much that calls made side by side overlap, and calls in sequence don't.
const NETWORK: Duration = Duration::from_millis(12);
const PING: &[u8] = br#"{"S":"ping"}"#;

async fn reply(engine: &Embedded, operation: &str, body: Bytes) -> Response {
    let answer = engine.answer(operation, body.to_vec()).await.unwrap();
    (StatusCode::from_u16(answer.status).unwrap(), answer.body).into_response()
}

/// The IAM actions that an operation needs, by table.
fn actions(operation: &str, request: &Value, prefix: &str) -> Vec<(String, String)> {
    let table = |name: &Value| name.as_str().unwrap().strip_prefix(prefix).unwrap_or("foreign").to_owned();
    match operation {
        "TransactWriteItems" => request["TransactItems"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|item| item.as_object().unwrap())
            .map(|(kind, write)| {
                let action =
                    if kind == "ConditionCheck" { "ConditionCheckItem".to_owned() } else { format!("{kind}Item") };
                (action, table(&write["TableName"]))
            })
            .collect(),
        "BatchGetItem" => {
            let tables = request["RequestItems"].as_object().unwrap().keys();
            tables.map(|name| (operation.to_owned(), table(&json!(name)))).collect()
        }
        _ => vec![(operation.to_owned(), table(&request["TableName"]))],
    }
}

/// Where this run notes what functions did, for the test that asks whether every grant is needed.
#[must_use]
pub fn used_grants_file() -> PathBuf {
    let toolchain = Toolchain::of_process().unwrap_or_else(|| panic!("only with {FOLDER_VARIABLE}"));
    toolchain.folder.join("used-grants")
}

fn note_used(function: &str, action: &str, table: &str) {
    static USED: Mutex<Grants> = Mutex::new(Grants::new());
    if USED.lock().unwrap().insert((function.to_owned(), action.to_owned(), table.to_owned())) {
        use std::io::Write;
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(used_grants_file()).unwrap();
        // In one write: another test process may note something at the same time.
        file.write_all(format!("{function} {action} {table}\n").as_bytes()).unwrap();
    }
}
