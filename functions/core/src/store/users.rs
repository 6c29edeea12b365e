//! The users table: users, what was guessed at them, and the pointers that keep names unique.

use aws_sdk_dynamodb::{
    Client,
    error::DisplayErrorContext,
    operation::update_item::{UpdateItemError, builders::UpdateItemFluentBuilder},
    primitives::Blob,
    types::{AttributeValue, ConditionCheck, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update},
};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use uuid::Uuid;

use super::{Item, Refused, StoreError, Write, keys, millis, names, number, tables::TableNames, ttl, values};
use crate::{
    accounts::{
        email::Email,
        guessing::{Guesses, Lane},
        hasher::Phc,
        user::{Account, CredentialVersion, PendingEnrolment, Profile, SealedSecret, User, UserId},
        username::Username,
    },
    store,
};

/// The power to read accounts and to change credentials.
#[derive(Debug, Clone)]
pub struct Users {
    client: Client,
    table: String,
}

/// The factor that a guess was at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Factor {
    /// The password.
    Password,
    /// The second step's code.
    Code,
}

/// A change of the second factor, as part of a credential change.
#[derive(Debug, Clone)]
pub(crate) enum FactorChange {
    /// The started enrolment becomes the factor; its first step is burnt.
    Enable { time_step: u64, recovery_digests: Vec<Vec<u8>> },
    /// The factor goes, with its codes.
    Disable,
}

/// What a second step was proven by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spent {
    /// A TOTP code of this time step, which is burnt with all before it.
    TimeStep(u64),
    /// The recovery code with this digest, which is removed.
    RecoveryCode(Vec<u8>),
}

/// How long guesses at names that nobody has are remembered: longer than the longest wait between two of them.
const SHADOW_KEPT: SignedDuration = SignedDuration::from_hours(24 * 90);

mod attribute {
    pub(super) const VERSION: &str = "credential_version";
    pub(super) const PHC: &str = "phc";
    pub(super) const TOTP: &str = "totp_secret";
    pub(super) const LAST_STEP: &str = "last_time_step";
    pub(super) const RECOVERY: &str = "recovery_digests";
    pub(super) const ENROLMENT: &str = "enrolment_secret";
    pub(super) const ENROLMENT_EXPIRES: &str = "enrolment_expires_at";
    pub(super) const ENROLMENT_FAILURES: &str = "enrolment_failures";
    pub(super) const USER: &str = "user_id";

    use super::{Factor, Lane};

    pub(super) fn failures(factor: Factor, lane: Lane) -> &'static str {
        match (factor, lane) {
            (Factor::Password, Lane::Stranger) => "password_failures",
            (Factor::Password, Lane::Known) => "password_failures_known",
            (Factor::Code, Lane::Stranger) => "code_failures",
            (Factor::Code, Lane::Known) => "code_failures_known",
        }
    }

    pub(super) fn retry_at(factor: Factor, lane: Lane) -> &'static str {
        match (factor, lane) {
            (Factor::Password, Lane::Stranger) => "password_retry_at",
            (Factor::Password, Lane::Known) => "password_retry_at_known",
            (Factor::Code, Lane::Stranger) => "code_retry_at",
            (Factor::Code, Lane::Known) => "code_retry_at_known",
        }
    }
}

impl Users {
    /// The accounts among `tables`.
    #[must_use]
    pub fn new(client: Client, tables: &TableNames) -> Self {
        Self { client, table: tables.users.clone() }
    }

    /// The id behind a user name.
    pub(crate) async fn id_of(&self, username: &Username) -> Result<Option<UserId>, StoreError> {
        let Some(item) = self.read(keys::name(username)).await? else {
            return Ok(None);
        };
        let id = item.get(attribute::USER).and_then(|id| id.as_s().ok()).and_then(|id| Uuid::parse_str(id).ok());
        id.map(|id| Some(UserId(id))).ok_or_else(|| StoreError::Corrupt("a name pointer".to_owned()))
    }

