//! What CloudFormation asks the function that makes the keys of a stack.

use hallpass_sealing_key::{Event, answer};
use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};

use crate::{config, text_of};

const KINDS: [&str; 3] = ["Create", "Update", "Delete"];
/// What CloudFormation tells of every kind, as text.
const TOLD: [&str; 5] = ["ResponseURL", "StackId", "RequestId", "LogicalResourceId", "ResourceType"];
const PLACES: &[&str] = &[
    "/RequestType",
    "/ResponseURL",
    "/StackId",
    "/RequestId",
    "/LogicalResourceId",
    "/ResourceType",
    "/PhysicalResourceId",
    "/ResourceProperties",
    "/ResourceProperties/ParameterName",
    "/ServiceToken",
];
const TEXTS: &[&str] = &["Create", "https://", "evil.example", "?", "arn:", "/hallpass/keys", "\"", "\n", "\u{e9}"];

const OTHERS: &[&str] = &["null", "true", "{}", "{\"ParameterName\": \"\"}", "[[]]"];

fn event(kind: &str) -> Value {
    let properties = json!({ "ServiceToken": "arn:aws:lambda:1", "ParameterName": "/hallpass/keys" });
    json!({
        "RequestType": kind,
        "ResponseURL": "https://cloudformation-custom-resource-response.example/signed?for=this",
        "StackId": "arn:aws:cloudformation:eu-west-1:1:stack/hallpass/1",
        "RequestId": "a-request",
        "LogicalResourceId": "Keys",
        "ResourceType": "Custom::Keys",
        "PhysicalResourceId": "/hallpass/keys/before",
        "ServiceToken": "arn:aws:lambda:1",
        "ResourceProperties": properties,
        "OldResourceProperties": properties,
    })
}

/// Whether it is a question, as a strict reader reads it: one of three kinds, and all that an answer needs is text.
fn is_asked(event: &Value) -> bool {
    let is_new = event["RequestType"] == "Create";
    KINDS.iter().any(|kind| event["RequestType"] == *kind)
        && TOLD.iter().all(|place| event[place].is_string())
        && (is_new || event["PhysicalResourceId"].is_string())
        && event["ResourceProperties"]["ParameterName"].is_string()
        && (event["ServiceToken"].is_string() || event["ServiceToken"].is_null())
}

properties! {
    config(), trial;

    #[test]
    fn any_event_of_a_stack_is_answered_where_and_for_what_it_asks(
        kind in select(&KINDS[..]),
        place in select(PLACES),
        value in prop_oneof![
            6 => text_of(TEXTS).prop_map(Value::from),
            1 => select(OTHERS).prop_map(|text| text.parse().unwrap()),
        ],
        outcome in prop_oneof![Just(Ok(())), text_of(TEXTS).prop_map(Err)],
    ) {
        let mut asked = event(kind);
        *asked.pointer_mut(place).unwrap() = value;
        let event: Result<Event, _> = serde_json::from_slice(asked.to_string().as_bytes());
        prop_assert_eq!(event.is_ok(), is_asked(&asked), "{}", asked);
        let Ok(event) = event else { return Ok(()) };
        trial.accept();
        let (address, told) = answer(&event, outcome.clone());
        prop_assert_eq!(address, asked["ResponseURL"].as_str().unwrap());
        let told: Value = serde_json::to_value(told).unwrap();
        for name in ["StackId", "RequestId", "LogicalResourceId"] {
            prop_assert_eq!(&told[name], &asked[name]);
        }
        // The parameter's name is the resource; one that is deleted is the one that was.
        let parameter = &asked["ResourceProperties"]["ParameterName"];
        let resource = if asked["RequestType"] == "Delete" { &asked["PhysicalResourceId"] } else { parameter };
        prop_assert_eq!(&told["PhysicalResourceId"], resource);
        prop_assert_eq!(&told["Status"], if outcome.is_ok() { "SUCCESS" } else { "FAILED" });
        prop_assert_eq!(told["Reason"].as_str().map(str::to_owned), outcome.err());
    }
}
