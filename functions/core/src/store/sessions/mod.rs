//! The sessions table: a partition for each user, with sessions, pending logins and the epoch they must carry.

mod epoch;
mod partition;
mod pending;

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
    operation::{query::builders::QueryFluentBuilder, update_item::UpdateItemError},
    types::{AttributeValue, Delete, KeysAndAttributes, Put},
};
use futures_util::FutureExt;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Item, Refused, StoreError, Write, built, expression::Expression, keys, millis, names, tables::TableNames, values,
};
use crate::{
    accounts::user::{CredentialVersion, Profile, UserId},
    http::client,
    sessions::{
        session::{Method, Session},
        token::{SessionId, SessionToken},
    },
    store,
};

pub(crate) use self::{
    epoch::{open_of, read_epoch, read_open},
    partition::UserPartition,
};

/// The power to read, open and end sessions.
#[derive(Debug, Clone)]
pub struct Sessions {
    client: Client,
    table: String,
}

/// A session as it was read, and the epoch of its partition.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    session: Session,
    epoch: CredentialVersion,
}

impl Found {
    /// The session, if it lives.
    pub(crate) fn live(self, now: Timestamp) -> Option<Session> {
        let Self { session, epoch } = self;
        session.is_live(epoch, now).then_some(session)
    }

    /// As [`Session::is_lapse_due`].
    pub(crate) fn is_lapse_due(&self, now: Timestamp) -> bool {
        self.session.is_lapse_due(now)
    }
}

/// The names of attributes that somebody asks or changes by themselves; the rest only serde spells.
mod attribute {
    pub(super) const EPOCH: &str = "epoch";
    pub(super) const EXPIRES: &str = "expires_at";
    pub(super) const FAILURES: &str = "failures";
    pub(super) const IDLE_EXPIRES: &str = "idle_expires_at";
    pub(super) const LAST_SEEN: &str = "last_seen_at";
    pub(super) const NEXT: &str = "next";
    pub(super) const OPEN: &str = "open";
}

/// A batch that DynamoDB leaves unprocessed is asked for again this often.
const BATCH_TRIES: u32 = 4;

impl Sessions {
    /// The sessions among `tables`.
    #[must_use]
    pub fn new(client: Client, tables: &TableNames) -> Self {
        Self { client, table: tables.sessions.clone() }
    }

    /// The session behind `token`, dead or alive: session and epoch in one strongly consistent round trip.
    pub(crate) async fn find(&self, token: &SessionToken) -> Result<Option<Found>, StoreError> {
        let (user, id) = (token.user(), token.id());
        let [session, epoch] = self.read_two(user, [id.to_string(), keys::EPOCH_SID.to_owned()]).await?;
        let (Some(session), Some(epoch)) = (session, epoch) else {
            return Ok(None);
        };
        let (session, epoch) = (read_session(session)?, read_epoch(&epoch)?);
        Ok((session.id == id).then_some(Found { session, epoch }))
    }

    /// A user's sessions that live, newest first; strongly consistent.
    pub(crate) async fn live(&self, user: UserId, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        let partition = UserPartition::read(self.query(user)).await?;
        let mut sessions: Vec<Session> = partition.into_live_items(now)?.map(read_session).collect::<Result<_, _>>()?;
        sessions.sort_by_key(|session| std::cmp::Reverse(session.created_at));
        Ok(sessions)
    }

    /// A user's sessions and pending logins: of each what tells whether it lives; strongly consistent.
    pub(crate) async fn look(&self, user: UserId) -> Result<UserPartition, StoreError> {
        let query = self
            .query(user)
            .projection_expression("#sid, #epoch, #open, #idle, #expires, #failures")
            .expression_attribute_names("#sid", keys::SESSIONS_SORT)
            .expression_attribute_names("#epoch", attribute::EPOCH)
            .expression_attribute_names("#open", attribute::OPEN)
            .expression_attribute_names("#idle", attribute::IDLE_EXPIRES)
            .expression_attribute_names("#expires", attribute::EXPIRES)
            .expression_attribute_names("#failures", attribute::FAILURES);
        UserPartition::read(query).await
    }

