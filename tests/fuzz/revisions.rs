//! Writes to the embedded store: none to the sessions goes unnoticed by who remembers them, however it is written down.

use std::{
    collections::{BTreeMap, HashMap},
    sync::OnceLock,
};

use hallpass_embedded::Embedded;
use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
};
use serde_json::{Value, json};

use crate::{
    config_for_requests,
    embedded::{answer, is_of_dynamodb, place_in, store},
};

/// Partitions of the sessions, some of which look like something else, and the one of who writes what isn't theirs.
const USERS: &[&str] = &["ada", "t-counters", "user_id", "S", "\u{e9}\"\\", "Key", EVE];
const EVE: &str = "eve";
const SIDS: &[&str] = &["epoch", "login#1", "t-counters"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Put,
    Update,
    Delete,
}

/// One write to one item, and what to write there.
type Write = (Kind, &'static str, &'static str, u32);

fn write() -> impl Strategy<Value = Write> {
    let kind = prop_oneof![2 => Just(Kind::Put), 2 => Just(Kind::Update), 1 => Just(Kind::Delete)];
    (kind, select(USERS), select(SIDS), any::<u32>())
}

/// As the API wants a write that stands alone, or that is part of a transaction.
fn named((kind, user, sid, number): Write) -> (&'static str, Value) {
    let key = json!({ "user_id": { "S": user }, "sid": { "S": sid } });
    let number = json!({ "N": number.to_string() });
    match kind {
        Kind::Put => {
            let mut item = key;
            item["n"] = number;
            ("Put", json!({ "TableName": "t-sessions", "Item": item }))
        }
        Kind::Update => {
            let update = json!({
                "TableName": "t-sessions",
                "Key": key,
                "UpdateExpression": "SET n = :n",
                "ExpressionAttributeValues": { ":n": number },
            });
            ("Update", update)
        }
        Kind::Delete => ("Delete", json!({ "TableName": "t-sessions", "Key": key })),
    }
}

/// Some writes as one request, and whether it is one that the engine takes.
#[derive(Debug, Clone)]
struct Request {
    operation: String,
    body: Value,
    is_taken: bool,
}

fn request() -> impl Strategy<Value = Request> {
    let single = write().prop_map(|write| {
        let (name, body) = named(write);
        Request { operation: format!("{name}Item"), body, is_taken: true }
    });
    let transaction = vec(write(), 1..4).prop_map(|writes| {
        let items = writes.iter().map(|write| named(*write)).map(|(name, part)| json!({ name: part }));
        let body = json!({ "TransactItems": items.collect::<Vec<_>>() });
        Request { operation: "TransactWriteItems".to_owned(), body, is_taken: are_apart(&writes) }
    });
    let batch = vec(write(), 1..4).prop_map(|writes| {
        // No batch updates anything.
        let parts = writes.iter().map(|(kind, user, sid, number)| match kind {
            Kind::Put | Kind::Update => {
                json!({ "PutRequest": { "Item": named((Kind::Put, user, sid, *number)).1["Item"] } })
            }
            Kind::Delete => json!({ "DeleteRequest": { "Key": named((*kind, user, sid, *number)).1["Key"] } }),
        });
        let body = json!({ "RequestItems": { "t-sessions": parts.collect::<Vec<_>>() } });
        Request { operation: "BatchWriteItem".to_owned(), body, is_taken: are_apart(&writes) }
    });
    prop_oneof![3 => single, 3 => transaction, 1 => batch]
}

/// No request writes to an item twice.
fn are_apart(writes: &[Write]) -> bool {
    let mut items: Vec<_> = writes.iter().map(|(_, user, sid, _)| (user, sid)).collect();
    items.sort_unstable();
    items.windows(2).all(|pair| pair[0] != pair[1])
}

