//! Taking turns: work on one key is done by one task of this process at a time.
//!
//! Only to keep tasks of one process from spoiling each other's conditional writes; correctness never rests on it.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::OwnedMutexGuard;

/// Turns by key. A cheap clone.
#[derive(Debug)]
pub(crate) struct Turns<Key>(Arc<Mutex<HashMap<Key, Arc<tokio::sync::Mutex<()>>>>>);

/// Keys that nobody waits for are forgotten beyond this many.
const KEYS_MAX: usize = 16_384;

impl<Key: Eq + Hash> Turns<Key> {
    /// Waits for this key's turn, which lasts as long as the guard.
    pub(crate) async fn take(&self, key: Key) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if turns.len() >= KEYS_MAX {
                turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            }
            Arc::clone(turns.entry(key).or_default())
        };
        turn.lock_owned().await
    }
}

impl<Key> Clone for Turns<Key> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<Key> Default for Turns<Key> {
    fn default() -> Self {
        Self(Arc::default())
    }
}