    fn query(&self, user: UserId) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("#user = :user")
            .expression_attribute_names("#user", keys::SESSIONS_PARTITION)
            .set_expression_attribute_values(values([(":user", AttributeValue::S(user.to_string()))]))
    }

    async fn read_two(&self, user: UserId, sids: [String; 2]) -> Result<[Option<Item>; 2], StoreError> {
        let keys = sids.iter().map(|sid| keys::sessions_key(user, sid.clone())).collect();
        let request = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build();
        let mut found = self.read_batch(built(request)?).await?;
        let taken = sids.each_ref().map(|sid| take(&mut found, sid));
        // What nobody asked for is no sign that the rest isn't there.
        match found.is_empty() {
            true => Ok(taken),
            false => Err(StoreError::Corrupt("another item than those asked for".to_owned())),
        }
    }

    async fn read_batch(&self, request: KeysAndAttributes) -> Result<Vec<Item>, StoreError> {
        let mut wanted = HashMap::from([(self.table.clone(), request)]);
        let mut found = Vec::new();
        for _ in 0..BATCH_TRIES {
            let answer = self.client.batch_get_item().set_request_items(Some(wanted)).send().boxed().await?;
            found.extend(answer.responses.into_iter().flatten().flat_map(|(_, items)| items));
            wanted = answer.unprocessed_keys.unwrap_or_default();
            if wanted.is_empty() {
                return Ok(found);
            }
        }
        Err(StoreError::Unavailable("a batch stays unprocessed".to_owned()))
    }

    /// Moves a session's idle expiry, if the session is still there and has not lapsed: neither may come back. Whether it
    /// was.
    pub(crate) async fn touch(&self, session: &Session) -> Result<bool, StoreError> {
        let mut change = Expression::default();
        let (seen, idle) = (change.name("seen", attribute::LAST_SEEN), change.name("idle", attribute::IDLE_EXPIRES));
        let seen_at = change.value("seen", millis(session.last_seen_at));
        let idle_at = change.value("idle", millis(session.idle_expires_at));
        change.set(format_args!("{seen} = {seen_at}"));
        change.set(format_args!("{idle} = {idle_at}"));
        require_not_lapsed(&mut change);
        self.change(session, change).await
    }

    /// A session must be there and not have lapsed.
    pub(crate) fn not_lapsed(&self, session: &Session) -> Result<Write, StoreError> {
        let mut check = Expression::default();
        require_not_lapsed(&mut check);
        check.write(&self.table, keys::session_key(session.user.id, session.id))
    }

    /// Lets a session lapse for all clocks, if no use was noted since it was read. Whether none was.
    pub(crate) async fn lapse(&self, Found { session, .. }: &Found) -> Result<bool, StoreError> {
        let mut change = Expression::default();
        let (seen, idle) = (change.name("seen", attribute::LAST_SEEN), change.name("idle", attribute::IDLE_EXPIRES));
        // In the last part of a session a use moves the one and not the other.
        let seen_at = change.value("seen", millis(session.last_seen_at));
        let idle_at = change.value("idle", millis(session.idle_expires_at));
        let lapsed = change.value("lapsed", millis(Session::LAPSED));
        change.set(format_args!("{idle} = {lapsed}"));
        change.require(format_args!("{idle} = {idle_at} AND {seen} = {seen_at}"));
        self.change(session, change).await
    }

    /// Changes a session by itself; whether its conditions held.
    async fn change(&self, session: &Session, change: Expression) -> Result<bool, StoreError> {
        let call = change.update_item(&self.client, &self.table, keys::session_key(session.user.id, session.id));
        match call.send().boxed().await.map_err(SdkError::into_service_error) {
            Ok(_) => Ok(true),
            Err(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(false),
            Err(error) => Err(StoreError::unanswered(&error)),
        }
    }

    /// Stores a session.
    pub(crate) fn put(&self, session: &Session) -> Result<Write, StoreError> {
        let put = Put::builder().table_name(&self.table).set_item(Some(session_item(session)?));
        Write::put(put)
    }

    /// Deletes a session, present or not.
    pub(crate) fn delete(&self, user: UserId, id: SessionId) -> Result<Write, StoreError> {
        self.delete_at(keys::session_key(user, id))
    }

    fn delete_at(&self, key: keys::Key) -> Result<Write, StoreError> {
        let delete = Delete::builder().table_name(&self.table).set_key(Some(key));
        Write::delete(delete)
    }

    /// Deletes a session that must be there and not have lapsed.
    pub(crate) fn delete_present(&self, user: UserId, id: SessionId) -> Result<Write, StoreError> {
        let delete = Delete::builder()
            .table_name(&self.table)
            .set_key(Some(keys::session_key(user, id)))
            .condition_expression("#idle > :lapsed")
            .set_expression_attribute_names(names([("#idle", attribute::IDLE_EXPIRES)]))
            .set_expression_attribute_values(values([(":lapsed", millis(Session::LAPSED))]));
        Write::delete(delete)
    }

    /// Deletes a session that must be there and not expired.
    pub(crate) fn delete_live(&self, user: UserId, id: SessionId, now: Timestamp) -> Result<Write, StoreError> {
        let delete = Delete::builder()
            .table_name(&self.table)
            .set_key(Some(keys::session_key(user, id)))
            .condition_expression("#idle > :now AND #expires > :now")
            .set_expression_attribute_names(names([
                ("#idle", attribute::IDLE_EXPIRES),
                ("#expires", attribute::EXPIRES),
            ]))
            .set_expression_attribute_values(values([(":now", millis(now))]));
        Write::delete(delete)
    }

    /// Commits writes to this table, and others that were made by those who may.
    pub(crate) async fn commit(&self, writes: Vec<Write>) -> Result<Result<(), Refused>, StoreError> {
        store::commit(&self.client, writes).await
    }
}

