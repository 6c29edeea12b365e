//! A conditional change of one user, put together piece by piece: what is set, and what must hold for it.

use aws_sdk_dynamodb::{
    Client, operation::update_item::builders::UpdateItemFluentBuilder, primitives::Blob, types::AttributeValue,
};
use jiff::Timestamp;

use crate::{
    accounts::{
        guessing::{Guesses, Lane},
        user::{PendingEnrolment, User, UserId},
    },
    store::{
        StoreError, Write, blob,
        expression::{Expression, Placeholder},
        keys, millis, number,
    },
};

/// The factor that a guess was at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Factor {
    /// The password.
    Password,
    /// The second step's code.
    Code,
}

/// What a second step was proven by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Spent {
    /// A TOTP code of this time step, which is burnt with all before it.
    TimeStep(u64),
    /// The recovery code with this digest, which is removed.
    RecoveryCode(Vec<u8>),
}

/// The names of a user item's attributes.
pub(super) mod attribute {
    pub(in crate::store::users) const VERSION: &str = "credential_version";
    pub(in crate::store::users) const PHC: &str = "phc";
    pub(in crate::store::users) const TOTP: &str = "totp_secret";
    pub(in crate::store::users) const LAST_STEP: &str = "last_time_step";
    pub(in crate::store::users) const RECOVERY: &str = "recovery_digests";
    pub(in crate::store::users) const ENROLMENT: &str = "enrolment_secret";
    pub(in crate::store::users) const ENROLMENT_EXPIRES: &str = "enrolment_expires_at";
    pub(in crate::store::users) const ENROLMENT_FAILURES: &str = "enrolment_failures";
    pub(in crate::store::users) const USER: &str = "user_id";

    use super::{Factor, Lane};

    pub(in crate::store::users) fn failures(factor: Factor, lane: Lane) -> &'static str {
        match (factor, lane) {
            (Factor::Password, Lane::Stranger) => "password_failures",
            (Factor::Password, Lane::Known) => "password_failures_known",
            (Factor::Code, Lane::Stranger) => "code_failures",
            (Factor::Code, Lane::Known) => "code_failures_known",
        }
    }

    pub(in crate::store::users) fn retry_at(factor: Factor, lane: Lane) -> &'static str {
        match (factor, lane) {
            (Factor::Password, Lane::Stranger) => "password_retry_at",
            (Factor::Password, Lane::Known) => "password_retry_at_known",
            (Factor::Code, Lane::Stranger) => "code_retry_at",
            (Factor::Code, Lane::Known) => "code_retry_at_known",
        }
    }
}

/// A conditional change of one user: [`Change::new`] binds it to the credential version that was read, which only counts
/// of failures go without.
#[derive(Debug, Default)]
pub(super) struct Change(Expression);

impl Change {
    /// A change under the credential version that was read.
    pub(super) fn new(user: &User) -> Self {
        let mut change = Self::default();
        change.require_equal(attribute::VERSION, number(user.credential_version.0));
        change
    }

