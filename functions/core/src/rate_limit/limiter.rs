//! The limiter: charges a client's quota before anything else is spent on it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;

use super::{
    headers::seconds_up,
    log::{LogShape, Standing},
    policy::{Policy, Window},
};
use crate::{
    config::{Function, Limits},
    store::{Counters, StoreError, counters::Append, keys},
    turns::Turns,
};

/// Charges quotas. A cheap clone; clones share what they remember.
#[derive(Debug, Clone)]
pub struct Limiter {
    counters: Counters,
    rules: Arc<HashMap<Function, Rule>>,
    memory: Arc<Memory>,
    turns: Turns<String>,
}

#[derive(Debug)]
struct Rule {
    policy: Policy,
    shapes: Vec<LogShape>,
    is_by_route: bool,
}

/// What a charge was: admitted, with what the client should know about its quota.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charged {
    /// The function that was charged.
    pub function: Function,
    /// The policy in force.
    pub policy: Policy,
    /// The window nearest to refusing.
    pub standing: Standing,
}

/// Why a charge was not admitted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChargeError {
    /// Over the limit.
    #[error("over the limit of {}", .0.function.name())]
    Limited(Charged),
    /// The store gave no answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A newest entry may lie this far after our clock before we take it for the time: requests overtake each other.
const CLOCK_TOLERANCE_MILLIS: i64 = 50;
/// Who has waited as long as one call may take buys for itself.
const TURN_WAIT: Duration = Duration::from_secs(4);
/// Losing to a faster clock more often than this means clocks run wild.
const CLOCK_TRIES: u32 = 4;

impl Limiter {
    /// A limiter with the limits in force.
    #[must_use]
    pub fn new(counters: Counters, limits: &Limits) -> Self {
        let rule = |function: &Function| {
            let in_force = limits.of(*function)?;
            Some((
                *function,
                Rule {
                    shapes: LogShape::of(&in_force.policy),
                    policy: in_force.policy,
                    is_by_route: in_force.is_by_route,
                },
            ))
        };
        Self {
            counters,
            rules: Arc::new(Function::ALL.iter().filter_map(rule).collect()),
            memory: Arc::default(),
            turns: Turns::default(),
        }
    }

    /// Spends one request of `client`'s quota of `function`; `None` where it is not limited.
    ///
    /// # Errors
    /// [`ChargeError::Limited`] with the time until the next admission; [`ChargeError::Store`].
    pub async fn charge(
        &self,
        function: Function,
        route: &str,
        client: &str,
        now: Timestamp,
    ) -> Result<Option<Charged>, ChargeError> {
        let Some(rule) = self.rules.get(&function) else {
            return Ok(None);
        };
        let partition = if rule.is_by_route { format!("{route}|{client}") } else { client.to_owned() };
        let now_millis = now.as_millisecond();
        let charged = |standing| Charged { function, policy: rule.policy.clone(), standing };
        let logs: Vec<(String, &LogShape)> = rule
            .shapes
            .iter()
            .map(|shape| (keys::limit(function.name(), &shape_name(shape), &partition), shape))
            .collect();
        // A refusal that is remembered costs the other logs nothing.
        if let Some(refusal) = logs
            .iter()
            .filter_map(|(key, _)| self.memory.refusal(key, now_millis))
            .max_by_key(|standing| standing.reset_millis)
        {
            return Err(ChargeError::Limited(charged(refusal)));
        }
        let mut nearest: Option<Standing> = None;
        for (key, shape) in &logs {
            match self.spend(key, shape, now_millis).await {
                Ok(standing) => {
                    nearest = nearest.into_iter().chain([standing]).min_by_key(|standing| standing.remaining)
                }
                Err(Refusal::Full(standing)) => {
                    return Err(ChargeError::Limited(charged(
                        self.longest_wait(standing, key, &logs, now_millis).await?,
                    )));
                }
                Err(Refusal::Store(error)) => return Err(ChargeError::Store(error)),
            }
        }
        Ok(nearest.map(charged))
    }

    /// The refusal that lasts longest, this one or that of another log: a retry after it must be admitted by all.
    async fn longest_wait(
        &self,
        refusal: Standing,
        refused_by: &str,
        logs: &[(String, &LogShape)],
        now_millis: i64,
    ) -> Result<Standing, StoreError> {
        let mut longest = refusal;
        for (key, shape) in logs.iter().filter(|(key, _)| key != refused_by) {
            let log = self.counters.read(key).await?.unwrap_or_default();
            if shape.wait_millis(&log, now_millis) > longest.reset_millis
                && let Refusal::Full(standing) = self.refused(key, shape, &log, now_millis, now_millis)
            {
                longest = standing;
            }
        }
        Ok(longest)
    }

    /// A charge without the store, exact in this process only: for open routes while the store is down.
    ///
    /// # Errors
    /// [`ChargeError::Limited`].
    pub fn charge_in_process(
        &self,
        function: Function,
        client: &str,
        now: Timestamp,
    ) -> Result<Option<Charged>, ChargeError> {
        let Some(rule) = self.rules.get(&function) else {
            return Ok(None);
        };
        let charged = |standing| Charged { function, policy: rule.policy.clone(), standing };
        let [window, ..] = rule.policy.windows() else {
            return Ok(None);
        };
        match self.memory.count(&format!("{}|{client}", function.name()), *window, now.as_millisecond()) {
            Ok(standing) => Ok(Some(charged(standing))),
            Err(standing) => Err(ChargeError::Limited(charged(standing))),
        }
    }