    /// Everything under one id, strongly consistent.
    pub(crate) async fn account(&self, id: UserId) -> Result<Account, StoreError> {
        let item = self.read(keys::user(id)).await?.unwrap_or_default();
        read_account(id, item)
    }

    /// A read that finds nothing: shows that the table answers.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.read(keys::user(UserId(Uuid::nil()))).await.map(drop)
    }

    async fn read(&self, id: String) -> Result<Option<Item>, StoreError> {
        let found = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(keys::users_key(id)))
            .consistent_read(true)
            .send()
            .await?;
        Ok(found.item)
    }

    /// Records one more wrong password, if the count is still the one in `before`; otherwise returns the account as it stands.
    ///
    /// Works alike for ids that nobody has, so that nothing tells them apart; those items expire.
    pub(crate) async fn record_password_failure(
        &self,
        before: &Account,
        lane: Lane,
        after: Guesses,
        now: Timestamp,
    ) -> Result<Result<(), Account>, StoreError> {
        let outcome = self.password_failure(before, lane, after, now).send().await;
        match outcome.map_err(|error| error.into_service_error()) {
            Ok(_) => Ok(Ok(())),
            Err(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                Ok(Err(read_account(before.id, failed.item().cloned().unwrap_or_default())?))
            }
            Err(error) => Err(StoreError::Unavailable(DisplayErrorContext(error).to_string())),
        }
    }

    /// One more wrong code, up to the count that closes the lane. Needs no count that was read before, so codes that
    /// race are all counted.
    pub(crate) fn code_failure(&self, user: UserId, lane: Lane) -> Result<Write, StoreError> {
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(keys::users_key(keys::user(user))))
            .update_expression("SET #failures = if_not_exists(#failures, :none) + :one")
            .condition_expression("attribute_exists(#phc) AND (attribute_not_exists(#failures) OR #failures < :closed)")
            .set_expression_attribute_names(names([
                ("#failures", attribute::failures(Factor::Code, lane)),
                ("#phc", attribute::PHC),
            ]))
            .set_expression_attribute_values(values([
                (":none", number(0)),
                (":one", number(1)),
                (":closed", number(Guesses::CLOSED_AT)),
            ]));
        Ok(Write(TransactWriteItem::builder().update(built(update.build())?).build()))
    }

    fn password_failure(
        &self,
        before: &Account,
        lane: Lane,
        after: Guesses,
        now: Timestamp,
    ) -> UpdateItemFluentBuilder {
        let counted = before.password_guesses(lane);
        let mut expression = "SET #failures = :after".to_owned();
        let mut condition = "attribute_not_exists(#failures)".to_owned();
        let mut update_names = names([("#failures", attribute::failures(Factor::Password, lane))]).unwrap_or_default();
        let mut update_values = values([(":after", number(after.failures))]).unwrap_or_default();
        if counted.failures > 0 {
            condition = "#failures = :before".to_owned();
            update_values.insert(":before".to_owned(), number(counted.failures));
        }
        if let Some(retry_at) = after.retry_at {
            expression.push_str(", #retry = :retry");
            update_names.insert("#retry".to_owned(), attribute::retry_at(Factor::Password, lane).to_owned());
            update_values.insert(":retry".to_owned(), millis(retry_at));
        }
        if before.user.is_none() {
            expression.push_str(", #ttl = :ttl");
            update_names.insert("#ttl".to_owned(), keys::TTL.to_owned());
            update_values.insert(":ttl".to_owned(), ttl(now + SHADOW_KEPT));
        } else {
            // A user who is deleted meanwhile must not come back as a count.
            condition.push_str(" AND attribute_exists(#phc)");
            update_names.insert("#phc".to_owned(), attribute::PHC.to_owned());
        }
        self.client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(keys::users_key(keys::user(before.id))))
            .update_expression(expression)
            .condition_expression(condition)
            .set_expression_attribute_names(Some(update_names))
            .set_expression_attribute_values(Some(update_values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }

    /// The writes that make an account: the user and the pointers that keep its names unique, in this order.
    pub(crate) fn create(
        &self,
        user: &User,
        username: &Username,
        email: Option<&Email>,
    ) -> Result<Vec<Write>, StoreError> {
        let mut item = keys::users_key(keys::user(user.profile.id));
        item.insert("username".to_owned(), AttributeValue::S(user.profile.username.clone()));
        item.insert("created_at".to_owned(), millis(user.profile.created_at));
        item.insert(attribute::VERSION.to_owned(), number(user.credential_version.0));
        item.insert(attribute::PHC.to_owned(), AttributeValue::S(user.phc.as_str().to_owned()));
        if let Some(email) = email {
            item.insert("email".to_owned(), AttributeValue::S(email.as_str().to_owned()));
        }
        let pointers = [Some(keys::name(username)), email.map(keys::email)];
        let pointer = |key: String| {
            let mut item = keys::users_key(key);
            item.insert(attribute::USER.to_owned(), AttributeValue::S(user.profile.id.to_string()));
            item
        };
        std::iter::once(item)
            .chain(pointers.into_iter().flatten().map(pointer))
            .map(|item| self.put_new(item))
            .collect()
    }

    fn put_new(&self, item: Item) -> Result<Write, StoreError> {
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(#id)")
            .set_expression_attribute_names(names([("#id", keys::USERS_PARTITION)]))
            .build();
        Ok(Write(TransactWriteItem::builder().put(built(put)?).build()))
    }

    /// After the right password: clears its failures and stores a rehash, on condition that nothing else has changed.
    ///
    /// The condition holds the guesses made meanwhile against this one too: of a thousand in parallel only those
    /// count that commit before the lane is held (attack 5.18).
    pub(crate) fn password_proven(
        &self,
        account: &Account,
        user: &User,
        lane: Lane,
        rehashed: Option<&Phc>,
        now: Timestamp,
    ) -> Result<Write, StoreError> {
        let mut change = Change::new(user);
        change.hold_lane(Factor::Password, lane, now);
        if account.has_password_failures() {
            change.clear(Factor::Password, [Lane::Stranger, Lane::Known]);
        }
        if let Some(phc) = rehashed {
            change.set(attribute::PHC, AttributeValue::S(phc.as_str().to_owned()));
        }
        change.write(&self.table, user.profile.id)
    }

    /// After the right second step: burns what proved it and clears the factor's failures.
    pub(crate) fn second_step_proven(&self, user: &User, spent: &Spent, lane: Lane) -> Result<Write, StoreError> {
        let mut change = Change::new(user);
        change.spend(spent, lane);
        change.write(&self.table, user.profile.id)
    }

    /// Starts an enrolment, in place of one that was started before.
    pub(crate) fn enrolment_started(&self, user: &User, enrolment: &PendingEnrolment) -> Result<Write, StoreError> {
        let mut change = Change::new(user);
        change.set(attribute::ENROLMENT, blob(&enrolment.secret.0));
        change.set(attribute::ENROLMENT_EXPIRES, millis(enrolment.expires_at));
        change.set(attribute::ENROLMENT_FAILURES, number(0));
        change.require_absent(attribute::TOTP);
        change.write(&self.table, user.profile.id)
    }

    /// One more wrong code at an enrolment that has tries left.
    pub(crate) fn enrolment_failed(
        &self,
        user: &User,
        enrolment: &PendingEnrolment,
        now: Timestamp,
    ) -> Result<Write, StoreError> {
        let mut change = Change::new(user);
        change.require_enrolment(enrolment, now);
        change.increment(attribute::ENROLMENT_FAILURES);
        change.write(&self.table, user.profile.id)
    }

    /// A new password: a credential change.
    pub(crate) fn password_changed(&self, user: &User, phc: &Phc) -> Result<Write, StoreError> {
        let mut change = Change::new(user);
        change.set(attribute::PHC, AttributeValue::S(phc.as_str().to_owned()));
        change.next_version(user);
        change.write(&self.table, user.profile.id)
    }

    /// Two-step verification on or off: a credential change.
    pub(crate) fn factor_changed(
        &self,
        user: &User,
        factor: &FactorChange,
        spent: Option<&Spent>,
        now: Timestamp,
    ) -> Result<Write, StoreError> {
        let mut change = Change::new(user);
        match factor {
            FactorChange::Enable { time_step, recovery_digests } => {
                let Some(enrolment) = &user.enrolment else {
                    return Err(StoreError::Corrupt("no enrolment to confirm".to_owned()));
                };
                change.require_enrolment(enrolment, now);
                change.require_absent(attribute::TOTP);
                change.set(attribute::TOTP, blob(&enrolment.secret.0));
                change.set(attribute::LAST_STEP, number(time_step));
                change.set(attribute::RECOVERY, digests(recovery_digests));
            }
            FactorChange::Disable => {
                spent.iter().for_each(|spent| change.require_unspent(spent, Lane::Known));
                change.remove(attribute::TOTP);
                change.remove(attribute::LAST_STEP);
                change.remove(attribute::RECOVERY);
            }
        }
        [attribute::ENROLMENT, attribute::ENROLMENT_EXPIRES, attribute::ENROLMENT_FAILURES]
            .into_iter()
            .for_each(|name| change.remove(name));
        change.clear(Factor::Code, [Lane::Stranger, Lane::Known]);
        change.next_version(user);
        change.write(&self.table, user.profile.id)
    }

    /// New recovery codes in place of all old ones, spending a code.
    pub(crate) fn recovery_codes_replaced(
        &self,
        user: &User,
        spent: &Spent,
        recovery_digests: &[Vec<u8>],
    ) -> Result<Write, StoreError> {
        let mut change = Change::new(user);
        change.require_unspent(spent, Lane::Known);
        if let Spent::TimeStep(step) = spent {
            change.set(attribute::LAST_STEP, number(step));
        }
        change.set(attribute::RECOVERY, digests(recovery_digests));
        change.clear(Factor::Code, [Lane::Known]);
        change.write(&self.table, user.profile.id)
    }

    /// Commits a single write.
    pub(crate) async fn commit(&self, write: Write) -> Result<Result<(), Refused>, StoreError> {
        store::commit(&self.client, vec![write]).await
    }
}

/// A conditional change of one user, always under the credential version that was read.
#[derive(Debug, Default)]
struct Change {
    sets: Vec<String>,
    removes: Vec<String>,
    deletes: Vec<String>,
    conditions: Vec<String>,
    names: std::collections::HashMap<String, String>,
    values: Item,
}

/// `#name` for an attribute, `:name` for a value: attribute names here are plain words.
fn placeholder(name: &str) -> String {
    format!("#{name}")
}

impl Change {
    fn new(user: &User) -> Self {
        let mut change = Self::default();
        change.require_equal(attribute::VERSION, number(user.credential_version.0));
        change
    }

    fn name(&mut self, name: &str) -> String {
        let placeholder = placeholder(name);
        self.names.insert(placeholder.clone(), name.to_owned());
        placeholder
    }

    fn value(&mut self, prefix: &str, name: &str, value: AttributeValue) -> String {
        let placeholder = format!(":{prefix}_{name}");
        self.values.insert(placeholder.clone(), value);
        placeholder
    }

    fn set(&mut self, name: &str, value: AttributeValue) {
        let set = format!("{} = {}", self.name(name), self.value("new", name, value));
        self.sets.push(set);
    }

    fn remove(&mut self, name: &str) {
        let name = self.name(name);
        self.removes.push(name);
    }

    fn require_equal(&mut self, name: &str, value: AttributeValue) {
        let condition = format!("{} = {}", self.name(name), self.value("old", name, value));
        self.conditions.push(condition);
    }

    fn require_absent(&mut self, name: &str) {
        let condition = format!("attribute_not_exists({})", self.name(name));
        self.conditions.push(condition);
    }

    fn increment(&mut self, name: &str) {
        let name_placeholder = self.name(name);
        let one = self.value("plus", name, number(1));
        self.sets.push(format!("{name_placeholder} = {name_placeholder} + {one}"));
    }

    /// The enrolment must be the one that was read, in time, with tries left.
    fn require_enrolment(&mut self, enrolment: &PendingEnrolment, now: Timestamp) {
        self.require_equal(attribute::ENROLMENT, blob(&enrolment.secret.0));
        let expires = self.name(attribute::ENROLMENT_EXPIRES);
        let now = self.value("now", "at", millis(now));
        self.conditions.push(format!("{expires} > {now}"));
        let failures = self.name(attribute::ENROLMENT_FAILURES);
        let max = self.value("max", "failures", number(PendingEnrolment::FAILURES_MAX));
        self.conditions.push(format!("{failures} < {max}"));
    }

    fn next_version(&mut self, user: &User) {
        self.set(attribute::VERSION, number(user.credential_version.next().0));
    }

    fn clear<const N: usize>(&mut self, factor: Factor, lanes: [Lane; N]) {
        for lane in lanes {
            self.remove(attribute::failures(factor, lane));
            self.remove(attribute::retry_at(factor, lane));
        }
    }

    /// Refuses if guesses in this lane have been held since it was read.
    fn hold_lane(&mut self, factor: Factor, lane: Lane, now: Timestamp) {
        let failures = self.name(attribute::failures(factor, lane));
        let retry_at = self.name(attribute::retry_at(factor, lane));
        let closed_at = self.value("closed", "at", number(Guesses::CLOSED_AT));
        let now = self.value("now", "at", millis(now));
        self.conditions.push(format!("(attribute_not_exists({failures}) OR {failures} < {closed_at})"));
        self.conditions.push(format!("(attribute_not_exists({retry_at}) OR {retry_at} <= {now})"));
    }

    /// The factor must still be there, what proves it unused, and the lane of its codes open.
    fn require_unspent(&mut self, spent: &Spent, lane: Lane) {
        match spent {
            Spent::TimeStep(step) => {
                let name = self.name(attribute::LAST_STEP);
                let step = self.value("spent", "step", number(step));
                self.conditions.push(format!("{name} < {step}"));
                let failures = self.name(attribute::failures(Factor::Code, lane));
                let closed_at = self.value("closed", "at", number(Guesses::CLOSED_AT));
                self.conditions.push(format!("(attribute_not_exists({failures}) OR {failures} < {closed_at})"));
            }
            Spent::RecoveryCode(digest) => {
                let name = self.name(attribute::RECOVERY);
                let digest = self.value("spent", "code", blob(digest));
                self.conditions.push(format!("contains({name}, {digest})"));
            }
        }
    }

    fn spend(&mut self, spent: &Spent, lane: Lane) {
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
                self.deletes.push(format!("{name} {digest}"));
                self.clear(Factor::Code, [Lane::Stranger, Lane::Known]);
            }
        }
    }

    fn write(self, table: &str, id: UserId) -> Result<Write, StoreError> {
        let key = keys::users_key(keys::user(id));
        let condition = self.conditions.join(" AND ");
        let clause = |word: &str, parts: &[String]| {
            if parts.is_empty() { String::new() } else { format!("{word} {} ", parts.join(", ")) }
        };
        let expression =
            [clause("SET", &self.sets), clause("REMOVE", &self.removes), clause("DELETE", &self.deletes)].concat();
        let all_old = ReturnValuesOnConditionCheckFailure::AllOld;
        let item = if expression.is_empty() {
            let check = ConditionCheck::builder()
                .table_name(table)
                .set_key(Some(key))
                .condition_expression(condition)
                .set_expression_attribute_names(Some(self.names))
                .set_expression_attribute_values(Some(self.values))
                .return_values_on_condition_check_failure(all_old);
            TransactWriteItem::builder().condition_check(built(check.build())?)
        } else {
            let update = Update::builder()
                .table_name(table)
                .set_key(Some(key))
                .update_expression(expression.trim_end())
                .condition_expression(condition)
                .set_expression_attribute_names(Some(self.names))
                .set_expression_attribute_values(Some(self.values))
                .return_values_on_condition_check_failure(all_old);
            TransactWriteItem::builder().update(built(update.build())?)
        };
        Ok(Write(item.build()))
    }
}

