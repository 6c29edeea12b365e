//! What one process remembers of limits, so that it need not ask the store.

use std::{
    num::NonZeroUsize,
    sync::{Mutex, PoisonError},
};

use lru::LruCache;

use super::{
    log::{Full, LogShape, Standing},
    policy::Window,
};

/// What this process may answer without asking the store: permits it has bought, refusals until their wait is over. While
/// the store is away, logs of its own.
///
/// Bounded: when it is full, what is over is forgotten, or else whoever has not come for longest, and the store, if it is
/// there, decides about them as ever. So a flood of others takes nothing from who comes meanwhile, permits least of all
/// (attack 5.19).
#[derive(Debug)]
pub(super) struct Memory {
    known: Mutex<Remembered>,
    /// All logs of a quota, by the key of the first. [`Memory::spend`] bounds them.
    quotas: Mutex<LruCache<String, Vec<Log>>>,
}

#[derive(Debug)]
struct Remembered {
    logs: LruCache<String, Known>,
    swept_at_millis: i64,
}

/// What is known of one log.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Known {
    lease: Option<Lease>,
    /// What whoever has no permit is told until `full_until_millis`.
    refusal: Option<Standing>,
    /// Behind the permits in hand the store has none before this.
    full_until_millis: i64,
}

/// Permits in hand, and how their log stood when they were bought.
#[derive(Debug, Clone, Copy)]
struct Lease {
    permits: u32,
    standing: Standing,
    bought_at_millis: i64,
    until_millis: i64,
}

/// Of several logs of one client, some admit nothing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// What lasts longest.
    pub(super) standing: Standing,
    /// When each of them admits nothing.
    pub(super) full: Vec<Full>,
}

/// A log that is kept here alone, and what is left of its newest entry.
#[derive(Debug)]
struct Log {
    entries: Vec<i64>,
    permits_in_hand: u32,
    until_millis: i64,
}

impl Known {
    /// Permits were bought at `now_millis`, which left the log so; without any more of them, the store has none before
    /// `full_until_millis`.
    pub(super) fn bought(
        permits: u32,
        standing: Standing,
        now_millis: i64,
        lease_millis: i64,
        full_until_millis: i64,
    ) -> Self {
        let until_millis = now_millis.saturating_add(lease_millis);
        let lease = Lease { permits, standing, bought_at_millis: now_millis, until_millis };
        Self { lease: Some(lease), refusal: None, full_until_millis }
    }

    /// The store refused somebody.
    pub(super) fn refused(standing: Standing, until_millis: i64) -> Self {
        Self { refusal: Some(standing), ..Self::full_until(until_millis) }
    }

    /// The store has refused nobody yet, but would.
    pub(super) fn full_until(full_until_millis: i64) -> Self {
        Self { full_until_millis, ..Self::default() }
    }

    fn lease(&self, now_millis: i64) -> Option<Lease> {
        self.lease.filter(|lease| lease.permits > 0 && now_millis < lease.until_millis)
    }

    fn is_over(&self, now_millis: i64) -> bool {
        self.lease(now_millis).is_none() && now_millis >= self.full_until_millis
    }

    /// What is known with this as well, whichever was seen first: permits in hand stay there, and follow nothing that is
    /// full.
    fn with(self, new: Self, now_millis: i64) -> Self {
        Self {
            lease: new.lease(now_millis).or(self.lease(now_millis)),
            refusal: new.refusal.or(self.refusal.filter(|_| now_millis < self.full_until_millis)),
            full_until_millis: new.full_until_millis.max(self.full_until_millis),
        }
    }

    /// Spends a permit in hand, which leaves the log so.
    fn spend(&mut self, now_millis: i64) -> Option<Standing> {
        let lease = self.lease.as_mut().filter(|lease| now_millis < lease.until_millis)?;
        lease.permits = lease.permits.checked_sub(1)?;
        lease.standing.remaining = lease.standing.remaining.saturating_sub(1);
        let (standing, since_millis) = (lease.standing, now_millis.saturating_sub(lease.bought_at_millis).max(0));
        let reset_millis = standing.reset_millis.saturating_sub(since_millis).max(1);
        Some(Standing { reset_millis, full: self.full(now_millis), ..standing })
    }

    /// When nothing is admitted, as seen from `now_millis`.
    pub(super) fn full(&self, now_millis: i64) -> Full {
        Full::between(self.lease(now_millis).map(|lease| lease.until_millis), self.full_until_millis, now_millis)
    }

    /// As [`Standing`] tells it at `now_millis`, if it is a refusal that still holds.
    fn refusal(&self, now_millis: i64) -> Option<Standing> {
        let holds = now_millis < self.full_until_millis && self.lease(now_millis).is_none();
        let reset_millis = self.full_until_millis.saturating_sub(now_millis);
        self.refusal.filter(|_| holds).map(|standing| Standing { reset_millis, ..standing })
    }
}

