//! Whether the process is alive (`/healthz`) and can serve (`/readyz`).

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{Router, extract::State, routing::get};
use hallpass_core::{http::problem::Problem, store::Users};
use tokio::{sync::Mutex, time::Instant};

use crate::server::Draining;

/// What `/readyz` goes by.
#[derive(Debug)]
pub(crate) struct Readiness {
    users: Users,
    has_tables: AtomicBool,
    draining: Draining,
    last_read: Mutex<Option<Read>>,
}

/// A read of the store for the sake of readiness.
#[derive(Debug)]
struct Read {
    began_at: Instant,
    outcome: Result<(), Problem>,
}

impl Readiness {
    /// Not ready yet: the tables are still to be found.
    pub(crate) fn new(users: Users, draining: Draining) -> Self {
        Self { users, has_tables: AtomicBool::new(false), draining, last_read: Mutex::new(None) }
    }

    /// The store's tables are there.
    pub(crate) fn tables_found(&self) {
        self.has_tables.store(true, Ordering::Relaxed);
    }

    /// Ready while the store answers a real read and nobody has told the process to stop.
    async fn check(&self) -> Result<(), Problem> {
        self.check_open()?;
        self.read().await?;
        // Who has waited for the store may have waited for long.
        self.check_open()
    }

    fn check_open(&self) -> Result<(), Problem> {
        let is_open = self.has_tables.load(Ordering::Relaxed) && !self.draining.has_begun();
        is_open.then_some(()).ok_or_else(Problem::unavailable)
    }

    /// One read at a time, however many ask: those who wait for it share the next, which begins after they have asked.
    async fn read(&self) -> Result<(), Problem> {
        let asked_at = Instant::now();
        let mut last = self.last_read.lock().await;
        if let Some(read) = last.as_ref().filter(|read| read.began_at > asked_at) {
            return read.outcome.clone();
        }
        let began_at = Instant::now();
        let outcome = self.users.ping().await.map_err(Problem::from);
        *last = Some(Read { began_at, outcome: outcome.clone() });
        outcome
    }
}

/// `/healthz` and `/readyz`.
pub(crate) fn probes(readiness: Arc<Readiness>) -> Router {
    Router::new().route("/healthz", get(|| async { "ok\n" })).route("/readyz", get(ready)).with_state(readiness)
}

async fn ready(State(readiness): State<Arc<Readiness>>) -> Result<&'static str, Problem> {
    readiness.check().await.map(|()| "ready\n")
}
