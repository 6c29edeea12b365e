//! One thread owns one database: requests are queued for it, so no async task ever waits on a disk.

use std::{
    io, process,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use dynoxide::{Database, DynoxideError, actions::transact_write_items::TransactWriteItemsRequest};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::oneshot;

use crate::revisions::{Revisions, Written};

/// The queue to one database's thread. Dropping it answers what is queued, closes the database and ends the threads.
#[derive(Debug)]
pub(crate) struct Owner {
    queue: Option<SyncSender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

/// Ends the process with its thread, if that panics: it may leave a transaction open, which is undone when the files are
/// opened again, and nobody would answer what is queued. Whoever started the process starts it anew.
struct EndOnPanic;

impl Drop for EndOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            tracing::error!(event = "store.engine_panicked");
            process::exit(PANICKED);
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.queue = None;
        for thread in self.threads.drain(..) {
            // None panicked, or we would not be here.
            let _ = thread.join();
        }
    }
}

/// A wire answer.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// JSON.
    pub body: String,
}

#[derive(Debug)]
struct Job {
    request: Request,
    reply: oneshot::Sender<Answer>,
}

/// One operation of the DynamoDB API, as it comes over the wire.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) operation: String,
    pub(crate) body: Vec<u8>,
    pub(crate) origin: Origin,
}

/// Whether an answer can be lost on its way, and the request come again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// No: the client is in this process, and never tries twice.
    ThisProcess,
    /// Yes: a transaction's token tells that it was done before.
    Network,
}

/// The queue is full, or the thread is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the embedded store is overloaded")]
pub struct Overloaded;

/// Requests that wait at most; a few thousand a second are answered.
const QUEUE_MAX: usize = 4096;
/// The exit code when the engine panicked: a failure inside the program.
const PANICKED: i32 = 70;
/// Expired items are looked for this often. Nobody relies on it: expiry is checked when an item is read.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

impl Owner {
    /// Hands `database` to a thread of its own, and its expired items to another. Writes are told to `revisions`. Fails
    /// when the system starts no more threads.
    pub(crate) fn start(name: &str, database: Database, revisions: Option<Arc<Revisions>>) -> io::Result<Self> {
        let (queue, jobs) = sync_channel(QUEUE_MAX);
        let swept = database.clone();
        let (alive, ended) = sync_channel::<()>(0);
        let worker = spawn(format!("store-{name}"), move || {
            work(&database, &jobs, revisions.as_deref());
            drop(alive);
        })?;
        let sweeper = spawn(format!("sweep-{name}"), move || sweep(&swept, &ended))?;
        Ok(Self { queue: Some(queue), threads: vec![worker, sweeper] })
    }

    /// Queues one request.
    pub(crate) fn submit(&self, request: Request) -> Result<oneshot::Receiver<Answer>, Overloaded> {
        let (reply, answer) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or(Overloaded)?;
        queue.try_send(Job { request, reply }).map_err(|error| match error {
            TrySendError::Full(_) | TrySendError::Disconnected(_) => Overloaded,
        })?;
        Ok(answer)
    }
}

/// A thread whose panic ends the process.
fn spawn(name: String, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name).spawn(move || {
        let _guard = EndOnPanic;
        run();
    })
}

fn work(database: &Database, jobs: &Receiver<Job>, revisions: Option<&Revisions>) {
    while let Ok(Job { request, reply }) = jobs.recv() {
        let answer = match revisions {
            Some(revisions) => noted(revisions, &request, || answer(database, &request)),
            None => answer(database, &request),
        };
        // Whoever asked may have given up; the write counts all the same.
        let _ = reply.send(answer);
    }
}

/// Before anybody hears of a write, what was read before it is out of date; also if the engine fails in the middle.
fn noted(revisions: &Revisions, Request { operation, body, .. }: &Request, run: impl FnOnce() -> Answer) -> Answer {
    let written = Written::by(operation, body);
    revisions.grow(&written);
    let answer = run();
    revisions.grow(&written);
    answer
}

