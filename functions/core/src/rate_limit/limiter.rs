//! The limiter: charges a client's quota before anything else is spent on it.

use std::{
    collections::{BTreeMap, HashMap},
    slice,
    sync::Arc,
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{join_all, try_join_all},
};
use jiff::Timestamp;

use super::{
    headers::seconds_up,
    log::{Full, LogShape, Standing},
    memory::{Known, Memory, NOTHING, Refused},
    named::{LimitName, PolicyName},
    policy::Policy,
    quota::{Endpoint, Quota, Rule},
    tally::Counts,
};
use crate::{
    config::{Function, Limits},
    events,
    http::client::Partition,
    store::{Counters, StoreError, counters::Append},
    turns::Turns,
};

/// Charges quotas. A cheap clone; clones share what they remember.
#[derive(Debug, Clone)]
pub struct Limiter {
    counters: Counters,
    rules: Arc<HashMap<LimitName, Arc<Rule>>>,
    memory: Arc<Memory>,
    turns: Turns<String>,
}

/// What was charged, admitted or not, and how the client's quota stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charged {
    /// The limit that was charged.
    pub name: LimitName,
    /// The policy in force.
    pub policy: Arc<Policy>,
    /// The window nearest to refusing.
    pub standing: Standing,
    /// When each log admits nothing more, as far as is known; those that always admit are left out. Of a refusal, the logs
    /// of all limits that the request was charged to.
    pub full: Vec<Full>,
}