/// About 250 bytes each.
const REMEMBERED_MAX: NonZeroUsize = NonZeroUsize::new(16_384).unwrap();
/// To forget what is over all are looked at, so not more often than this.
const SWEEP_PAUSE_MILLIS: i64 = 1000;
/// No call to the store takes as long.
const LATE_MAX_MILLIS: i64 = 10_000;
/// Up to 1,700 bytes each. A quota may have several.
const LOGS_MAX: NonZeroUsize = NonZeroUsize::new(4_096).unwrap();

impl Default for Memory {
    fn default() -> Self {
        let known = Remembered { logs: LruCache::sparse(REMEMBERED_MAX), swept_at_millis: 0 };
        Self { known: Mutex::new(known), quotas: Mutex::new(LruCache::unbounded()) }
    }
}

impl Memory {
    /// A permit out of a lease, or a refusal that still holds; `None` if the store must be asked.
    pub(super) fn recall(&self, key: &str, now_millis: i64) -> Option<Result<Standing, Standing>> {
        let known = &mut lock(&self.known).logs;
        let entry = known.get_mut(key)?;
        if entry.is_over(now_millis) {
            known.pop(key);
            return None;
        }
        entry.spend(now_millis).map(Ok).or_else(|| entry.refusal(now_millis).map(Err))
    }

    /// A refusal that still holds.
    pub(super) fn refusal(&self, key: &str, now_millis: i64) -> Option<Standing> {
        lock(&self.known).logs.get(key)?.refusal(now_millis)
    }

    /// When this log admits nothing, as seen from `now_millis`, whether it has refused anybody yet or not.
    pub(super) fn full(&self, key: &str, now_millis: i64) -> Option<Full> {
        Some(lock(&self.known).logs.get(key)?.full(now_millis))
    }

    /// Keeps what was learnt of a log, with what is known of it.
    pub(super) fn remember(&self, key: &str, what: Known, now_millis: i64) {
        if what.is_over(now_millis) {
            return;
        }
        let mut known = lock(&self.known);
        known.sweep(now_millis);
        let entry = known.logs.get_or_insert_mut_ref(key, Known::default);
        *entry = entry.with(what, now_millis);
    }

    /// Spends a permit of each log of a quota, kept here alone: exact in this process only. A refusal spends nothing, and
    /// lasts until all of them admit.
    pub(super) fn spend<'a>(
        &self,
        quota: impl Iterator<Item = (&'a str, &'a LogShape)> + Clone,
        now_millis: i64,
    ) -> Result<Vec<Standing>, Refused> {
        let shapes = quota.clone().map(|(_, shape)| shape);
        let Some((first, _)) = quota.clone().next() else { return Ok(Vec::new()) };
        let mut quotas = lock(&self.quotas);
        // Those who come are under one policy, and so have as many logs each.
        let quotas_max = NonZeroUsize::new(LOGS_MAX.get() / shapes.clone().count()).unwrap_or(NonZeroUsize::MIN);
        quotas.resize(quotas_max);
        let logs = quotas.get_or_insert_mut_ref(first, || shapes.clone().map(Log::empty).collect());
        let refusals = logs.iter().zip(shapes.clone()).filter_map(|(log, shape)| log.refusal(shape, now_millis));
        match refusals.max_by_key(|refusal| refusal.reset_millis) {
            Some(standing) => {
                let full = logs.iter().zip(shapes).map(|(log, shape)| log.full(shape, now_millis));
                Err(Refused { standing, full: full.collect() })
            }
            None => Ok(logs.iter_mut().zip(shapes).map(|(log, shape)| log.spend(shape, now_millis)).collect()),
        }
    }
}

impl Remembered {
    /// Where there is no room for one more, forgets what is over.
    fn sweep(&mut self, now_millis: i64) {
        // Not by what is learnt late, for which it seems to be in the future; by a clock that was set back since.
        let too_soon_millis = -LATE_MAX_MILLIS..SWEEP_PAUSE_MILLIS;
        let is_due = !too_soon_millis.contains(&now_millis.saturating_sub(self.swept_at_millis));
        if self.logs.len() >= REMEMBERED_MAX.get() && is_due {
            self.logs.retain(|_, known| !known.is_over(now_millis));
            self.swept_at_millis = now_millis;
        }
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

    /// When nothing is admitted, as seen from `now_millis`.
    fn full(&self, shape: &LogShape, now_millis: i64) -> Full {
        let lapse_millis = self.has_permit(now_millis).then_some(self.until_millis);
        let full_until_millis = now_millis.saturating_add(shape.wait_millis(&self.entries, now_millis));
        Full::between(lapse_millis, full_until_millis, now_millis)
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
mod tests;