fn require_not_lapsed(change: &mut Expression) {
    let idle = change.name("idle", attribute::IDLE_EXPIRES);
    let lapsed = change.value("lapsed", millis(Session::LAPSED));
    change.require(format_args!("{idle} > {lapsed}"));
}

/// The item of this sort key out of several.
fn take(items: &mut Vec<Item>, sid: &str) -> Option<Item> {
    let is_it =
        |item: &Item| item.get(keys::SESSIONS_SORT).and_then(|own| own.as_s().ok()).is_some_and(|own| own == sid);
    let index = items.iter().position(is_it)?;
    Some(items.swap_remove(index))
}

/// A session's attributes.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    user_id: Uuid,
    sid: String,
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    created_at: Timestamp,
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    last_seen_at: Timestamp,
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    idle_expires_at: Timestamp,
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    expires_at: Timestamp,
    epoch: CredentialVersion,
    methods: Vec<Method>,
    client: client::Client,
    user: Profile,
    ttl: i64,
}

fn session_item(session: &Session) -> Result<Item, StoreError> {
    let Session { id, user, created_at, last_seen_at, idle_expires_at, expires_at, epoch, methods, client } =
        session.clone();
    let record = Record {
        user_id: user.id.0,
        sid: id.to_string(),
        created_at,
        last_seen_at,
        idle_expires_at,
        expires_at,
        epoch,
        methods,
        client,
        user,
        ttl: expires_at.as_second(),
    };
    Ok(serde_dynamo::to_item(record)?)
}

fn read_session(item: Item) -> Result<Session, StoreError> {
    let Record { sid, created_at, last_seen_at, idle_expires_at, expires_at, epoch, methods, client, user, .. } =
        serde_dynamo::from_item(item)?;
    let id = keys::session(&sid).ok_or_else(|| StoreError::Corrupt("a session's id".to_owned()))?;
    Ok(Session { id, user, created_at, last_seen_at, idle_expires_at, expires_at, epoch, methods, client })
}
