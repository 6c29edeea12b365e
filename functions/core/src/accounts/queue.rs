//! How busy the hashing threads are, for whoever watches the process.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// What the hashing threads do now, and did since they started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queue {
    /// Hashes being computed.
    pub running: u64,
    /// Requests that wait for leave to hash, at most [`Hasher::QUEUE_MAX`](super::hasher::Hasher::QUEUE_MAX).
    pub waiting: u64,
    /// Requests that found the queue full.
    pub refused: u64,
    /// Hashes that were computed.
    pub computed: u64,
}

/// The counts that hashing threads and those who wait for them keep. A cheap clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Gauges(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    running: AtomicU64,
    refused: AtomicU64,
    computed: AtomicU64,
}

impl Gauges {
    pub(super) fn refused(&self) {
        self.0.refused.fetch_add(1, Relaxed);
    }

    /// Counts a hash while and after it is computed.
    pub(super) fn computing<T>(&self, compute: impl FnOnce() -> T) -> T {
        self.0.running.fetch_add(1, Relaxed);
        let computed = compute();
        self.0.running.fetch_sub(1, Relaxed);
        self.0.computed.fetch_add(1, Relaxed);
        computed
    }

    pub(super) fn queue(&self, waiting: usize) -> Queue {
        let [running, refused, computed] =
            [&self.0.running, &self.0.refused, &self.0.computed].map(|count| count.load(Relaxed));
        Queue { running, waiting: u64::try_from(waiting).unwrap_or(u64::MAX), refused, computed }
    }
}
