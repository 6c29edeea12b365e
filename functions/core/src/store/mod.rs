//! The tables, through the DynamoDB SDK everywhere: one type per table, so a handler's state names what it can reach.
//!
//! Calls are boxed: each is some 8 KiB of state, which a request should hold only while the call lasts.

mod client;
mod expression;
pub(crate) mod keys;

pub mod counters;
pub mod sessions;
pub mod tables;
pub mod users;

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
    operation::transact_write_items::TransactWriteItemsError,
    primitives::Blob,
    types::{
        AttributeValue, CancellationReason, TransactWriteItem,
        builders::{ConditionCheckBuilder, DeleteBuilder, PutBuilder, UpdateBuilder},
    },
};
use futures_util::FutureExt;

pub use self::{
    client::{at, deadlines, over, with_aws},
    counters::Counters,
    sessions::Sessions,
    users::Users,
};

use crate::logging::reasons;

/// An item as the SDK gives it.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// Why the store gave no answer. Whoever sees it refuses: authentication fails closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Unreachable, too slow, throttled or refusing; a write may or may not have happened.
    #[error("the store gave no answer: {0}")]
    Unavailable(String),
    /// An item isn't what it should be.
    #[error("an item of the store can't be read: {0}")]
    Corrupt(String),
}

impl StoreError {
    /// No answer for this reason, told in words alone: what was answered may hold hashes.
    pub(crate) fn unanswered(error: &dyn std::error::Error) -> Self {
        Self::Unavailable(reasons(error))
    }
}

impl<E: std::error::Error + Send + Sync + 'static, R: std::fmt::Debug + Send + Sync + 'static> From<SdkError<E, R>>
    for StoreError
{
    fn from(error: SdkError<E, R>) -> Self {
        Self::unanswered(&error)
    }
}

impl From<serde_dynamo::Error> for StoreError {
    fn from(error: serde_dynamo::Error) -> Self {
        Self::Corrupt(error.to_string())
    }
}

/// One conditional write to one table, to be committed with others or not at all.
///
/// Only the type of a table makes writes to it, so nobody writes where they have no power.
#[derive(Debug, Clone)]
pub struct Write(TransactWriteItem);

impl Write {
    fn put(put: PutBuilder) -> Result<Self, StoreError> {
        Ok(Self(TransactWriteItem::builder().put(built(put.build())?).build()))
    }

    fn update(update: UpdateBuilder) -> Result<Self, StoreError> {
        Ok(Self(TransactWriteItem::builder().update(built(update.build())?).build()))
    }

    fn delete(delete: DeleteBuilder) -> Result<Self, StoreError> {
        Ok(Self(TransactWriteItem::builder().delete(built(delete.build())?).build()))
    }

    /// Writes nothing: a condition of the others.
    fn check(check: ConditionCheckBuilder) -> Result<Self, StoreError> {
        Ok(Self(TransactWriteItem::builder().condition_check(built(check.build())?).build()))
    }
}

/// Why a transaction did not happen: for each write, the item that failed its condition.
#[derive(Debug, Clone)]
pub struct Refused {
    failed: Vec<Option<Item>>,
}

impl Refused {
    /// Whether the write at `index` failed its condition, and the item as it stands (empty if there is none).
    pub(crate) fn at(&self, index: usize) -> Option<&Item> {
        self.failed.get(index).and_then(Option::as_ref)
    }

    /// The same, if no other write failed its condition.
    pub(crate) fn only_at(&self, index: usize) -> Option<&Item> {
        self.at(index).filter(|_| self.failed.iter().flatten().count() == 1)
    }
}

/// DynamoDB commits no more writes than this at once.
pub(crate) const WRITES_MAX: usize = 100;
/// Conflicts with other transactions that are retried before giving up.
const CONFLICT_RETRIES: u32 = 6;
const CONFLICT_PAUSE: Duration = Duration::from_millis(4);

/// Commits all writes or none. Their order decides which answer [`Refused::at`] gives.
///
/// The SDK's own retries carry one request token, so an ambiguous failure can't happen twice. A conflict is no
/// ambiguity: nothing was written.
pub(crate) async fn commit(client: &Client, writes: Vec<Write>) -> Result<Result<(), Refused>, StoreError> {
    let items: Vec<TransactWriteItem> = writes.into_iter().map(|Write(item)| item).collect();
    let mut conflicts = 0;
    loop {
        let outcome = client.transact_write_items().set_transact_items(Some(items.clone())).send().boxed().await;
        let Err(error) = outcome else {
            return Ok(Ok(()));
        };
        let reasons = cancellation_reasons(&error);
        if let Some(refused) = refused(reasons) {
            return Ok(Err(refused));
        }
        let is_conflict = reasons.iter().any(|reason| reason.code() == Some("TransactionConflict"));
        if !is_conflict || conflicts >= CONFLICT_RETRIES {
            return Err(error.into());
        }
        tokio::time::sleep(jittered(CONFLICT_PAUSE * 2_u32.pow(conflicts))).await;
        conflicts += 1;
    }
}

/// Waits for a transaction that was in the way of a single write.
pub(crate) async fn pause_for_conflict() {
    tokio::time::sleep(jittered(CONFLICT_PAUSE)).await;
}

/// Between half of `pause` and one and a half, so that those who collided don't collide again in step.
fn jittered(pause: Duration) -> Duration {
    let chance = RandomState::new().hash_one(()) % 1024;
    pause / 2 + pause * u32::try_from(chance).unwrap_or(0) / 1024
}

fn cancellation_reasons<R>(error: &SdkError<TransactWriteItemsError, R>) -> &[CancellationReason] {
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => cancelled.cancellation_reasons(),
        _ => &[],
    }
}

/// The failed conditions, if any condition failed.
fn refused(reasons: &[CancellationReason]) -> Option<Refused> {
    let failed: Vec<Option<Item>> = reasons
        .iter()
        .map(|reason| {
            (reason.code() == Some("ConditionalCheckFailed")).then(|| reason.item().cloned().unwrap_or_default())
        })
        .collect();
    failed.iter().any(Option::is_some).then_some(Refused { failed })
}

/// A number, as attributes hold it.
pub(crate) fn number(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// A request with all its parts; a missing one is a defect of ours.
pub(crate) fn built<T>(built: Result<T, aws_sdk_dynamodb::error::BuildError>) -> Result<T, StoreError> {
    built.map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// Binary data, as attributes hold it.
pub(crate) fn blob(bytes: &[u8]) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}

/// Placeholder names. Every attribute is named by one: DynamoDB reserves hundreds of words.
pub(crate) fn names<const N: usize>(names: [(&str, &str); N]) -> Option<HashMap<String, String>> {
    Some(names.iter().map(|(placeholder, name)| ((*placeholder).to_owned(), (*name).to_owned())).collect())
}

/// Placeholder values.
pub(crate) fn values<const N: usize>(values: [(&str, AttributeValue); N]) -> Option<Item> {
    Some(values.into_iter().map(|(placeholder, value)| (placeholder.to_owned(), value)).collect())
}

/// An epoch time in milliseconds, as items hold it.
pub(crate) fn millis(at: jiff::Timestamp) -> AttributeValue {
    number(at.as_millisecond())
}

/// The TTL attribute's value: cleanup only, never the verdict.
pub(crate) fn ttl(at: jiff::Timestamp) -> AttributeValue {
    number(at.as_second())
}