fn sweep(database: &Database, ended: &Receiver<()>) {
    while let Err(std::sync::mpsc::RecvTimeoutError::Timeout) = ended.recv_timeout(SWEEP_EVERY) {
        match database.sweep_ttl() {
            Ok(0) => {}
            Ok(count) => tracing::debug!(event = "store.swept", count),
            Err(error) => tracing::error!(event = "store.sweep_failed", %error),
        }
    }
}

/// The engine's answer to one operation of the DynamoDB API, as it would come over the wire.
fn answer(database: &Database, request: &Request) -> Answer {
    match run(database, request) {
        Ok(body) => Answer { status: 200, body },
        Err(error) => {
            if error.status_code() >= 500 {
                tracing::error!(event = "store.engine_error", operation = request.operation.as_str(), %error);
            }
            Answer { status: error.status_code(), body: error.to_json() }
        }
    }
}

fn run(database: &Database, Request { operation, body, origin }: &Request) -> Result<String, DynoxideError> {
    match operation.as_str() {
        "GetItem" => call(body, |request| database.get_item(request)),
        "PutItem" => call(body, |request| database.put_item(request)),
        "UpdateItem" => call(body, |request| database.update_item(request)),
        "DeleteItem" => call(body, |request| database.delete_item(request)),
        "BatchGetItem" => call(body, |request| database.batch_get_item(request)),
        "BatchWriteItem" => call(body, |request| database.batch_write_item(request)),
        "Query" => call(body, |request| database.query(request)),
        "Scan" => call(body, |request| database.scan(request)),
        "TransactGetItems" => call(body, |request| database.transact_get_items(request)),
        "TransactWriteItems" => {
            call(body, |request| database.transact_write_items(with_token_if_needed(request, *origin)))
        }
        "CreateTable" => call(body, |request| database.create_table(request)),
        "DeleteTable" => call(body, |request| database.delete_table(request)),
        "DescribeTable" => call(body, |request| database.describe_table(request)),
        "ListTables" => call(body, |request| database.list_tables(request)),
        "UpdateTimeToLive" => call(body, |request| database.update_time_to_live(request)),
        "DescribeTimeToLive" => call(body, |request| database.describe_time_to_live(request)),
        _ => Err(DynoxideError::ValidationException(format!("{operation} is not served here"))),
    }
}

/// A token is remembered for ten minutes; where none is needed, that is memory for nothing.
fn with_token_if_needed(mut request: TransactWriteItemsRequest, origin: Origin) -> TransactWriteItemsRequest {
    if origin == Origin::ThisProcess {
        request.client_request_token = None;
    }
    request
}

fn call<Request: DeserializeOwned, Response: Serialize>(
    body: &[u8],
    run: impl FnOnce(Request) -> Result<Response, DynoxideError>,
) -> Result<String, DynoxideError> {
    // The engine marks its own checks of a request's shape this way.
    let invalid = |error: serde_json::Error| {
        DynoxideError::ValidationException(error.to_string().trim_start_matches("VALIDATION:").to_owned())
    };
    let request = serde_json::from_slice(body).map_err(invalid)?;
    let response = run(request)?;
    serde_json::to_string(&response).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::{env, process::Command};

    use super::*;

    /// In a process of its own, which is this test again.
    #[test]
    #[allow(clippy::disallowed_methods, reason = "the test needs another process; Hallpass starts none")]
    fn a_panic_of_the_engine_ends_the_process() {
        const CHILD: &str = "HALLPASS_TEST_ENGINE_PANICS";
        if env::var_os(CHILD).is_some() {
            let engine = spawn("store".to_owned(), || panic!("as the engine might")).unwrap();
            let _ = engine.join();
            return;
        }
        let name = "engine::tests::a_panic_of_the_engine_ends_the_process";
        let mut child = Command::new(env::current_exe().unwrap());
        let status = child.args(["--exact", name]).env(CHILD, "1").status().unwrap();
        assert_eq!(status.code(), Some(PANICKED));
    }
}
