//! How many charges of one limit were admitted and refused, for whoever watches the process.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::limiter::ChargeError;

#[derive(Debug, Default)]
pub(super) struct Tally {
    admitted: AtomicU64,
    refused: AtomicU64,
    unanswered: AtomicU64,
}

/// What became of charges, since the process started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Within the limit.
    pub admitted: u64,
    /// Over the limit.
    pub refused: u64,
    /// The store gave no answer.
    pub unanswered: u64,
}

impl Tally {
    pub(super) fn note<T>(&self, outcome: &Result<T, ChargeError>) {
        let count = match outcome {
            Ok(_) => &self.admitted,
            Err(ChargeError::Limited(_)) => &self.refused,
            Err(ChargeError::Store(_)) => &self.unanswered,
        };
        count.fetch_add(1, Relaxed);
    }

    pub(super) fn counts(&self) -> Counts {
        let [admitted, refused, unanswered] =
            [&self.admitted, &self.refused, &self.unanswered].map(|count| count.load(Relaxed));
        Counts { admitted, refused, unanswered }
    }
}
