//! The epoch item: what sessions and pending logins must carry, and which sessions are open.
//!
//! It lists the open sessions, so "at most so many" is a condition of the write that opens one.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use jiff::Timestamp;

use super::{EPOCH, Sessions, UserPartition};
use crate::{
    accounts::user::{CredentialVersion, UserId},
    sessions::{session::Session, token::SessionId},
    store::{Item, StoreError, Write, built, keys, millis, names, number, values},
};

pub(super) const OPEN: &str = "open";

impl Sessions {
    /// The epoch item of a new user, with the first session in it.
    pub(crate) fn first_epoch(&self, session: &Session) -> Result<Write, StoreError> {
        let mut item = keys::sessions_key(session.user.id, keys::EPOCH.to_owned());
        item.insert(EPOCH.to_owned(), number(session.epoch.0));
        item.insert(OPEN.to_owned(), open_list(session));
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(#sid)")
            .set_expression_attribute_names(names([("#sid", keys::SESSIONS_SORT)]));
        Ok(Write(TransactWriteItem::builder().put(built(put.build())?).build()))
    }

    /// Lists one more open session under its epoch, if there is a free place once `ended` have left theirs.
    pub(crate) fn list(&self, session: &Session, ended: &[SessionId], max: u32) -> Result<Write, StoreError> {
        let mut listed = self.epoch_update(session.user.id, ended);
        listed.sets.push("#open.#new = :now".to_owned());
        listed.names.insert("#new".to_owned(), session.id.to_string());
        listed.values.insert(":now".to_owned(), millis(session.created_at));
        listed.values.insert(":epoch".to_owned(), number(session.epoch.0));
        listed.values.insert(":max".to_owned(), number(max as usize + ended.len()));
        listed.names.insert("#epoch".to_owned(), EPOCH.to_owned());
        listed.conditions.push("#epoch = :epoch AND size(#open) < :max".to_owned());
        listed.write(&self.table)
    }

    /// Unlists sessions that end.
    pub(crate) fn unlist(&self, user: UserId, ended: &[SessionId]) -> Result<Write, StoreError> {
        self.epoch_update(user, ended).write(&self.table)
    }

    /// Unlists all sessions but this one, if the list is still what `seen` shows.
    pub(crate) fn unlist_others(&self, session: &Session, seen: &UserPartition) -> Result<Write, StoreError> {
        let as_seen = seen.open().cloned().unwrap_or(AttributeValue::Null(true));
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(keys::sessions_key(session.user.id, keys::EPOCH.to_owned())))
            .update_expression("SET #open = :only")
            .condition_expression("#open = :seen")
            .set_expression_attribute_names(names([("#open", OPEN)]))
            .set_expression_attribute_values(values([(":only", open_list(session)), (":seen", as_seen)]));
        Ok(Write(TransactWriteItem::builder().update(built(update.build())?).build()))
    }

    fn epoch_update(&self, user: UserId, ended: &[SessionId]) -> EpochUpdate {
        let mut update = EpochUpdate {
            user,
            sets: Vec::new(),
            removes: Vec::new(),
            conditions: Vec::new(),
            names: HashMap::from([("#open".to_owned(), OPEN.to_owned())]),
            values: Item::new(),
        };
        for (index, id) in ended.iter().enumerate() {
            update.removes.push(format!("#open.#ended{index}"));
            update.conditions.push(format!("attribute_exists(#open.#ended{index})"));
            update.names.insert(format!("#ended{index}"), id.to_string());
        }
        update
    }

    /// The next epoch, with one session in it: from this write on every older session and pending login is dead.
    pub(crate) fn next_epoch(&self, renewed: &Session, before: CredentialVersion) -> Result<Write, StoreError> {
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(keys::sessions_key(renewed.user.id, keys::EPOCH.to_owned())))
            .update_expression("SET #epoch = :after, #open = :open")
            .condition_expression("#epoch = :before")
            .set_expression_attribute_names(names([("#epoch", EPOCH), ("#open", OPEN)]))
            .set_expression_attribute_values(values([
                (":after", number(renewed.epoch.0)),
                (":before", number(before.0)),
                (":open", open_list(renewed)),
            ]));
        Ok(Write(TransactWriteItem::builder().update(built(update.build())?).build()))
    }

    /// The session must still be open under its epoch: what a dead one asked for is not done.
    pub(crate) fn still_open(&self, session: &Session) -> Result<Write, StoreError> {
        let check = ConditionCheck::builder()
            .table_name(&self.table)
            .set_key(Some(keys::sessions_key(session.user.id, keys::EPOCH.to_owned())))
            .condition_expression("#epoch = :epoch AND attribute_exists(#open.#id)")
            .set_expression_attribute_names(names([
                ("#epoch", EPOCH),
                ("#open", OPEN),
                ("#id", &session.id.to_string()),
            ]))
            .set_expression_attribute_values(values([(":epoch", number(session.epoch.0))]));
        Ok(Write(TransactWriteItem::builder().condition_check(built(check.build())?).build()))
    }
}

/// A change of the list of open sessions.
struct EpochUpdate {
    user: UserId,
    sets: Vec<String>,
    removes: Vec<String>,
    conditions: Vec<String>,
    names: HashMap<String, String>,
    values: Item,
}

impl EpochUpdate {
    fn write(self, table: &str) -> Result<Write, StoreError> {
        let clause = |word: &str, parts: &[String]| {
            if parts.is_empty() { String::new() } else { format!("{word} {} ", parts.join(", ")) }
        };
        let expression = [clause("SET", &self.sets), clause("REMOVE", &self.removes)].concat();
        let update = Update::builder()
            .table_name(table)
            .set_key(Some(keys::sessions_key(self.user, keys::EPOCH.to_owned())))
            .update_expression(expression.trim_end())
            .condition_expression(self.conditions.join(" AND "))
            .set_expression_attribute_names(Some(self.names))
            .set_expression_attribute_values(Some(self.values).filter(|values| !values.is_empty()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        Ok(Write(TransactWriteItem::builder().update(built(update.build())?).build()))
    }
}

fn open_list(session: &Session) -> AttributeValue {
    AttributeValue::M(HashMap::from([(session.id.to_string(), millis(session.created_at))]))
}

pub(crate) fn read_epoch(item: &Item) -> Result<CredentialVersion, StoreError> {
    let number = item.get(EPOCH).and_then(|epoch| epoch.as_n().ok()?.parse().ok());
    number.map(CredentialVersion).ok_or_else(|| StoreError::Corrupt("an epoch".to_owned()))
}

/// The open sessions that an epoch item lists, and when each was opened.
pub(crate) fn read_open(item: &Item) -> HashMap<SessionId, Timestamp> {
    let open = item.get(OPEN).and_then(|open| open.as_m().ok());
    let entry = |(id, at): (&String, &AttributeValue)| {
        let millis = at.as_n().ok()?.parse().ok()?;
        Some((keys::session(id)?, Timestamp::from_millisecond(millis).ok()?))
    };
    open.into_iter().flatten().filter_map(entry).collect()
}
