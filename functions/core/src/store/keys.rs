//! Every key of every table is spelled here and nowhere else.
//!
//! | item | table | partition key | sort key | TTL | write condition |
//! |---|---|---|---|---|---|
//! | user | users | `id` = `user#<uuid>` | – | – | the credential version that was read |
//! | guesses at an unknown name | users | `id` = `user#<shadow uuid>` | – | yes | the count that was read |
//! | name pointer | users | `id` = `name#<folded name>` | – | – | absent |
//! | e-mail pointer | users | `id` = `email#<folded address>` | – | – | absent |
//! | session | sessions | `user_id` = `<uuid>` | `sid` = `<digest>` | yes | – (its epoch item decides) |
//! | pending login | sessions | `user_id` = `<uuid>` | `sid` = `login#<digest>` | yes | present, tries left |
//! | epoch | sessions | `user_id` = `<uuid>` | `sid` = `epoch` | – | the epoch that was read, a free place |
//! | limit log | counters | `key` = `<limit>,<windows>,<client>`, or `<limit>,<windows>,<method> <path>\|<client>` where each route has a quota of its own | – | yes | the n-th newest entry has left its window |
//!
//! A limit is a function or a policy that settings name; its windows are `<quota>/<seconds>`, with `+` between them.
//!
//! Digests are Base64url without padding, so none of them can be `epoch` or begin with `login#`.

use aws_sdk_dynamodb::types::AttributeValue;
use axum::extract::MatchedPath;

use crate::{
    accounts::{email::Email, user::UserId, username::Username},
    http::client::Partition,
    rate_limit::{named::LimitName, policy::Window, quota::Endpoint},
    sessions::token::{LoginId, SessionId},
};

/// The key of one item, ready for a call.
pub(crate) type Key = std::collections::HashMap<String, AttributeValue>;

pub(crate) const USERS_PARTITION: &str = "id";
pub(crate) const SESSIONS_PARTITION: &str = "user_id";
pub(crate) const SESSIONS_SORT: &str = "sid";
pub(crate) const COUNTERS_PARTITION: &str = "key";
/// The attribute that DynamoDB's TTL reads, in every table: seconds since the epoch.
pub(crate) const TTL: &str = "ttl";

pub(crate) const EPOCH_SID: &str = "epoch";
/// No counter has this key: they have commas.
pub(crate) const PING: &str = "ping";
const LOGIN_PREFIX: &str = "login#";

pub(crate) fn user(id: UserId) -> String {
    format!("user#{id}")
}

pub(crate) fn name(username: &Username) -> String {
    format!("name#{}", username.folded())
}

pub(crate) fn email(email: &Email) -> String {
    format!("email#{}", email.folded())
}

/// Reads a sort key back; `None` for the epoch and pending logins.
pub(crate) fn session(sid: &str) -> Option<SessionId> {
    SessionId::parse(sid)
}

/// Reads a pending login's sort key back; `None` for every other.
pub(crate) fn pending(sid: &str) -> Option<LoginId> {
    LoginId::parse(sid.strip_prefix(LOGIN_PREFIX)?)
}

/// How the keys of one limit's logs begin; whose log it is comes after it.
pub(crate) fn limit(name: &LimitName, windows: &[Window]) -> String {
    let windows: Vec<String> = windows.iter().map(|window| format!("{}/{}", window.quota, window.seconds)).collect();
    format!("{name},{},", windows.join("+"))
}

/// The key of a client's log: of one endpoint, where each has a quota of its own.
pub(crate) fn limit_log(beginning: &str, endpoint: Option<&Endpoint>, client: Partition) -> String {
    let client = client.to_string();
    match endpoint {
        Some(Endpoint { method, path }) => {
            let path = path.as_ref().map_or("", MatchedPath::as_str);
            format!("{beginning}{method} {path}|{client}")
        }
        None => [beginning, &client].concat(),
    }
}

pub(crate) fn users_key(id: String) -> Key {
    Key::from([(USERS_PARTITION.to_owned(), AttributeValue::S(id))])
}

pub(crate) fn sessions_key(user: UserId, sid: String) -> Key {
    Key::from([
        (SESSIONS_PARTITION.to_owned(), AttributeValue::S(user.to_string())),
        (SESSIONS_SORT.to_owned(), AttributeValue::S(sid)),
    ])
}

pub(crate) fn epoch_key(user: UserId) -> Key {
    sessions_key(user, EPOCH_SID.to_owned())
}

pub(crate) fn session_key(user: UserId, id: SessionId) -> Key {
    sessions_key(user, id.to_string())
}

pub(crate) fn login_key(user: UserId, id: LoginId) -> Key {
    sessions_key(user, format!("{LOGIN_PREFIX}{id}"))
}

pub(crate) fn counters_key(key: String) -> Key {
    Key::from([(COUNTERS_PARTITION.to_owned(), AttributeValue::S(key))])
}