/// Why a charge was not admitted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChargeError {
    /// Over the limit.
    #[error("over the limit of {}", .0.name)]
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
    /// A limiter with the limits in force: those of our functions, and those that settings name for guarded APIs.
    #[must_use]
    pub fn new(counters: Counters, limits: &Limits, named: &BTreeMap<PolicyName, Policy>) -> Self {
        let of_function = |function: &Function| {
            let in_force = limits.of(*function)?;
            Some(Rule::new(LimitName::Function(*function), in_force.policy, in_force.is_by_route))
        };
        let of_name =
            |(name, policy): (&PolicyName, &Policy)| Rule::new(LimitName::Named(name.clone()), policy.clone(), false);
        let rules = Function::ALL.iter().filter_map(of_function).chain(named.iter().map(of_name));
        Self {
            counters,
            rules: Arc::new(rules.map(|rule| (rule.name().clone(), Arc::new(rule))).collect()),
            memory: Arc::default(),
            turns: Turns::default(),
        }
    }

    /// Whether a guarded API may have this limit charged: a policy of the settings, or a function's, be it switched off.
    ///
    /// Not what guesses are counted by: a page of another site could spend its visitor's.
    #[must_use]
    pub fn may_be_demanded(&self, name: &LimitName) -> bool {
        match name {
            LimitName::Function(function) => !Limits::OF_CREDENTIALS.contains(function),
            LimitName::Named(_) => self.rules.contains_key(name),
        }
    }

    /// What became of the charges of each limit since the process started.
    pub fn tallies(&self) -> impl Iterator<Item = (&LimitName, Counts)> {
        self.rules.iter().map(|(name, rule)| (name, rule.counts()))
    }

    /// `client`'s quota under one limit, of this endpoint where each has its own; `None` where the limit is off.
    pub(crate) fn quota(&self, name: &LimitName, endpoint: Option<&Endpoint>, client: Partition) -> Option<Quota> {
        self.rules.get(name).map(|rule| rule.quota(endpoint, client))
    }

    /// Refuses whom memory alone can refuse, by the refusal that lasts longest: it costs the other quotas nothing, and it
    /// is counted, but not logged again.
    ///
    /// # Errors
    /// [`ChargeError::Limited`] with the time until the next admission.
    pub(crate) fn let_by_memory(&self, quotas: &[Quota], now: Timestamp) -> Result<(), ChargeError> {
        let now_millis = now.as_millisecond();
        match self.known_refusal(quotas, now_millis) {
            Some((quota, refused)) => quota.noted(Err(self.limited(refused, quotas, now_millis))),
            None => Ok(()),
        }
    }

    /// Of what memory refuses, what lasts longest.
    fn known_refusal<'a>(&self, quotas: &'a [Quota], now_millis: i64) -> Option<(&'a Quota, Charged)> {
        let known = quotas.iter().filter_map(|quota| Some((quota, self.remembered(quota, now_millis)?)));
        let (quota, standing) = known.max_by_key(|(_, standing)| standing.reset_millis)?;
        Some((quota, quota.charged(standing)))
    }

    /// A refusal that lasts for as long as any of these quotas is known to admit nothing: one may have no permit left, and
    /// have refused nobody yet.
    fn limited(&self, refused: Charged, quotas: &[Quota], now_millis: i64) -> ChargeError {
        let logs = quotas.iter().flat_map(Quota::logs);
        let full = logs.filter_map(|(key, _)| self.memory.full(key, now_millis)).collect();
        ChargeError::Limited(Charged { full, ..refused })
    }

    /// Spends one request of a quota. Whom memory refuses need not come here: it only saves the write.
    ///
    /// # Errors
    /// [`ChargeError::Limited`] with the time until the next admission; [`ChargeError::Store`].
    pub(crate) async fn charge(&self, quota: &Quota, now: Timestamp) -> Result<Charged, ChargeError> {
        let now_millis = now.as_millisecond();
        let outcome = quota.noted(self.spend_logs(quota, now_millis).await);
        self.lasting(outcome, slice::from_ref(quota), now_millis).await
    }

    /// Spends one request of each of several quotas of `client`, side by side; those that are off aren't in the answer.
    ///
    /// A client that is known to be over one of them costs the others nothing.
    ///
    /// # Errors
    /// [`ChargeError::Limited`] with the time until all of them admit; [`ChargeError::Store`].
    pub(crate) async fn charge_each(
        &self,
        names: impl IntoIterator<Item = LimitName>,
        client: Partition,
        now: Timestamp,
    ) -> Result<Vec<Charged>, ChargeError> {
        let quotas: Vec<Quota> = names.into_iter().filter_map(|name| self.quota(&name, None, client)).collect();
        self.let_by_memory(&quotas, now)?;
        let now_millis = now.as_millisecond();
        let spend = async |quota: &Quota| quota.noted(self.spend_logs(quota, now_millis).await);
        let outcome = together(join_all(quotas.iter().map(spend)).await);
        self.lasting(outcome, &quotas, now_millis).await
    }

    /// The outcome of a charge; a refusal with the time until all of these quotas admit, whoever has spent of them so far.
    /// Whom memory refuses is told what it knows.
    async fn lasting<T>(
        &self,
        outcome: Result<T, ChargeError>,
        quotas: &[Quota],
        now_millis: i64,
    ) -> Result<T, ChargeError> {
        let Err(ChargeError::Limited(refused)) = outcome else {
            return outcome;
        };
        // Without an answer nobody can be told after which wait they are admitted, and so not that they must wait.
        self.catch_up(quotas, now_millis).boxed().await?;
        let longest = self.known_refusal(quotas, now_millis).map_or(refused, |(_, known)| known);
        Err(self.limited(longest, quotas, now_millis))
    }

    /// Reads, side by side, how that stands which is bought in bulk: other instances may have bought since this one did.
    async fn catch_up(&self, quotas: &[Quota], now_millis: i64) -> Result<(), StoreError> {
        let in_bulk = quotas.iter().flat_map(Quota::logs).filter(|(_, shape)| shape.lease_millis > 0);
        let unknown = in_bulk.filter(|(key, _)| self.memory.refusal(key, now_millis).is_none());
        try_join_all(unknown.map(|(key, shape)| self.read(key, shape, now_millis))).await?;
        Ok(())
    }

    /// Learns how a log stands, by a read.
    async fn read(&self, key: &str, shape: &LogShape, now_millis: i64) -> Result<(), StoreError> {
        let log = self.counters.read(key).await?.unwrap_or_default();
        let full_until_millis = now_millis.saturating_add(shape.wait_millis(&log, now_millis));
        self.memory.remember(key, Known::full_until(full_until_millis), now_millis);
        Ok(())
    }

    async fn spend_logs(&self, quota: &Quota, now_millis: i64) -> Result<Charged, ChargeError> {
        let mut standings = Vec::with_capacity(1);
        for (key, shape) in quota.logs() {
            match self.spend(key, shape, now_millis).await {
                Ok(standing) => standings.push(standing),
                Err(SpendError::Remembered(standing)) => return Err(ChargeError::Limited(quota.charged(standing))),
                Err(SpendError::Full(standing)) => {
                    events::limit_hit(quota.name());
                    return Err(ChargeError::Limited(quota.charged(standing)));
                }
                Err(SpendError::Store(error)) => return Err(ChargeError::Store(error)),
            }
        }
        let full = standings.iter().map(|standing| standing.full).filter(|full| full.until_millis > 0).collect();
        Ok(Charged { full, ..quota.charged(nearest(standings)) })
    }

    fn remembered(&self, quota: &Quota, now_millis: i64) -> Option<Standing> {
        let refusals = quota.logs().filter_map(|(key, _)| self.memory.refusal(key, now_millis));
        refusals.max_by_key(|standing| standing.reset_millis)
    }

    /// A charge without the store, exact in this process only: for open routes while the store is down. It is not counted:
    /// the one that the store left unanswered is.
    ///
    /// # Errors
    /// [`ChargeError::Limited`].
    pub(crate) fn charge_in_process(&self, quota: &Quota, now: Timestamp) -> Result<Charged, ChargeError> {
        let now_millis = now.as_millisecond();
        if let Some(refusal) = self.remembered(quota, now_millis) {
            return Err(self.limited(quota.charged(refusal), slice::from_ref(quota), now_millis));
        }
        match self.memory.spend(quota.logs(), now_millis) {
            Ok(standings) => Ok(quota.charged(nearest(standings))),
            Err(Refused { standing, full }) => Err(ChargeError::Limited(Charged { full, ..quota.charged(standing) })),
        }
    }

    async fn spend(&self, key: &str, shape: &LogShape, now_millis: i64) -> Result<Standing, SpendError> {
        if shape.lease_millis == 0 {
            return self.buy(key, shape, now_millis).boxed().await;
        }
        match self.memory.recall(key, now_millis) {
            Some(known) => known.map_err(SpendError::Remembered),
            // Boxed, as above, so that what is answered from memory doesn't hold the room for it.
            None => self.buy_in_turn(key, shape, now_millis).boxed().await,
        }
    }

    async fn buy_in_turn(&self, key: &str, shape: &LogShape, now_millis: i64) -> Result<Standing, SpendError> {
        // One purchase at a time: the others then spend what it bought.
        // Not forever: behind a store that hangs they would wait for all deadlines in a row.
        let _turn = tokio::time::timeout(TURN_WAIT, self.turns.take(key.to_owned())).await.ok();
        match self.memory.recall(key, now_millis) {
            Some(known) => known.map_err(SpendError::Remembered),
            None => self.buy(key, shape, now_millis).await,
        }
    }

    /// One entry of the log, by one conditional write; a second one only if another instance's clock is ahead of ours.
    async fn buy(&self, key: &str, shape: &LogShape, now_millis: i64) -> Result<Standing, SpendError> {
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
            return Err(SpendError::Full(self.refused(key, shape, &log, clock_millis, now_millis)));
        }
        Err(SpendError::Store(StoreError::Unavailable("the clocks of the instances disagree".to_owned())))
    }

    fn bought(&self, key: &str, shape: &LogShape, log: &[i64], clock_millis: i64, now_millis: i64) -> Standing {
        let in_hand = shape.permits_per_entry.saturating_sub(1);
        let standing = shape.standing(log, clock_millis, in_hand).unwrap_or(NOTHING);
        let full_until_millis = now_millis.saturating_add(shape.wait_millis(log, now_millis));
        let bought = Known::bought(in_hand, standing, now_millis, shape.lease_millis, full_until_millis);
        self.memory.remember(key, bought, now_millis);
        Standing { full: bought.full(now_millis), ..standing }
    }

    /// A refusal is answered from memory until its wait is over, by our clock: the store would refuse until then as well,
    /// unless an instance whose clock is ahead moves the log on.
    fn refused(&self, key: &str, shape: &LogShape, log: &[i64], clock_millis: i64, now_millis: i64) -> Standing {
        let wait_millis = shape.wait_millis(log, now_millis).max(1);
        let standing = Standing {
            remaining: 0,
            reset_millis: wait_millis,
            ..shape.standing(log, clock_millis, 0).unwrap_or(NOTHING)
        };
        let until_millis = now_millis.saturating_add(wait_millis);
        self.memory.remember(key, Known::refused(standing, until_millis), now_millis);
        standing
    }
}