    /// The placeholder of an attribute: its own name, since those are plain words.
    fn name<'name>(&mut self, name: &'name str) -> Placeholder<'name> {
        self.0.name(name, name)
    }

    fn value(&mut self, prefix: &str, name: &str, value: AttributeValue) -> String {
        self.0.value(&format!("{prefix}_{name}"), value).to_string()
    }

    pub(super) fn set(&mut self, name: &str, value: AttributeValue) {
        let set = format!("{} = {}", self.name(name), self.value("new", name, value));
        self.0.set(set);
    }

    pub(super) fn remove(&mut self, name: &str) {
        let name = self.name(name);
        self.0.remove(name);
    }

    pub(super) fn require_equal(&mut self, name: &str, value: AttributeValue) {
        let condition = format!("{} = {}", self.name(name), self.value("old", name, value));
        self.0.require(condition);
    }

    pub(super) fn require_absent(&mut self, name: &str) {
        let condition = format!("attribute_not_exists({})", self.name(name));
        self.0.require(condition);
    }

    pub(super) fn require_present(&mut self, name: &str) {
        let condition = format!("attribute_exists({})", self.name(name));
        self.0.require(condition);
    }

    /// One more, from 0 where there is no count yet.
    pub(super) fn increment(&mut self, name: &str) {
        let (none, one) = (self.value("none", name, number(0)), self.value("plus", name, number(1)));
        let count = self.name(name);
        self.0.set(format!("{count} = if_not_exists({count}, {none}) + {one}"));
    }

    /// The enrolment must be the one that was read, in time, with tries left.
    pub(super) fn require_enrolment(&mut self, enrolment: &PendingEnrolment, now: Timestamp) {
        self.require_equal(attribute::ENROLMENT, blob(&enrolment.secret.0));
        let expires = self.name(attribute::ENROLMENT_EXPIRES);
        let now = self.value("now", "at", millis(now));
        self.0.require(format!("{expires} > {now}"));
        let failures = self.name(attribute::ENROLMENT_FAILURES);
        let max = self.value("max", "failures", number(PendingEnrolment::FAILURES_MAX));
        self.0.require(format!("{failures} < {max}"));
    }

    pub(super) fn next_version(&mut self, user: &User) {
        self.set(attribute::VERSION, number(user.credential_version.next().0));
    }

    pub(super) fn clear<const N: usize>(&mut self, factor: Factor, lanes: [Lane; N]) {
        for lane in lanes {
            self.remove(attribute::failures(factor, lane));
            self.remove(attribute::retry_at(factor, lane));
        }
    }

    /// Refuses if guesses in this lane have been held since it was read.
    pub(super) fn require_lane_admits(&mut self, factor: Factor, lane: Lane, now: Timestamp) {
        self.require_not_closed(factor, lane);
        let retry_at = self.name(attribute::retry_at(factor, lane));
        let now = self.value("now", "at", millis(now));
        self.0.require(format!("(attribute_not_exists({retry_at}) OR {retry_at} <= {now})"));
    }

    /// The lane must not have had the failures that close it.
    pub(super) fn require_not_closed(&mut self, factor: Factor, lane: Lane) {
        let failures = self.name(attribute::failures(factor, lane));
        let closed_at = self.value("closed", "at", number(Guesses::CLOSED_AT));
        self.0.require(format!("(attribute_not_exists({failures}) OR {failures} < {closed_at})"));
    }

    /// The factor must still be there, what proves it unused, and the lane of its codes open.
    pub(super) fn require_unspent(&mut self, spent: &Spent, lane: Lane) {
        match spent {
            Spent::TimeStep(step) => {
                let name = self.name(attribute::LAST_STEP);
                let step = self.value("spent", "step", number(step));
                self.0.require(format!("{name} < {step}"));
                self.require_not_closed(Factor::Code, lane);
            }
            Spent::RecoveryCode(digest) => {
                let name = self.name(attribute::RECOVERY);
                let digest = self.value("spent", "code", blob(digest));
                self.0.require(format!("contains({name}, {digest})"));
            }
        }
    }

    pub(super) fn spend(&mut self, spent: &Spent, lane: Lane) {
        self.require_unspent(spent, lane);
        match spent {
            Spent::TimeStep(step) => {
                self.set(attribute::LAST_STEP, number(step));
                match lane {
                    Lane::Stranger => self.clear(Factor::Code, [Lane::Stranger]),
                    // A known device opens the strangers' lane again.
                    Lane::Known => self.clear(Factor::Code, [Lane::Stranger, Lane::Known]),
                }
            }
            Spent::RecoveryCode(digest) => {
                let name = self.name(attribute::RECOVERY);
                let digest = self.value("used", "codes", AttributeValue::Bs(vec![Blob::new(digest.clone())]));
                self.0.delete(format!("{name} {digest}"));
                self.clear(Factor::Code, [Lane::Stranger, Lane::Known]);
            }
        }
    }

    pub(super) fn write(self, table: &str, id: UserId) -> Result<Write, StoreError> {
        self.0.write(table, keys::users_key(keys::user(id)))
    }

    pub(super) fn update_item(self, client: &Client, table: &str, id: UserId) -> UpdateItemFluentBuilder {
        self.0.update_item(client, table, keys::users_key(keys::user(id)))
    }
}