/// What makes readers differ: a member that is there twice or that is somebody else's, a letter written in another way,
/// values without the names of their members.
#[derive(Debug, Clone)]
enum Twist {
    Member(Index, &'static str, &'static str),
    Escape(Index),
    List(Index),
    Operation(&'static str),
}

const MEMBERS: &[&str] = &[
    "TableName",
    "Key",
    "Item",
    "user_id",
    "S",
    "sid",
    "Put",
    "Update",
    "Delete",
    "ConditionCheck",
    "TransactItems",
    "RequestItems",
    "Keys",
    "More",
];
const VALUES: &[&str] = &[
    "\"t-sessions\"",
    "\"t-counters\"",
    "\"x-counters\"",
    "\"eve\"",
    r#"{"S": "eve"}"#,
    r#"{"S": "eve", "N": null}"#,
    r#"{"user_id": {"S": "eve"}, "sid": {"S": "epoch"}}"#,
    r#"{"TableName": "t-sessions", "Key": {"user_id": {"S": "eve"}, "sid": {"S": "epoch"}}}"#,
    r#"[{"Delete": {"TableName": "t-sessions", "Key": {"user_id": {"S": "eve"}, "sid": {"S": "epoch"}}}}]"#,
    "null",
    "1e400",
];
const WRITES: &[&str] = &["PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems", "BatchWriteItem"];

fn twist() -> impl Strategy<Value = Twist> {
    let member = (any::<Index>(), select(MEMBERS), select(VALUES));
    prop_oneof![
        6 => member.prop_map(|(at, name, value)| Twist::Member(at, name, value)),
        2 => any::<Index>().prop_map(Twist::Escape),
        1 => any::<Index>().prop_map(Twist::List),
        1 => select(WRITES).prop_map(Twist::Operation),
    ]
}

impl Twist {
    /// What it makes of an operation and its body.
    fn applied(self, operation: &mut String, body: String) -> String {
        let after = |end: usize, more: &str| format!("{}{more}{}", &body[..end], &body[end..]);
        match self {
            Self::Member(at, name, value) => {
                let opened: Vec<usize> = body.match_indices('{').map(|(start, _)| start + 1).collect();
                let is_empty = |end: usize| body[end..].starts_with('}');
                let end = *at.get(&opened);
                after(end, &format!("\"{name}\":{value}{}", if is_empty(end) { "" } else { "," }))
            }
            Self::Escape(at) => {
                // One that follows a backslash is part of a letter that is written so already.
                let is_itself =
                    |&(start, letter): &(usize, char)| letter.is_ascii_lowercase() && !body[..start].ends_with('\\');
                let letters: Vec<(usize, char)> = body.char_indices().filter(is_itself).collect();
                let (start, letter) = *at.get(&letters);
                format!("{}\\u{:04x}{}", &body[..start], u32::from(letter), &body[start + 1..])
            }
            Self::List(at) => match body.parse::<Value>() {
                Ok(mut document) => {
                    let place = place_in(&mut document, &at);
                    *place =
                        place.as_object().map(|members| members.values().cloned().collect()).unwrap_or(json!([place]));
                    document.to_string()
                }
                Err(_) => body,
            },
            Self::Operation(name) => {
                name.clone_into(operation);
                body
            }
        }
    }
}

type Sessions = BTreeMap<String, Vec<String>>;

/// Every item of the sessions, by partition.
fn sessions(store: &Embedded) -> Sessions {
    let scan = json!({ "TableName": "t-sessions", "ConsistentRead": true }).to_string();
    let found: Value = serde_json::from_str(&answer(store, "Scan", scan.into_bytes()).body).unwrap();
    let mut sessions = Sessions::new();
    for item in found["Items"].as_array().unwrap() {
        sessions.entry(item["user_id"]["S"].as_str().unwrap().to_owned()).or_default().push(item.to_string());
    }
    sessions
}

properties! {
    config_for_requests(), trial;

    #[test]
    fn no_write_to_the_sessions_goes_unnoticed(
        requests in vec((request(), prop_oneof![1 => Just(vec![]), 2 => vec(twist(), 1..3)]), 1..6),
    ) {
        static STORE: OnceLock<Embedded> = OnceLock::new();
        let store = STORE.get_or_init(store);
        let revisions = store.revisions();
        for (Request { mut operation, body, is_taken }, twists) in requests {
            let is_plain = twists.is_empty();
            let body = twists.into_iter().fold(body.to_string(), |body, twist| twist.applied(&mut operation, body));
            let counted: HashMap<&str, u64> = USERS.iter().map(|user| (*user, revisions.of(user))).collect();
            let before = sessions(store);
            let answer = answer(store, &operation, body.clone().into_bytes());
            is_of_dynamodb(&answer)?;
            prop_assert!(!is_plain || (answer.status == 200) == is_taken, "{} {}: {}", operation, body, answer.body);
            let after = sessions(store);
            for (user, count) in counted.iter().filter(|(user, _)| before.get(**user) != after.get(**user)) {
                // Before it and behind it: who reads in between has read what is old.
                prop_assert!(revisions.of(user) >= count + 2, "{} {}: {:?}", operation, body, user);
                trial.accept();
            }
            let known = |user: &String| USERS.contains(&user.as_str());
            prop_assert!(after.keys().all(known), "{} {}: {:?}", operation, body, after);
        }
    }
}