impl Charged {
    /// `Retry-After`: whole seconds, rounded up; a retry after them is admitted.
    #[must_use]
    pub fn retry_after_seconds(&self) -> i64 {
        self.longer_wait_seconds(self.standing.reset_millis)
    }

    /// So many seconds, or more until this quota admits another request too.
    pub(crate) fn wait_seconds(&self, seconds: i64) -> i64 {
        self.longer_wait_seconds(seconds.saturating_mul(1000))
    }

    fn longer_wait_seconds(&self, wait_millis: i64) -> i64 {
        seconds_up(Full::longer_wait_millis(&self.full, wait_millis))
    }
}

/// Several charges as one: refused by any of them, by the one that lasts longest.
fn together(outcomes: Vec<Result<Charged, ChargeError>>) -> Result<Vec<Charged>, ChargeError> {
    let (mut admitted, mut refused): (Vec<Charged>, Option<Charged>) = (Vec::new(), None);
    for outcome in outcomes {
        match outcome {
            Ok(charged) => admitted.push(charged),
            Err(ChargeError::Limited(charged)) => {
                refused = refused.into_iter().chain([charged]).max_by_key(|charged| charged.standing.reset_millis)
            }
            Err(ChargeError::Store(error)) => return Err(ChargeError::Store(error)),
        }
    }
    refused.map_or(Ok(admitted), |refused| Err(ChargeError::Limited(refused)))
}

