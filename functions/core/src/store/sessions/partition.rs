//! One user's partition of the sessions table, as one query reads it.

use std::collections::HashSet;

use aws_sdk_dynamodb::{operation::query::builders::QueryFluentBuilder, types::AttributeValue};
use jiff::Timestamp;

use super::{
    epoch::{open_of, read_epoch, read_open},
    pending::read_pending,
};
use crate::{
    accounts::user::CredentialVersion,
    sessions::{
        session::Validity,
        token::{LoginId, SessionId},
    },
    store::{Item, StoreError, keys},
};

/// One user's sessions and pending logins, dead and alive, and the epoch item: without one, none lives.
///
/// Every item is as it was last written, but together they are no snapshot: of a transaction that commits meanwhile, one
/// item may be seen as before and another as after. The list of open sessions tells: whatever opens one changes it.
#[derive(Debug, Default)]
pub(crate) struct UserPartition {
    epoch_item: Option<Item>,
    /// Unread, like the pending logins: few who look for one thing ask for the other.
    sessions: Vec<(SessionId, Item)>,
    pending: Vec<(LoginId, Item)>,
}

impl UserPartition {
    pub(super) async fn read(query: QueryFluentBuilder) -> Result<Self, StoreError> {
        let mut items = query.into_paginator().items().send();
        let mut partition = Self::default();
        while let Some(item) = items.next().await {
            partition.add(item?)?;
        }
        Ok(partition)
    }

    fn add(&mut self, item: Item) -> Result<(), StoreError> {
        let sid = item.get(keys::SESSIONS_SORT).and_then(|sid| sid.as_s().ok());
        let sid = sid.ok_or_else(|| StoreError::Corrupt("a key of a user's sessions".to_owned()))?;
        match (keys::session(sid), keys::pending(sid)) {
            (Some(id), _) => self.sessions.push((id, item)),
            (None, Some(id)) => self.pending.push((id, item)),
            (None, None) if sid == keys::EPOCH_SID => self.epoch_item = Some(item),
            (None, None) => {}
        }
        Ok(())
    }

    /// The list of open sessions as it stands in the store.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if there is none.
    pub(super) fn open(&self) -> Result<&AttributeValue, StoreError> {
        open_of(self.epoch_item.as_ref())
    }

    /// Every session that is listed, seen or not: no more than a user may have.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub(crate) fn listed_sessions(&self) -> Result<HashSet<SessionId>, StoreError> {
        self.open()?;
        Ok(self.epoch_item.iter().flat_map(|item| read_open(item).into_keys()).collect())
    }

    /// The sessions that live.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub(crate) fn live_sessions(&self, now: Timestamp) -> Result<HashSet<SessionId>, StoreError> {
        let Some(epoch) = self.epoch()? else {
            return Ok(HashSet::new());
        };
        let mut live = HashSet::new();
        for (id, item) in &self.sessions {
            let validity: Validity = serde_dynamo::from_item(item.clone())?;
            live.extend(validity.is_live(epoch, now).then_some(*id));
        }
        Ok(live)
    }

    /// The items of the sessions that live.
    pub(super) fn into_live_items(self, now: Timestamp) -> Result<impl Iterator<Item = Item>, StoreError> {
        let live = self.live_sessions(now)?;
        Ok(self.sessions.into_iter().filter(move |(id, _)| live.contains(id)).map(|(_, item)| item))
    }

    /// The pending logins that live, and those that can't be read.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub(crate) fn pending_logins(&self, now: Timestamp) -> Result<Vec<LoginId>, StoreError> {
        let Some(epoch) = self.epoch()? else {
            return Ok(Vec::new());
        };
        let lives =
            |id: LoginId, item: &Item| read_pending(id, item.clone()).map_or(true, |login| login.is_live(epoch, now));
        Ok(self.pending.iter().filter(|(id, item)| lives(*id, item)).map(|(id, _)| *id).collect())
    }

    fn epoch(&self) -> Result<Option<CredentialVersion>, StoreError> {
        self.epoch_item.as_ref().map(read_epoch).transpose()
    }
}
