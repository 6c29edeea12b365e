//! What another process asks of the embedded store: each answer is one of DynamoDB's.

use std::sync::OnceLock;

use axum::http::HeaderValue;
use hallpass_embedded::{Answer, Embedded, wire};
use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{config_for_requests, in_header, near, text_of};

/// Every operation, with a body that it takes.
const REQUESTS: &[(&str, &str)] = &[
    (
        "CreateTable",
        r#"{"TableName": "more", "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "BillingMode": "PAY_PER_REQUEST", "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}]}"#,
    ),
    ("DescribeTable", r#"{"TableName": "t-sessions"}"#),
    ("ListTables", r#"{"Limit": 2, "ExclusiveStartTableName": "a"}"#),
    ("DeleteTable", r#"{"TableName": "t-counters"}"#),
    (
        "UpdateTimeToLive",
        r#"{"TableName": "t-users", "TimeToLiveSpecification": {"AttributeName": "end", "Enabled": true}}"#,
    ),
    ("DescribeTimeToLive", r#"{"TableName": "t-users"}"#),
    (
        "PutItem",
        r##"{"TableName": "t-sessions", "Item": {"user_id": {"S": "ada"}, "sid": {"S": "epoch"}, "n": {"N": "1"},
            "log": {"L": [{"N": "1"}]}, "names": {"SS": ["a"]}, "ttl": {"N": "1800000000"}},
            "ConditionExpression": "attribute_not_exists(#n) OR #n < :n OR size(sid) > :n",
            "ExpressionAttributeNames": {"#n": "n"}, "ExpressionAttributeValues": {":n": {"N": "9"}}}"##,
    ),
    (
        "UpdateItem",
        r##"{"TableName": "t-sessions", "Key": {"user_id": {"S": "ada"}, "sid": {"S": "epoch"}},
            "UpdateExpression":
                "SET #n = if_not_exists(#n, :n) + :n, log = list_append(:l, :l) REMOVE a, b[2] ADD k :n DELETE names :s",
            "ExpressionAttributeNames": {"#n": "n"}, "ReturnValues": "ALL_NEW",
            "ExpressionAttributeValues": {":n": {"N": "1"}, ":l": {"L": [{"N": "1"}]}, ":s": {"SS": ["a"]}}}"##,
    ),
    ("DeleteItem", r#"{"TableName": "t-users", "Key": {"id": {"S": "user#1"}}, "ReturnValues": "ALL_OLD"}"#),
    (
        "GetItem",
        r##"{"TableName": "t-sessions", "Key": {"user_id": {"S": "ada"}, "sid": {"S": "epoch"}}, "ConsistentRead": true,
            "ProjectionExpression": "#n, log[0], a.b", "ExpressionAttributeNames": {"#n": "n"}}"##,
    ),
    (
        "Query",
        r#"{"TableName": "t-sessions", "KeyConditionExpression": "user_id = :u AND begins_with(sid, :s)", "Limit": 2,
            "FilterExpression": "NOT contains(log, :u) AND n BETWEEN :n AND :n", "ScanIndexForward": false,
            "ExpressionAttributeValues": {":u": {"S": "ada"}, ":s": {"S": "e"}, ":n": {"N": "1"}}}"#,
    ),
    ("Scan", r#"{"TableName": "t-sessions", "TotalSegments": 2, "Segment": 1, "Select": "COUNT"}"#),
    ("BatchGetItem", r#"{"RequestItems": {"t-users": {"Keys": [{"id": {"S": "user#1"}}]}}}"#),
    (
        "BatchWriteItem",
        r#"{"RequestItems": {"t-users": [{"PutRequest": {"Item": {"id": {"S": "user#1"}, "key": {"B": "AAAA"}}}}]}}"#,
    ),
    ("TransactGetItems", r#"{"TransactItems": [{"Get": {"TableName": "t-users", "Key": {"id": {"S": "user#1"}}}}]}"#),
    (
        "TransactWriteItems",
        r#"{"ClientRequestToken": "once", "TransactItems": [
            {"Put": {"TableName": "t-users", "Item": {"id": {"S": "user#2"}}}},
            {"ConditionCheck": {"TableName": "t-users", "Key": {"id": {"S": "user#1"}},
                "ConditionExpression": "attribute_not_exists(id)"}}]}"#,
    ),
];
const TARGETS: &[&str] = &["DynamoDB_20120810", ".", "PutItem", "Query", "ExecuteStatement", "getitem", " ", ",", "#"];
/// Names, keys, numbers, and what expressions are made of.
const TEXTS: &[&str] = &[
    "t-sessions",
    "t-counters",
    "more",
    "ada",
    "epoch",
    "user_id",
    "sid",
    "n",
    "#n",
    ":n",
    ":u",
    "log",
    "[0]",
    "[18446744073709551616]",
    ".",
    ",",
    "(",
    ")",
    " = ",
    " <> ",
    " + ",
    " - ",
    " AND ",
    " OR ",
    "NOT ",
    " IN (",
    " BETWEEN ",
    "SET ",
    " REMOVE ",
    " ADD ",
    " DELETE ",
    "size(",
    "begins_with(",
    "attribute_type(",
    "if_not_exists(",
    "list_append(",
    "9",
    "-0",
    "1e125",
    "1E-130",
    "0.1",
    "99999999999999999999999999999999999999",
    "AAAA",
    "=",
    "ALL_OLD",
    "UPDATED_NEW",
    "HASH",
    "RANGE",
    "S",
    "N",
    "B",
    "\u{e9}",
    "\u{0}",
];

/// JSON that may stand where another does, some of it as DynamoDB writes a value.
fn value() -> impl Strategy<Value = Value> {
    let text = || text_of(TEXTS);
    let typed = prop_oneof![
        2 => text().prop_map(|text| json!({ "S": text })),
        2 => "-?[0-9]{1,3}(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,3})?".prop_map(|number| json!({ "N": number })),
        1 => text().prop_map(|text| json!({ "B": text })),
        1 => vec(text(), 0..3).prop_map(|texts| json!({ "SS": texts })),
        1 => vec("-?[0-9]{1,3}", 0..3).prop_map(|numbers| json!({ "NS": numbers })),
        1 => any::<bool>().prop_map(|is_set| json!({ "BOOL": is_set, "NULL": true })),
    ];
    let nested = typed.clone().prop_flat_map(|value| {
        prop_oneof![
            2 => Just(value.clone()),
            1 => Just(json!({ "L": [value, value] })),
            1 => text_of(TEXTS).prop_map(move |name| json!({ "M": { name: value } })),
        ]
    });
    prop_oneof![
        6 => text().prop_map(Value::from),
        4 => nested,
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        1 => select(&["null", "true", "[]", "{}", "[[]]", "{\"\": {}}"][..]).prop_map(|text| text.parse().unwrap()),
    ]
}

/// Where each value of a document is, itself among them, as JSON pointers.
fn places(document: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match document {
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| places(value, &format!("{at}/{name}"), found))
        }
        Value::Array(values) => {
            values.iter().enumerate().for_each(|(index, value)| places(value, &format!("{at}/{index}"), found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The value at one place of a document, to be changed.
pub(crate) fn place_in<'a>(document: &'a mut Value, place: &Index) -> &'a mut Value {
    let mut found = Vec::new();
    places(document, "", &mut found);
    let pointer = place.get(&found).clone();
    // Another change may have given a member a name that a pointer spells in another way.
    if document.pointer(&pointer).is_none() {
        return document;
    }
    document.pointer_mut(&pointer).unwrap()
}

/// What one of the requests becomes by some changes of its values, or of the text that it is.
fn asked() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let changes =
        vec((any::<Index>(), prop_oneof![3 => value().prop_map(Ok), 1 => text_of(TEXTS).prop_map(Err)]), 0..3);
    let changed = (select(REQUESTS), changes).prop_map(|((operation, body), changes)| {
        let mut document: Value = body.parse().unwrap();
        for (place, change) in changes {
            let old = place_in(&mut document, &place);
            *old = match (change, old.as_str()) {
                (Ok(value), _) => value,
                (Err(more), Some(text)) => json!(format!("{text}{more}")),
                (Err(text), None) => json!(text),
            };
        }
        (operation, document.to_string())
    });
    let edited =
        select(REQUESTS).prop_flat_map(|(operation, body)| (Just(operation), near(Just(body.to_owned()), TEXTS)));
    let asked = prop_oneof![4 => changed, 1 => edited].prop_flat_map(|(operation, body)| {
        let target = format!("DynamoDB_20120810.{operation}");
        let target = prop_oneof![9 => Just(target.clone()), 1 => near(Just(target), TARGETS)].prop_map(in_header);
        let body = prop_oneof![19 => Just(body.clone().into_bytes()), 1 => Just([body.as_bytes(), b"\xff"].concat())];
        (target, body)
    });
    let noise = (".{0,9}".prop_map(in_header), vec(any::<u8>(), 0..40));
    prop_oneof![29 => asked, 1 => noise]
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().unwrap())
}