fn built<T>(built: Result<T, aws_sdk_dynamodb::error::BuildError>) -> Result<T, StoreError> {
    built.map_err(|error| StoreError::Corrupt(error.to_string()))
}

fn blob(bytes: &[u8]) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}

fn digests(digests: &[Vec<u8>]) -> AttributeValue {
    AttributeValue::Bs(digests.iter().map(|digest| Blob::new(digest.clone())).collect())
}

/// The plain attributes of a user item; binary ones are read by hand.
#[derive(Debug, Deserialize)]
struct Record {
    username: Option<String>,
    email: Option<String>,
    created_at: Option<i64>,
    credential_version: Option<CredentialVersion>,
    phc: Option<String>,
    last_time_step: Option<u64>,
    enrolment_expires_at: Option<i64>,
    #[serde(default)]
    enrolment_failures: u32,
    #[serde(default)]
    password_failures: u32,
    password_retry_at: Option<i64>,
    #[serde(default)]
    password_failures_known: u32,
    password_retry_at_known: Option<i64>,
    #[serde(default)]
    code_failures: u32,
    #[serde(default)]
    code_failures_known: u32,
}

pub(crate) fn read_account(id: UserId, mut item: Item) -> Result<Account, StoreError> {
    let mut secret = |name: &str| match item.remove(name) {
        Some(AttributeValue::B(blob)) => Some(SealedSecret(blob.into_inner())),
        Some(_) | None => None,
    };
    let (totp_secret, enrolment_secret) = (secret(attribute::TOTP), secret(attribute::ENROLMENT));
    let recovery_digests = match item.remove(attribute::RECOVERY) {
        Some(AttributeValue::Bs(digests)) => digests.into_iter().map(Blob::into_inner).collect(),
        Some(_) | None => Vec::new(),
    };
    let record: Record = serde_dynamo::from_item(item)?;
    let at = |millis: i64| Timestamp::from_millisecond(millis).ok();
    let enrolment = enrolment_secret
        .zip(record.enrolment_expires_at.and_then(at))
        .map(|(secret, expires_at)| PendingEnrolment { secret, expires_at, failures: record.enrolment_failures });
    let user = match (record.username, record.phc, record.credential_version, record.created_at.and_then(at)) {
        (Some(username), Some(phc), Some(credential_version), Some(created_at)) => Some(User {
            profile: Profile { id, username, email: record.email, totp_enabled: totp_secret.is_some(), created_at },
            credential_version,
            phc: Phc::stored(phc),
            totp_secret,
            last_time_step: record.last_time_step,
            recovery_digests,
            enrolment,
        }),
        (None, None, None, None) => None,
        _ => return Err(StoreError::Corrupt(format!("user {id}"))),
    };
    let guesses = |failures: u32, retry_at: Option<i64>| Guesses { failures, retry_at: retry_at.and_then(at) };
    Ok(Account {
        id,
        user,
        password_guesses: [
            guesses(record.password_failures, record.password_retry_at),
            guesses(record.password_failures_known, record.password_retry_at_known),
        ],
        code_guesses: [guesses(record.code_failures, None), guesses(record.code_failures_known, None)],
    })
}
