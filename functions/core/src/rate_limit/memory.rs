//! What one process remembers of limits, so that it need not ask the store.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use super::{
    log::{LogShape, Standing},
    policy::Window,
};

/// What this process may answer without asking the store: refusals until their wait is over, permits it has bought. While
/// the store is away, logs of its own.
///
/// Bounded: when it is full, something else is forgotten, and the store decides about that as ever (attack 5.19).
#[derive(Debug, Default)]
pub(super) struct Memory {
    known: Mutex<HashMap<String, Known>>,
    logs: Mutex<HashMap<String, Log>>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Known {
    Refused { standing: Standing, until_millis: i64 },
    Lease { permits: u32, standing: Standing, until_millis: i64 },
}

/// A log that is kept here alone, and what is left of its newest entry.
#[derive(Debug)]
struct Log {
    entries: Vec<i64>,
    permits_in_hand: u32,
    until_millis: i64,
}

impl Known {
    fn until_millis(&self) -> i64 {
        match self {
            Self::Refused { until_millis, .. } | Self::Lease { until_millis, .. } => *until_millis,
        }
    }

    /// As [`Standing`] tells it at `now_millis`, if it is a refusal that still holds.
    fn refusal(&self, now_millis: i64) -> Option<Standing> {
        match self {
            Self::Refused { standing, until_millis } if now_millis < *until_millis => {
                Some(Standing { reset_millis: until_millis.saturating_sub(now_millis), ..*standing })
            }
            Self::Refused { .. } | Self::Lease { .. } => None,
        }
    }
}

/// About 200 bytes each.
const REMEMBERED_MAX: usize = 16_384;

impl Memory {
    /// A permit out of a lease, or a refusal that still holds; `None` if the store must be asked.
    pub(super) fn recall(&self, key: &str, now_millis: i64) -> Option<Result<Standing, Standing>> {
        let mut known = lock(&self.known);
        let entry = known.get_mut(key)?;
        if now_millis >= entry.until_millis() {
            known.remove(key);
            return None;
        }
        match entry {
            Known::Refused { .. } => entry.refusal(now_millis).map(Err),
            Known::Lease { permits, standing, .. } => {
                *permits = permits.checked_sub(1)?;
                standing.remaining = standing.remaining.saturating_sub(1);
                Some(Ok(*standing))
            }
        }
    }

    /// A refusal that still holds.
    pub(super) fn refusal(&self, key: &str, now_millis: i64) -> Option<Standing> {
        lock(&self.known).get(key)?.refusal(now_millis)
    }

    /// Keeps a refusal or a lease.
    pub(super) fn remember(&self, key: &str, what: Known) {
        let mut known = lock(&self.known);
        if known.len() >= REMEMBERED_MAX
            && let Some(any) = known.keys().next().cloned()
        {
            known.remove(&any);
        }
        known.insert(key.to_owned(), what);
    }

    /// Spends one permit of a log that is kept here alone: exact in this process only.
    pub(super) fn spend(&self, key: &str, shape: &LogShape, now_millis: i64) -> Result<Standing, Standing> {
        let mut logs = lock(&self.logs);
        if logs.len() >= REMEMBERED_MAX {
            logs.clear();
        }
        logs.entry(key.to_owned()).or_insert_with(|| Log::empty(shape)).spend(shape, now_millis)
    }
}

impl Log {
    fn empty(shape: &LogShape) -> Self {
        Self { entries: vec![0; shape.length], permits_in_hand: 0, until_millis: 0 }
    }

    fn spend(&mut self, shape: &LogShape, now_millis: i64) -> Result<Standing, Standing> {
        let in_hand = Some(self.permits_in_hand).filter(|_| now_millis < self.until_millis);
        if let Some(left) = in_hand.and_then(|permits| permits.checked_sub(1)) {
            self.permits_in_hand = left;
            return Ok(self.standing(shape, now_millis));
        }
        let wait_millis = shape.wait_millis(&self.entries, now_millis);
        if wait_millis > 0 {
            self.permits_in_hand = 0;
            return Err(Standing { reset_millis: wait_millis, ..self.standing(shape, now_millis) });
        }
        self.entries.rotate_left(1);
        self.until_millis = now_millis.saturating_add(shape.lease_millis);
        self.permits_in_hand = shape.permits_per_entry.saturating_sub(1);
        if let Some(newest) = self.entries.last_mut() {
            *newest = self.until_millis;
        }
        Ok(self.standing(shape, now_millis))
    }

    fn standing(&self, shape: &LogShape, now_millis: i64) -> Standing {
        shape.standing(&self.entries, now_millis, self.permits_in_hand).unwrap_or(NOTHING)
    }
}

/// Stands in where a log without windows would be; there is none.
pub(super) const NOTHING: Standing =
    Standing { window: Window { quota: 1, seconds: 1 }, remaining: 0, reset_millis: 1000 };

/// A panic while holding the lock leaves only counts behind, which stay right.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::policy::Policy, *};

    #[test]
    fn no_more_than_so_many_clients_are_remembered() {
        let memory = Memory::default();
        let shape = LogShape::of(&"1 per second".parse().unwrap()).remove(0);
        for client in 0..REMEMBERED_MAX + 100 {
            memory.remember(&client.to_string(), Known::Refused { standing: NOTHING, until_millis: i64::MAX });
            memory.spend(&client.to_string(), &shape, 1000).unwrap();
        }
        assert_eq!(lock(&memory.known).len(), REMEMBERED_MAX);
        assert!(lock(&memory.logs).len() <= REMEMBERED_MAX);
        let newest = (REMEMBERED_MAX + 99).to_string();
        assert!(memory.refusal(&newest, 0).is_some(), "the newest is kept");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn a_process_by_itself_admits_as_many_as_each_window_and_no_more(
            pauses in prop::collection::vec(0..400_i64, 1..1000),
        ) {
            let policy: Policy = "3 per second; 210 per minute".parse().unwrap();
            let memory = Memory::default();
            let (mut now_millis, mut admitted): (i64, Vec<i64>) = (1_000_000, Vec::new());
            for pause in pauses {
                now_millis += pause;
                let spend = |shape| memory.spend(&format!("{shape:?}"), shape, now_millis);
                if LogShape::of(&policy).iter().all(|shape| spend(shape).is_ok()) {
                    admitted.push(now_millis);
                }
                for window in policy.windows() {
                    let inside = admitted.iter().filter(|at| **at + window.millis() > now_millis).count();
                    prop_assert!(inside <= window.quota as usize);
                }
            }
            prop_assert!(!admitted.is_empty());
        }
    }
}
