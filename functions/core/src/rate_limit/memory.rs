//! What one process remembers of limits, so that it need not ask the store.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use super::{log::Standing, policy::Window};

/// What this process may answer without asking the store: refusals until their wait is over, permits it has bought.
///
/// Bounded: when it is full, something else is forgotten, and the store decides about that as ever (attack 5.19).
#[derive(Debug, Default)]
pub(super) struct Memory {
    known: Mutex<HashMap<String, Known>>,
    counts: Mutex<HashMap<String, Vec<i64>>>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Known {
    Refused { standing: Standing, until_millis: i64 },
    Lease { permits: u32, standing: Standing, until_millis: i64 },
}

impl Known {
    fn until_millis(&self) -> i64 {
        match self {
            Self::Refused { until_millis, .. } | Self::Lease { until_millis, .. } => *until_millis,
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
            Known::Refused { standing, until_millis } => {
                Some(Err(Standing { reset_millis: until_millis.saturating_sub(now_millis), ..*standing }))
            }
            Known::Lease { permits, standing, .. } => {
                *permits = permits.checked_sub(1)?;
                standing.remaining = standing.remaining.saturating_sub(1);
                Some(Ok(*standing))
            }
        }
    }

    /// A refusal that still holds.
    pub(super) fn refusal(&self, key: &str, now_millis: i64) -> Option<Standing> {
        match lock(&self.known).get(key)? {
            Known::Refused { standing, until_millis } if now_millis < *until_millis => {
                Some(Standing { reset_millis: until_millis.saturating_sub(now_millis), ..*standing })
            }
            Known::Refused { .. } | Known::Lease { .. } => None,
        }
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

    /// Counts one admission here alone, exact in this process only.
    pub(super) fn count(&self, key: &str, window: Window, now_millis: i64) -> Result<Standing, Standing> {
        let mut counts = lock(&self.counts);
        if counts.len() >= REMEMBERED_MAX {
            counts.clear();
        }
        let admissions = counts.entry(key.to_owned()).or_default();
        admissions.retain(|at| at.saturating_add(window.millis()) > now_millis);
        let reset_millis = admissions
            .first()
            .map_or(window.millis(), |at| at.saturating_add(window.millis()).saturating_sub(now_millis));
        let used = u32::try_from(admissions.len()).unwrap_or(u32::MAX);
        match window.quota.checked_sub(used.saturating_add(1)) {
            Some(remaining) => {
                admissions.push(now_millis);
                Ok(Standing { window, remaining, reset_millis })
            }
            None => Err(Standing { window, remaining: 0, reset_millis }),
        }
    }
}

/// A panic while holding the lock leaves only counts behind, which stay right.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_so_many_clients_are_remembered() {
        let memory = Memory::default();
        let standing = Standing { window: Window { quota: 1, seconds: 1 }, remaining: 0, reset_millis: 1000 };
        for client in 0..REMEMBERED_MAX + 100 {
            memory.remember(&client.to_string(), Known::Refused { standing, until_millis: i64::MAX });
            memory.count(&client.to_string(), Window { quota: 1, seconds: 1 }, 0).unwrap();
        }
        assert_eq!(lock(&memory.known).len(), REMEMBERED_MAX);
        assert!(lock(&memory.counts).len() <= REMEMBERED_MAX);
        let newest = (REMEMBERED_MAX + 99).to_string();
        assert!(memory.refusal(&newest, 0).is_some(), "the newest is kept");
    }
}
