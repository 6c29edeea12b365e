//! What one process remembers of limits, so that it need not ask the store.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use super::{
    log::{Full, LogShape, Standing},
    policy::Window,
};

/// What this process may answer without asking the store: refusals until their wait is over, permits it has bought. While
/// the store is away, logs of its own.
///
/// Bounded: when it is full, something else is forgotten, and the store, if it is there, decides about that as ever
/// (attack 5.19).
#[derive(Debug, Default)]
pub(super) struct Memory {
    known: Mutex<Remembered>,
    logs: Mutex<HashMap<String, Log>>,
}

#[derive(Debug, Default)]
struct Remembered {
    logs: HashMap<String, Known>,
    swept_at_millis: i64,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Known {
    Refused {
        standing: Standing,
        until_millis: i64,
    },
    /// Permits that may be spent until `until_millis`; without any, the store has none before `full_until_millis`.
    Lease {
        permits: u32,
        standing: Standing,
        until_millis: i64,
        full_until_millis: i64,
    },
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
            Self::Refused { until_millis, .. } => *until_millis,
            Self::Lease { until_millis, full_until_millis, .. } => *until_millis.max(full_until_millis),
        }
    }

    /// When nothing is admitted, as seen from `now_millis`.
    pub(super) fn full(&self, now_millis: i64) -> Full {
        let from_now = |millis: i64| millis.saturating_sub(now_millis).max(0);
        match self {
            Self::Refused { until_millis, .. } => Full { from_millis: 0, until_millis: from_now(*until_millis) },
            Self::Lease { permits, until_millis, full_until_millis, .. } => Full {
                from_millis: if *permits > 0 { from_now(*until_millis) } else { 0 },
                until_millis: from_now(*full_until_millis),
            },
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
/// To forget what is over all are looked at, so not more often than this.
const SWEEP_PAUSE_MILLIS: i64 = 1000;
/// Up to 1,700 bytes each.
const LOGS_MAX: usize = 4_096;

impl Memory {
    /// A permit out of a lease, or a refusal that still holds; `None` if the store must be asked.
    pub(super) fn recall(&self, key: &str, now_millis: i64) -> Option<Result<Standing, Standing>> {
        let known = &mut lock(&self.known).logs;
        let entry = known.get_mut(key)?;
        if now_millis >= entry.until_millis() {
            known.remove(key);
            return None;
        }
        match entry {
            Known::Refused { .. } => entry.refusal(now_millis).map(Err),
            Known::Lease { until_millis, .. } if now_millis >= *until_millis => None,
            Known::Lease { permits, standing, .. } => {
                *permits = permits.checked_sub(1)?;
                standing.remaining = standing.remaining.saturating_sub(1);
                let standing = *standing;
                Some(Ok(Standing { full: entry.full(now_millis), ..standing }))
            }
        }
    }

    /// A refusal that still holds.
    pub(super) fn refusal(&self, key: &str, now_millis: i64) -> Option<Standing> {
        lock(&self.known).logs.get(key)?.refusal(now_millis)
    }

    /// When this log admits nothing, as seen from `now_millis`, whether it has refused anybody yet or not.
    pub(super) fn full(&self, key: &str, now_millis: i64) -> Option<Full> {
        Some(lock(&self.known).logs.get(key)?.full(now_millis))
    }

    /// Keeps a refusal or a lease; of a lease that comes late, not in place of a refusal that was decided after it. Permits
    /// in hand stay there: a refusal is then what follows when they have lapsed.
    pub(super) fn remember(&self, key: &str, what: Known, now_millis: i64) {
        let mut known = lock(&self.known);
        match known.logs.get_mut(key) {
            Some(Known::Refused { until_millis, .. }) if *until_millis >= what.until_millis() => {}
            Some(Known::Lease { permits: 1.., until_millis, full_until_millis, .. })
                if matches!(what, Known::Refused { .. }) && now_millis < *until_millis =>
            {
                // What was read may be older than what is known.
                *full_until_millis = what.until_millis().max(*full_until_millis);
            }
            Some(old) => *old = what,
            None => {
                known.make_room(now_millis);
                known.logs.insert(key.to_owned(), what);
            }
        }
    }

    /// Spends a permit of each log of a quota, kept here alone: exact in this process only. A refusal spends nothing, and
    /// lasts until all of them admit.
    pub(super) fn spend<'a>(
        &self,
        quota: impl Iterator<Item = (&'a str, &'a LogShape)> + Clone,
        now_millis: i64,
    ) -> Result<Vec<Standing>, Standing> {
        let mut logs = lock(&self.logs);
        for (key, shape) in quota.clone() {
            if !logs.contains_key(key) {
                make_room(&mut logs, LOGS_MAX);
                logs.insert(key.to_owned(), Log::empty(shape));
            }
        }
        let refusals = quota.clone().filter_map(|(key, shape)| logs.get(key)?.refusal(shape, now_millis));
        match refusals.max_by_key(|refusal| refusal.reset_millis) {
            Some(longest) => Err(longest),
            None => Ok(quota.filter_map(|(key, shape)| Some(logs.get_mut(key)?.spend(shape, now_millis))).collect()),
        }
    }
}

impl Remembered {
    /// Where there is no room for one more, forgets what is over, or else any.
    fn make_room(&mut self, now_millis: i64) {
        let is_sweep_due = now_millis.saturating_sub(self.swept_at_millis) >= SWEEP_PAUSE_MILLIS;
        if self.logs.len() >= REMEMBERED_MAX && is_sweep_due {
            self.logs.retain(|_, what| now_millis < what.until_millis());
            self.swept_at_millis = now_millis;
        }
        make_room(&mut self.logs, REMEMBERED_MAX);
    }
}

impl Log {
    fn empty(shape: &LogShape) -> Self {
        Self { entries: vec![0; shape.length], permits_in_hand: 0, until_millis: 0 }
    }

    fn has_permit(&self, now_millis: i64) -> bool {
        self.permits_in_hand > 0 && now_millis < self.until_millis
    }

    fn refusal(&self, shape: &LogShape, now_millis: i64) -> Option<Standing> {
        let wait_millis = shape.wait_millis(&self.entries, now_millis);
        let is_refused = wait_millis > 0 && !self.has_permit(now_millis);
        is_refused.then(|| Standing { remaining: 0, reset_millis: wait_millis, ..self.standing(shape, now_millis) })
    }

    /// Of a log that does not refuse.
    fn spend(&mut self, shape: &LogShape, now_millis: i64) -> Standing {
        if self.has_permit(now_millis) {
            self.permits_in_hand = self.permits_in_hand.saturating_sub(1);
        } else {
            self.entries.rotate_left(1);
            self.until_millis = now_millis.saturating_add(shape.lease_millis);
            self.permits_in_hand = shape.permits_per_entry.saturating_sub(1);
            if let Some(newest) = self.entries.last_mut() {
                *newest = self.until_millis;
            }
        }
        self.standing(shape, now_millis)
    }

    fn standing(&self, shape: &LogShape, now_millis: i64) -> Standing {
        shape.standing(&self.entries, now_millis, self.permits_in_hand).unwrap_or(NOTHING)
    }
}

/// Forgets one where there is no room for one more.
fn make_room<What>(map: &mut HashMap<String, What>, max: usize) {
    if map.len() >= max
        && let Some(any) = map.keys().next().cloned()
    {
        map.remove(&any);
    }
}

/// Stands in where a log without windows would be; there is none.
pub(super) const NOTHING: Standing = Standing {
    window: Window { quota: 1, seconds: 1 },
    remaining: 0,
    reset_millis: 1000,
    full: Full { from_millis: 0, until_millis: 0 },
};

/// A panic while holding the lock leaves only counts behind, which stay right.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::iter;

    use proptest::prelude::*;

    use super::{super::policy::Policy, *};

    #[test]
    fn no_more_than_so_many_clients_are_remembered() {
        let memory = Memory::default();
        let shape = LogShape::of(&"1 per second".parse().unwrap()).remove(0);
        for client in 0..REMEMBERED_MAX + 100 {
            memory.remember(&client.to_string(), Known::Refused { standing: NOTHING, until_millis: i64::MAX }, 0);
            memory.spend(iter::once((client.to_string().as_str(), &shape)), 1000).unwrap();
        }
        assert_eq!(lock(&memory.known).logs.len(), REMEMBERED_MAX);
        assert_eq!(lock(&memory.logs).len(), LOGS_MAX);
        let newest = (REMEMBERED_MAX + 99).to_string();
        assert!(memory.refusal(&newest, 0).is_some(), "the newest is kept");
    }

    /// A flood of others makes room for itself, and nobody is admitted by that (attack 5.19).
    #[test]
    fn whom_a_flood_made_it_forget_it_does_not_admit() {
        let memory = Memory::default();
        let refused = Known::Refused { standing: NOTHING, until_millis: i64::MAX };
        for client in 0..2 * REMEMBERED_MAX {
            memory.remember(&client.to_string(), refused, 0);
        }
        let recalled: Vec<_> = (0..2 * REMEMBERED_MAX).map(|client| memory.recall(&client.to_string(), 0)).collect();
        assert!(recalled.iter().flatten().all(Result::is_err));
        assert_eq!(recalled.iter().filter(|known| known.is_none()).count(), REMEMBERED_MAX);
    }

    #[test]
    fn where_there_is_no_room_what_is_over_is_forgotten_first() {
        let memory = Memory::default();
        let refused_until = |until_millis| Known::Refused { standing: NOTHING, until_millis };
        for client in 0..REMEMBERED_MAX {
            memory.remember(&client.to_string(), refused_until(if client == 7 { 2000 } else { 1000 }), 0);
        }
        memory.remember("one more", refused_until(3000), 1000);
        assert_eq!(lock(&memory.known).logs.len(), 2);
        assert!(memory.refusal("7", 1000).is_some());
    }

    #[test]
    fn a_lease_that_comes_late_is_not_kept_in_place_of_a_refusal() {
        let memory = Memory::default();
        memory.remember("x", Known::Refused { standing: NOTHING, until_millis: 1000 }, 0);
        let late = Known::Lease { permits: 0, standing: NOTHING, until_millis: 10, full_until_millis: 1000 };
        memory.remember("x", late, 0);
        assert_eq!(memory.refusal("x", 400).map(|standing| standing.reset_millis), Some(600));
    }

    #[test]
    fn permits_in_hand_outlast_a_refusal_which_then_follows_them() {
        let memory = Memory::default();
        let lease = Known::Lease { permits: 1, standing: NOTHING, until_millis: 100, full_until_millis: 700 };
        memory.remember("x", lease, 0);
        for (until_millis, full_until_millis) in [(900, 900), (800, 900)] {
            memory.remember("x", Known::Refused { standing: NOTHING, until_millis }, 0);
            assert_eq!(memory.full("x", 0), Some(Full { from_millis: 100, until_millis: full_until_millis }));
        }
        assert!(memory.recall("x", 99).unwrap().is_ok());
        memory.remember("x", Known::Refused { standing: NOTHING, until_millis: 900 }, 99);
        assert!(memory.recall("x", 99).unwrap().is_err(), "the last permit is spent");
    }

    /// How many of a burst are admitted by this policy, and the wait in milliseconds that the rest is told.
    fn burst(memory: &Memory, policy: &Policy, requests: usize, now_millis: i64) -> (usize, Option<i64>) {
        let shapes: Vec<(String, LogShape)> =
            LogShape::of(policy).into_iter().map(|shape| (format!("{shape:?}"), shape)).collect();
        let quota = shapes.iter().map(|(key, shape)| (key.as_str(), shape));
        let outcomes: Vec<_> = (0..requests).map(|_| memory.spend(quota.clone(), now_millis)).collect();
        let waits = outcomes.iter().filter_map(|outcome| Some(outcome.as_ref().err()?.reset_millis));
        (outcomes.iter().filter(|outcome| outcome.is_ok()).count(), waits.max())
    }

    #[test]
    fn a_process_by_itself_admits_as_many_as_all_windows_do_and_tells_when_they_admit_again() {
        let policy = "190 per 10 seconds; 210 per minute".parse().unwrap();
        let memory = Memory::default();
        assert_eq!(burst(&memory, &policy, 300, 1_000_000), (190, Some(10_000)));
        // What the second window refuses is not taken from the first. Its entries are stamped half a second late.
        let lease_millis = 60_000 / 105;
        assert_eq!(burst(&memory, &policy, 300, 1_010_000), (20, Some(50_000 + lease_millis)));
        assert_eq!(burst(&memory, &policy, 1, 1_060_000 + lease_millis), (1, None));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn a_process_by_itself_admits_no_more_than_each_window(
            bursts in prop::collection::vec((0..70_000_i64, 1..300_usize), 1..30),
        ) {
            let policy: Policy = "190 per 10 seconds; 210 per minute".parse().unwrap();
            let memory = Memory::default();
            let (mut now_millis, mut admitted): (i64, Vec<(i64, usize)>) = (1_000_000, Vec::new());
            for (pause, requests) in bursts {
                now_millis += pause;
                admitted.push((now_millis, burst(&memory, &policy, requests, now_millis).0));
                for window in policy.windows() {
                    let inside = admitted.iter().filter(|(at, _)| at + window.millis() > now_millis);
                    prop_assert!(inside.map(|(_, count)| count).sum::<usize>() <= window.quota as usize);
                }
            }
        }
    }
}
