//! Whose quota it is: the rules in force, and what one client holds under them.

use std::sync::Arc;

use axum::{extract::MatchedPath, http::Method};

use super::{
    limiter::{ChargeError, Charged},
    log::{LogShape, Standing},
    named::LimitName,
    policy::Policy,
    tally::{Counts, Tally},
};
use crate::{http::client::Partition, store::keys};

/// One limit in force, for all clients.
#[derive(Debug)]
pub(super) struct Rule {
    name: LimitName,
    policy: Arc<Policy>,
    /// Each log's shape, and how its keys begin.
    logs: Vec<(String, LogShape)>,
    is_by_route: bool,
    tally: Tally,
}

/// One endpoint, as keys spell it.
pub(crate) struct Endpoint {
    pub(crate) method: Method,
    pub(crate) path: Option<MatchedPath>,
}

/// One client's quota under one rule: one log of the store for each of the rule's.
#[derive(Debug)]
pub(crate) struct Quota {
    rule: Arc<Rule>,
    keys: Vec<String>,
}

impl Rule {
    pub(super) fn new(name: LimitName, policy: Policy, is_by_route: bool) -> Self {
        let log = |shape: LogShape| (keys::limit(&name, shape.windows()), shape);
        let logs = LogShape::of(&policy).into_iter().map(log).collect();
        Self { logs, name, policy: Arc::new(policy), is_by_route, tally: Tally::default() }
    }

    pub(super) fn name(&self) -> &LimitName {
        &self.name
    }

    pub(super) fn counts(&self) -> Counts {
        self.tally.counts()
    }

    pub(super) fn quota(self: &Arc<Self>, endpoint: Option<&Endpoint>, client: Partition) -> Quota {
        let endpoint = endpoint.filter(|_| self.is_by_route);
        let key = |beginning: &str| keys::limit_log(beginning, endpoint, client);
        Quota { keys: self.logs.iter().map(|(beginning, _)| key(beginning)).collect(), rule: Arc::clone(self) }
    }
}

impl Quota {
    pub(super) fn name(&self) -> &LimitName {
        &self.rule.name
    }

    /// The key and the shape of each log.
    pub(super) fn logs(&self) -> impl Iterator<Item = (&str, &LogShape)> + Clone {
        self.keys.iter().map(String::as_str).zip(self.rule.logs.iter().map(|(_, shape)| shape))
    }

    /// How the quota stands after a charge, admitted or not.
    pub(super) fn charged(&self, standing: Standing) -> Charged {
        Charged { name: self.rule.name.clone(), policy: Arc::clone(&self.rule.policy), standing, full: Vec::new() }
    }

    /// Counts what became of a charge.
    pub(super) fn noted<T>(&self, outcome: Result<T, ChargeError>) -> Result<T, ChargeError> {
        self.rule.tally.note(&outcome);
        outcome
    }
}
