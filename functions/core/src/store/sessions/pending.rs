//! Pending logins: the password was right, the second step is awaited.

use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, Update};
use futures_util::FutureExt;
use jiff::Timestamp;
use serde::Deserialize;

use super::{Sessions, attribute};
use crate::{
    accounts::user::{CredentialVersion, UserId},
    sessions::{
        session::PendingLogin,
        token::{LoginId, LoginToken},
    },
    store::{Item, StoreError, Write, keys, millis, names, number, ttl, values},
};

impl Sessions {
    /// The pending login behind `token`, dead or alive.
    pub(crate) async fn find_pending(&self, token: &LoginToken) -> Result<Option<PendingLogin>, StoreError> {
        let key = keys::login_key(token.user(), token.id());
        let found = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key))
            .consistent_read(true)
            .send()
            .boxed()
            .await?;
        found.item.map(|item| read_pending(token.id(), item)).transpose()
    }

    /// Stores a pending login.
    pub(crate) fn put_pending(&self, user: UserId, pending: &PendingLogin) -> Result<Write, StoreError> {
        let mut item = keys::login_key(user, pending.id);
        item.insert(attribute::EPOCH.to_owned(), number(pending.epoch.0));
        item.insert(attribute::EXPIRES.to_owned(), millis(pending.expires_at));
        item.insert(attribute::FAILURES.to_owned(), number(pending.failures));
        item.insert(keys::TTL.to_owned(), ttl(pending.expires_at));
        if let Some(next) = &pending.next {
            item.insert(attribute::NEXT.to_owned(), AttributeValue::S(next.clone()));
        }
        let put = Put::builder().table_name(&self.table).set_item(Some(item));
        Write::put(put)
    }

    /// Spends a pending login: it must be there, in time, with tries left, of this epoch.
    pub(crate) fn spend_pending(
        &self,
        user: UserId,
        pending: &PendingLogin,
        now: Timestamp,
    ) -> Result<Write, StoreError> {
        let delete = Delete::builder()
            .table_name(&self.table)
            .set_key(Some(keys::login_key(user, pending.id)))
            .condition_expression(PENDING_IS_LIVE)
            .set_expression_attribute_names(names(PENDING_NAMES))
            .set_expression_attribute_values(pending_values(pending, now));
        Write::delete(delete)
    }

    /// One more wrong code at a pending login that lives.
    pub(crate) fn fail_pending(
        &self,
        user: UserId,
        pending: &PendingLogin,
        now: Timestamp,
    ) -> Result<Write, StoreError> {
        let mut condition_values = pending_values(pending, now).unwrap_or_default();
        condition_values.insert(":one".to_owned(), number(1));
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(keys::login_key(user, pending.id)))
            .update_expression("SET #failures = #failures + :one")
            .condition_expression(PENDING_IS_LIVE)
            .set_expression_attribute_names(names(PENDING_NAMES))
            .set_expression_attribute_values(Some(condition_values));
        Write::update(update)
    }

    /// Ends a pending login, present or not.
    pub(crate) fn end_pending(&self, user: UserId, id: LoginId) -> Result<Write, StoreError> {
        self.delete_at(keys::login_key(user, id))
    }

    /// Deletes a pending login, present or not.
    pub(crate) async fn forget_pending(&self, token: &LoginToken) -> Result<(), StoreError> {
        let key = keys::login_key(token.user(), token.id());
        self.client.delete_item().table_name(&self.table).set_key(Some(key)).send().boxed().await?;
        Ok(())
    }
}

const PENDING_IS_LIVE: &str = "#epoch = :epoch AND #expires > :now AND #failures < :max";
const PENDING_NAMES: [(&str, &str); 3] =
    [("#epoch", attribute::EPOCH), ("#expires", attribute::EXPIRES), ("#failures", attribute::FAILURES)];

fn pending_values(pending: &PendingLogin, now: Timestamp) -> Option<Item> {
    values([(":epoch", number(pending.epoch.0)), (":now", millis(now)), (":max", number(PendingLogin::FAILURES_MAX))])
}

pub(super) fn read_pending(id: LoginId, item: Item) -> Result<PendingLogin, StoreError> {
    #[derive(Deserialize)]
    struct Record {
        epoch: CredentialVersion,
        #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
        expires_at: Timestamp,
        failures: u32,
        next: Option<String>,
    }
    let Record { epoch, expires_at, failures, next } = serde_dynamo::from_item(item)?;
    Ok(PendingLogin { id, epoch, expires_at, failures, next })
}