    async fn spend(&self, key: &str, shape: &LogShape, now_millis: i64) -> Result<Standing, Refusal> {
        if shape.lease_millis == 0 {
            return self.buy(key, shape, now_millis).await;
        }
        if let Some(known) = self.memory.recall(key, now_millis) {
            return known.map_err(Refusal::Full);
        }
        // One purchase at a time: the others then spend what it bought.
        // Not forever: behind a store that hangs they would wait for all deadlines in a row.
        let _turn = tokio::time::timeout(TURN_WAIT, self.turns.take(key.to_owned())).await.ok();
        match self.memory.recall(key, now_millis) {
            Some(known) => known.map_err(Refusal::Full),
            None => self.buy(key, shape, now_millis).await,
        }
    }

    /// One entry of the log, by one conditional write; a second one only if another instance's clock is ahead of ours.
    async fn buy(&self, key: &str, shape: &LogShape, now_millis: i64) -> Result<Standing, Refusal> {
        let mut clock_millis = now_millis;
        for _ in 0..CLOCK_TRIES {
            let stamp_millis = clock_millis.saturating_add(shape.lease_millis);
            let clock_limit_millis = stamp_millis.saturating_add(CLOCK_TOLERANCE_MILLIS);
            let log = match self.counters.append(key, shape, clock_millis, stamp_millis, clock_limit_millis).await? {
                Append::Admitted(log) => return Ok(self.bought(key, shape, &log, clock_millis, now_millis)),
                Append::Refused(log) => log,
            };
            let newest = log.last().copied().unwrap_or(0);
            if newest > clock_limit_millis {
                clock_millis = newest.saturating_sub(shape.lease_millis);
                continue;
            }
            return Err(self.refused(key, shape, &log, clock_millis, now_millis));
        }
        Err(Refusal::Store(StoreError::Unavailable("the clocks of the instances disagree".to_owned())))
    }

    fn bought(&self, key: &str, shape: &LogShape, log: &[i64], clock_millis: i64, now_millis: i64) -> Standing {
        let in_hand = shape.permits_per_entry.saturating_sub(1);
        let standing = shape.standing(log, clock_millis, in_hand).unwrap_or(NOTHING);
        if shape.lease_millis > 0 {
            let until_millis = now_millis.saturating_add(shape.lease_millis);
            self.memory.remember(key, Known::Lease { permits: in_hand, standing, until_millis });
        }
        standing
    }

    /// A refusal stays true until its wait is over, so it is answered from memory until then.
    fn refused(&self, key: &str, shape: &LogShape, log: &[i64], clock_millis: i64, now_millis: i64) -> Refusal {
        let wait_millis = shape.wait_millis(log, clock_millis).max(1);
        let standing = Standing {
            remaining: 0,
            reset_millis: wait_millis,
            ..shape.standing(log, clock_millis, 0).unwrap_or(NOTHING)
        };
        let until_millis = now_millis.saturating_add(wait_millis);
        self.memory.remember(key, Known::Refused { standing, until_millis });
        Refusal::Full(standing)
    }
}

impl Charged {
    /// `Retry-After`: whole seconds, rounded up; a retry after them is admitted.
    #[must_use]
    pub fn retry_after_seconds(&self) -> i64 {
        seconds_up(self.standing.reset_millis)
    }
}

enum Refusal {
    Full(Standing),
    Store(StoreError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Stands in where a policy without windows would be; there is none.
const NOTHING: Standing = Standing { window: Window { quota: 1, seconds: 1 }, remaining: 0, reset_millis: 1000 };

fn shape_name(shape: &LogShape) -> String {
    shape.windows().iter().map(|window| format!("{}/{}", window.quota, window.seconds)).collect::<Vec<_>>().join("+")
}

/// What this process may answer without asking the store: refusals until their wait is over, permits it has bought.
///
/// Bounded: when it is full, something else is forgotten, and the store decides about that as ever (attack 5.19).
#[derive(Debug, Default)]
struct Memory {
    known: Mutex<HashMap<String, Known>>,
    counts: Mutex<HashMap<String, Vec<i64>>>,
}

#[derive(Debug, Clone, Copy)]
enum Known {
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
    fn recall(&self, key: &str, now_millis: i64) -> Option<Result<Standing, Standing>> {
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
    fn refusal(&self, key: &str, now_millis: i64) -> Option<Standing> {
        match lock(&self.known).get(key)? {
            Known::Refused { standing, until_millis } if now_millis < *until_millis => {
                Some(Standing { reset_millis: until_millis.saturating_sub(now_millis), ..*standing })
            }
            Known::Refused { .. } | Known::Lease { .. } => None,
        }
    }

    fn remember(&self, key: &str, what: Known) {
        let mut known = lock(&self.known);
        if known.len() >= REMEMBERED_MAX
            && let Some(any) = known.keys().next().cloned()
        {
            known.remove(&any);
        }
        known.insert(key.to_owned(), what);
    }

    fn count(&self, key: &str, window: Window, now_millis: i64) -> Result<Standing, Standing> {
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