/// The log that is nearest to refusing.
fn nearest(standings: Vec<Standing>) -> Standing {
    let by_nearness = |standing: &Standing| (standing.remaining, std::cmp::Reverse(standing.reset_millis));
    standings.into_iter().min_by_key(by_nearness).unwrap_or(NOTHING)
}

/// Why a log gave no permit.
#[derive(Debug, thiserror::Error)]
enum SpendError {
    #[error("some window of the log is full")]
    Full(Standing),
    #[error("some window of the log is known to be full")]
    Remembered(Standing),
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[cfg(test)]
mod tests {
    use super::{super::policy::Window, *};

    fn charged(remaining: u32, reset_millis: i64) -> Charged {
        let window = Window { quota: 10, seconds: 60 };
        let policy: Policy = "10 per minute".parse().unwrap();
        Charged {
            name: LimitName::Function(Function::Authz),
            policy: Arc::new(policy),
            standing: Standing { window, remaining, reset_millis, full: Full::default() },
            full: Vec::new(),
        }
    }

    fn refused(reset_millis: i64) -> Result<Charged, ChargeError> {
        Err(ChargeError::Limited(charged(0, reset_millis)))
    }

    fn wait_of(outcomes: Vec<Result<Charged, ChargeError>>) -> i64 {
        let Err(ChargeError::Limited(charged)) = together(outcomes) else { panic!("not refused") };
        charged.standing.reset_millis
    }

    #[test]
    fn of_several_limits_that_refuse_the_one_that_lasts_longest_is_told() {
        assert_eq!(wait_of(vec![refused(10_000), refused(30_000)]), 30_000);
        assert_eq!(wait_of(vec![refused(10_000), Ok(charged(1, 30_000))]), 10_000);
    }

    #[test]
    fn limits_that_all_admit_are_all_told_and_one_without_an_answer_is_an_error() {
        assert_eq!(together(vec![Ok(charged(3, 1)), Ok(charged(0, 2))]), Ok(vec![charged(3, 1), charged(0, 2)]));
        let away = ChargeError::Store(StoreError::Unavailable("away".into()));
        for outcomes in [vec![Ok(charged(3, 1)), Err(away.clone())], vec![Err(away.clone()), refused(1)]] {
            assert_eq!(together(outcomes), Err(away.clone()));
        }
    }
}