/// A store with the tables of a Hallpass whose prefix is `t`, and nothing in them.
pub(crate) fn store() -> Embedded {
    let store = Embedded::in_memory().unwrap();
    for (table, keys) in [("t-users", &["id"][..]), ("t-sessions", &["user_id", "sid"]), ("t-counters", &["key"])] {
        let schema: Vec<Value> = keys
            .iter()
            .zip(["HASH", "RANGE"])
            .map(|(name, kind)| json!({ "AttributeName": name, "KeyType": kind }))
            .collect();
        let types: Vec<Value> =
            keys.iter().map(|name| json!({ "AttributeName": name, "AttributeType": "S" })).collect();
        let body = json!({
            "TableName": table,
            "KeySchema": schema,
            "AttributeDefinitions": types,
            "BillingMode": "PAY_PER_REQUEST",
        });
        assert_eq!(answer(&store, "CreateTable", body.to_string().into_bytes()).status, 200);
    }
    store
}

pub(crate) fn answer(store: &Embedded, operation: &str, body: Vec<u8>) -> Answer {
    runtime().block_on(store.answer(operation, body)).expect("the engine has ended")
}

/// A document, or an error as the SDKs read one.
pub(crate) fn is_of_dynamodb(Answer { status, body }: &Answer) -> Result<(), TestCaseError> {
    let document: Value = serde_json::from_str(body).unwrap();
    prop_assert!(document.is_object(), "{}", body);
    match (status, document["__type"].as_str()) {
        (200, None) => {}
        (400, Some(kind)) => {
            prop_assert!(
                kind.starts_with("com.amazon") && kind.contains('#') && kind.ends_with("Exception"),
                "{}",
                body
            );
            let message = document.get("message").or_else(|| document.get("Message"));
            prop_assert!(message.is_some_and(Value::is_string), "{}", body);
        }
        _ => prop_assert!(false, "{} {}", status, body),
    }
    Ok(())
}

properties! {
    config_for_requests(), trial;

    #[test]
    fn whatever_another_process_asks_it_is_answered_as_by_dynamodb(asked in vec(asked(), 1..8)) {
        let store = store();
        for (target, body) in asked {
            let target = HeaderValue::from_bytes(&target).unwrap();
            let answer = answer(&store, wire::operation(target.to_str().ok()), body);
            is_of_dynamodb(&answer)?;
            if answer.status == 200 {
                trial.accept();
            }
        }
        // What has ended answers nobody.
        prop_assert_eq!(answer(&store, "ListTables", b"{}".to_vec()).status, 200);
    }
}
