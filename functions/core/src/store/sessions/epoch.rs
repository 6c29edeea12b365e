//! The epoch item: what sessions and pending logins must carry, and which sessions are open.
//!
//! It lists the open sessions, so "at most so many" is a condition of the write that opens one.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Put, Update};
use jiff::Timestamp;

use super::{Sessions, UserPartition, attribute};
use crate::{
    accounts::user::{CredentialVersion, UserId},
    sessions::{session::Session, token::SessionId},
    store::{Item, StoreError, Write, expression::Expression, keys, millis, names, number, values},
};

impl Sessions {
    /// The epoch item of a new user, with the first session in it.
    pub(crate) fn first_epoch(&self, session: &Session) -> Result<Write, StoreError> {
        let mut item = keys::epoch_key(session.user.id);
        item.insert(attribute::EPOCH.to_owned(), number(session.epoch.0));
        item.insert(attribute::OPEN.to_owned(), open_list(session));
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(#sid)")
            .set_expression_attribute_names(names([("#sid", keys::SESSIONS_SORT)]));
        Write::put(put)
    }

    /// Lists one more open session under its epoch, if there is a free place once `ended` have left theirs.
    pub(crate) fn list(&self, session: &Session, ended: &[SessionId], max: u32) -> Result<Write, StoreError> {
        let mut change = unlisting(ended);
        let (open, new) = (change.name("open", attribute::OPEN), change.name("new", &session.id.to_string()));
        let (epoch, is) = (change.name("epoch", attribute::EPOCH), change.value("epoch", number(session.epoch.0)));
        let created_at = change.value("created_at", millis(session.created_at));
        let max = change.value("max", number(max as usize + ended.len()));
        change.set(format!("{open}.{new} = {created_at}"));
        change.require(format!("{epoch} = {is} AND size({open}) < {max}"));
        change.write(&self.table, keys::epoch_key(session.user.id))
    }

    /// Unlists sessions that end, all of which must be listed.
    pub(crate) fn unlist(&self, user: UserId, ended: &[SessionId]) -> Result<Write, StoreError> {
        unlisting(ended).write(&self.table, keys::epoch_key(user))
    }

    /// Unlists all sessions but this one, if the list is still what `seen` shows.
    pub(crate) fn unlist_others(&self, session: &Session, seen: &UserPartition) -> Result<Write, StoreError> {
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(keys::epoch_key(session.user.id)))
            .update_expression("SET #open = :only")
            .condition_expression("#open = :seen")
            .set_expression_attribute_names(names([("#open", attribute::OPEN)]))
            .set_expression_attribute_values(values([(":only", open_list(session)), (":seen", seen.open()?.clone())]));
        Write::update(update)
    }

    /// The next epoch, with one session in it: from this write on every older session and pending login is dead.
    pub(crate) fn next_epoch(&self, renewed: &Session, before: CredentialVersion) -> Result<Write, StoreError> {
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(keys::epoch_key(renewed.user.id)))
            .update_expression("SET #epoch = :after, #open = :open")
            .condition_expression("#epoch = :before")
            .set_expression_attribute_names(names([("#epoch", attribute::EPOCH), ("#open", attribute::OPEN)]))
            .set_expression_attribute_values(values([
                (":after", number(renewed.epoch.0)),
                (":before", number(before.0)),
                (":open", open_list(renewed)),
            ]));
        Write::update(update)
    }

    /// The session must still be listed under its epoch: what a dead one asked for is not done.
    pub(crate) fn still_listed(&self, session: &Session) -> Result<Write, StoreError> {
        let check = ConditionCheck::builder()
            .table_name(&self.table)
            .set_key(Some(keys::epoch_key(session.user.id)))
            .condition_expression("#epoch = :epoch AND attribute_exists(#open.#id)")
            .set_expression_attribute_names(names([
                ("#epoch", attribute::EPOCH),
                ("#open", attribute::OPEN),
                ("#id", &session.id.to_string()),
            ]))
            .set_expression_attribute_values(values([(":epoch", number(session.epoch.0))]));
        Write::check(check)
    }
}

fn unlisting(ended: &[SessionId]) -> Expression {
    let mut change = Expression::default();
    let open = change.name("open", attribute::OPEN);
    for (index, id) in ended.iter().enumerate() {
        let listed = format!("{open}.{}", change.name(&format!("ended{index}"), &id.to_string()));
        change.require(format!("attribute_exists({listed})"));
        change.remove(listed);
    }
    change
}

fn open_list(session: &Session) -> AttributeValue {
    AttributeValue::M(HashMap::from([(session.id.to_string(), millis(session.created_at))]))
}

pub(crate) fn read_epoch(item: &Item) -> Result<CredentialVersion, StoreError> {
    let number = item.get(attribute::EPOCH).and_then(|epoch| epoch.as_n().ok()?.parse().ok());
    number.map(CredentialVersion).ok_or_else(|| StoreError::Corrupt("an epoch".to_owned()))
}

/// The list of open sessions as an epoch item has it.
///
/// # Errors
/// [`StoreError::Corrupt`] if there is none.
pub(crate) fn open_of(item: Option<&Item>) -> Result<&AttributeValue, StoreError> {
    let open = item.and_then(|item| item.get(attribute::OPEN)).filter(|open| open.is_m());
    open.ok_or_else(|| StoreError::Corrupt("a user's list of open sessions".to_owned()))
}

/// The open sessions that an epoch item lists, and when each was opened: one whose time can't be read, before all others.
pub(crate) fn read_open(item: &Item) -> HashMap<SessionId, Timestamp> {
    let open = item.get(attribute::OPEN).and_then(|open| open.as_m().ok());
    let time = |at: &AttributeValue| Timestamp::from_millisecond(at.as_n().ok()?.parse().ok()?).ok();
    let entry = |(id, at): (&String, &AttributeValue)| Some((keys::session(id)?, time(at).unwrap_or(Timestamp::MIN)));
    open.into_iter().flatten().filter_map(entry).collect()
}
