//! The counters table: one item per limit policy and client, holding the log of admissions.

use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
    operation::{put_item::PutItemError, update_item::UpdateItemError},
    types::{AttributeValue, ReturnValue},
};
use futures_util::FutureExt;

use super::{Item, StoreError, expression::Expression, keys, number, tables::TableNames};
use crate::rate_limit::log::LogShape;

/// The power to spend quotas.
#[derive(Debug, Clone)]
pub struct Counters {
    client: Client,
    table: String,
}

/// What one conditional write did to a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Append {
    /// The entry is in; the log after it, oldest first.
    Admitted(Vec<i64>),
    /// Some window is full, or this clock is behind the log's newest entry; the log as it stands.
    Refused(Vec<i64>),
}

const LOG: &str = "log";

impl Counters {
    /// The counters among `tables`.
    #[must_use]
    pub fn new(client: Client, tables: &TableNames) -> Self {
        Self { client, table: tables.counters.clone() }
    }

    /// Appends `stamp_millis` and drops the oldest entry, if every window has room at `now_millis`: one write.
    ///
    /// The newest entry must not lie after `clock_limit_millis`: instances whose clocks differ then agree on the later.
    pub(crate) async fn append(
        &self,
        key: &str,
        shape: &LogShape,
        now_millis: i64,
        stamp_millis: i64,
        clock_limit_millis: i64,
    ) -> Result<Append, StoreError> {
        for _ in 0..FIRST_WRITE_TRIES {
            match self.shift(key, shape, now_millis, stamp_millis, clock_limit_millis).await? {
                Some(append) => return Ok(append),
                None => {
                    if let Some(log) = self.begin(key, shape, stamp_millis).await? {
                        return Ok(Append::Admitted(log));
                    }
                }
            }
        }
        Err(StoreError::Unavailable("a limit log neither exists nor can be made".to_owned()))
    }

    /// A read that finds nothing: opens the connection, and shows that the table answers.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.read(keys::PING).await.map(drop)
    }

    /// The log as it stands, strongly consistent.
    pub(crate) async fn read(&self, key: &str) -> Result<Option<Vec<i64>>, StoreError> {
        let found = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(keys::counters_key(key.to_owned())))
            .consistent_read(true)
            .send()
            .boxed()
            .await?;
        found.item.map(|item| read_log(Some(&item))).transpose()
    }

    /// The write for a log that exists; `None` if it doesn't.
    async fn shift(
        &self,
        key: &str,
        shape: &LogShape,
        now_millis: i64,
        stamp_millis: i64,
        clock_limit_millis: i64,
    ) -> Result<Option<Append>, StoreError> {
        let call = shifted(shape, now_millis, stamp_millis, clock_limit_millis)
            .update_item(&self.client, &self.table, keys::counters_key(key.to_owned()))
            .return_values(ReturnValue::AllNew);
        match call.send().boxed().await.map_err(SdkError::into_service_error) {
            Ok(done) => Ok(Some(Append::Admitted(read_log(done.attributes())?))),
            Err(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                let log = failed.item().filter(|item| !item.is_empty()).map(|item| read_log(Some(item)));
                Ok(log.transpose()?.map(Append::Refused))
            }
            Err(error) => Err(StoreError::unanswered(&error)),
        }
    }

    /// The first write: a log of zeros and one entry; `None` if somebody else was faster.
    async fn begin(&self, key: &str, shape: &LogShape, stamp_millis: i64) -> Result<Option<Vec<i64>>, StoreError> {
        let mut log = vec![0; shape.length.saturating_sub(1)];
        log.push(stamp_millis);
        let mut item = keys::counters_key(key.to_owned());
        item.insert(LOG.to_owned(), AttributeValue::L(log.iter().map(number).collect()));
        item.insert(keys::TTL.to_owned(), ttl(shape, stamp_millis));
        let call = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(#key)")
            .expression_attribute_names("#key", keys::COUNTERS_PARTITION);
        match call.send().boxed().await.map_err(SdkError::into_service_error) {
            Ok(_) => Ok(Some(log)),
            Err(PutItemError::ConditionalCheckFailedException(_)) => Ok(None),
            Err(error) => Err(StoreError::unanswered(&error)),
        }
    }
}

/// A log is made once; losing that race more often than this means the store is broken.
const FIRST_WRITE_TRIES: u32 = 4;

/// The newest entry joins and the oldest leaves, if the entry that each window asks about has left that window.
fn shifted(shape: &LogShape, now_millis: i64, stamp_millis: i64, clock_limit_millis: i64) -> Expression {
    let mut change = Expression::default();
    let (log, ttl_at) = (change.name("log", LOG), change.name("ttl", keys::TTL));
    let stamp = change.value("stamp", number(stamp_millis));
    let ttl = change.value("ttl", ttl(shape, stamp_millis));
    let clock = change.value("clock", number(clock_limit_millis));
    change.set(format_args!("{log}[{}] = {stamp}", shape.length));
    change.set(format_args!("{ttl_at} = {ttl}"));
    change.remove(format_args!("{log}[0]"));
    change.require(format_args!("{log}[{}] <= {clock}", shape.length.saturating_sub(1)));
    for (index, (place, window_millis)) in shape.conditions().enumerate() {
        let word = format!("w{index}");
        let left = change.value(&word, number(now_millis.saturating_sub(window_millis)));
        change.require(format_args!("{log}[{place}] <= {left}"));
    }
    change
}

/// When nothing in the log can matter any more.
fn ttl(shape: &LogShape, stamp_millis: i64) -> AttributeValue {
    let longest_millis = shape.windows().iter().map(|window| window.millis()).max().unwrap_or(0);
    number(stamp_millis.saturating_add(longest_millis) / 1000 + 60)
}

fn read_log(item: Option<&Item>) -> Result<Vec<i64>, StoreError> {
    let corrupt = || StoreError::Corrupt("a limit log".to_owned());
    let entries = item.and_then(|item| item.get(LOG)).and_then(|log| log.as_l().ok()).ok_or_else(corrupt)?;
    entries.iter().map(|entry| entry.as_n().ok().and_then(|number| number.parse().ok()).ok_or_else(corrupt)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate_limit::policy::Policy;

    #[test]
    fn a_log_is_kept_for_its_longest_window() {
        let policy: Policy = "10 per minute; 100 per day".parse().unwrap();
        for shape in LogShape::of(&policy) {
            assert_eq!(ttl(&shape, 0), number(24 * 3600 + 60));
        }
    }
}
