//! What API Gateway asks the authorizer.

use proptest::{option, prelude::*, sample::select};
use serde_json::{Value, json};

use crate::{
    config_for_requests,
    requests::{BODIES, HEADERS},
    served::{Shared, shared},
    text_of,
};

const PLACES: &[&str] = &[
    "version",
    "type",
    "methodArn",
    "headers",
    "multiValueHeaders",
    "cookies",
    "requestContext",
    "identity",
    "sourceIp",
    "http",
    "httpMethod",
    "Cookie",
    "cookie",
    "Authorization",
    "sec-fetch-site",
    "x-forwarded-for",
    "authorizationToken",
];
const VALUES: &[&str] = &[
    "2.0",
    "1.0",
    "REQUEST",
    "TOKEN",
    "GET",
    "POST",
    "cross-site",
    "192.0.2.7",
    "::1",
    "__Host-session=",
    "arn:",
    "*",
];
const METHOD_ARN: &str = "arn:aws:execute-api:eu-west-1:123456789012:abc123/prod/GET/orders/7";

/// Whatever the gateway is told, it lets nobody pass: in one of the two forms that it takes an answer in, or by an error.
/// Tells whether the question was understood.
fn lets_nobody_pass(answer: Result<Value, String>) -> Result<bool, TestCaseError> {
    let answer = match answer {
        Err(error) => {
            prop_assert!(!error.is_empty() && !error.contains('\n'), "{error}");
            return Ok(error == "Unauthorized");
        }
        Ok(answer) => answer,
    };
    prop_assert!(answer["context"]["reason"].is_string(), "{answer}");
    let fields: Vec<&String> = answer.as_object().unwrap().keys().collect();
    if answer["isAuthorized"].is_boolean() {
        prop_assert_eq!(&answer["isAuthorized"], &json!(false));
        prop_assert_eq!(fields, ["context", "isAuthorized"]);
    } else {
        prop_assert_eq!(fields, ["context", "policyDocument", "principalId"]);
        let statements = answer["policyDocument"]["Statement"].as_array().unwrap();
        prop_assert_eq!((statements.len(), &statements[0]["Effect"]), (1, &json!("Deny")));
    }
    Ok(true)
}

properties! {
    config_for_requests(), trial;

    #[test]
    fn any_event_is_refused_by_the_authorizer(
        key in text_of(BODIES),
        value in text_of(BODIES),
        header in prop_oneof![text_of(HEADERS), "(Bearer |__Host-session=)[A-Za-z0-9_-]{64}"],
        place in 0..4_usize,
    ) {
        let mut event = json!({
            "version": "2.0",
            "type": "REQUEST",
            "cookies": [header],
            "headers": { "authorization": header },
            "requestContext": { "http": { "method": "GET", "sourceIp": "192.0.2.1" } },
        });
        match place {
            0 => event[key.as_str()] = json!(value),
            1 => event["headers"][key.as_str()] = json!(value),
            2 => event["requestContext"]["http"]["sourceIp"] = json!(value),
            _ => event["cookies"] = json!(value),
        }
        let Shared { runtime, world, .. } = shared();
        if lets_nobody_pass(runtime.block_on(world.authorize(event)))? {
            trial.accept();
        }
    }

    #[test]
    fn any_event_of_a_rest_api_is_refused_by_the_authorizer(
        key in prop_oneof![select(PLACES).prop_map(str::to_owned), text_of(BODIES)],
        value in text_of(VALUES),
        header in prop_oneof![text_of(HEADERS), "(Bearer |__Host-session=)[A-Za-z0-9_-]{64}"],
        method in prop_oneof![select(&["GET", "POST"][..]).prop_map(str::to_owned), text_of(VALUES)],
        site in option::of(select(&["cross-site", "same-origin"][..])),
        place in 0..7_usize,
    ) {
        let mut event = json!({
            "type": "REQUEST",
            "methodArn": METHOD_ARN,
            "headers": { "Authorization": header },
            "multiValueHeaders": { "Authorization": [header], "Cookie": [header], "Sec-Fetch-Site": Vec::from_iter(site) },
            "requestContext": { "httpMethod": method, "identity": { "sourceIp": "192.0.2.1" } },
        });
        match place {
            0 => event[key.as_str()] = json!(value),
            1 => event[key.as_str()] = json!([value]),
            2 => event["multiValueHeaders"][key.as_str()] = json!([value]),
            3 => event["multiValueHeaders"] = json!({ key: value }),
            4 => event["requestContext"][key.as_str()] = json!(value),
            5 => event["requestContext"]["identity"][key.as_str()] = json!(value),
            _ => event["methodArn"] = json!(format!("{METHOD_ARN}{value}")),
        }
        let Shared { runtime, world, .. } = shared();
        if lets_nobody_pass(runtime.block_on(world.authorize(event)))? {
            trial.accept();
        }
    }
}
