//! Whole requests, through the routers and the authorizer.

use std::sync::OnceLock;

use axum::{
    body::Body,
    http::{Request, header},
};
use hallpass_tests::{Answer, World};
use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{config_for_requests, header_of, text_of};

const ROUTES: &[&str] = &[
    "/register",
    "/login",
    "/login/verify",
    "/logout",
    "/password",
    "/totp",
    "/totp/confirm",
    "/totp/disable",
    "/recovery-codes",
    "/sessions/revoke-others",
    "/sessions/x/revoke",
    "/language",
];
const KINDS: &[&str] =
    &["application/json", "application/x-www-form-urlencoded", "application/json; charset=utf-8", "text/plain"];
const BODIES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\"username\"",
    "\"password\"",
    "\"code\"",
    "\"ada\"",
    "null",
    "1e999",
    "{\"token\":null}",
    "username=",
    "&",
    "=",
    "%",
    "%00",
    "+",
    "password=",
    "<script>",
    "\\u0000",
    "\\ud800",
];
const HEADERS: &[&str] = &["Bearer ", "Basic ", "__Host-session=", "__Host-device=", "x", ";", ",", "=", "\"", " "];

/// One world for all requests of this process, with limits that none of them reaches.
fn world() -> &'static (Runtime, World) {
    static WORLD: OnceLock<(Runtime, World)> = OnceLock::new();
    WORLD.get_or_init(|| {
        let runtime = Runtime::new().unwrap();
        let world = runtime.block_on(World::new()).in_process();
        (runtime, world)
    })
}

fn sent(method: &str, path: &str, headers: &[(header::HeaderName, &[u8])], body: &[u8]) -> Answer {
    let (runtime, world) = world();
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    let request = request.body(Body::from(body.to_vec())).unwrap();
    runtime.block_on(async { world.browser().send(request).await })
}

/// A success, or a problem document that tells the same status as the answer.
fn is_answered(answer: &Answer) -> Result<(), TestCaseError> {
    let status = answer.status.as_u16();
    prop_assert!(status < 500, "{} {}", status, answer.text());
    let is_document = answer.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/problem+json");
    if is_document {
        let document: Value = serde_json::from_slice(&answer.body).unwrap();
        prop_assert_eq!(&document["status"], &json!(status));
    } else {
        prop_assert!(status < 400 || answer.text().starts_with("<!doctype html>"), "{} {}", status, answer.text());
    }
    Ok(())
}

proptest! {
    #![proptest_config(config_for_requests())]

    #[test]
    fn any_body_is_answered(path in select(ROUTES), kind in select(KINDS), body in text_of(BODIES)) {
        is_answered(&sent("POST", path, &[(header::CONTENT_TYPE, kind.as_bytes())], body.as_bytes()))?;
    }

    #[test]
    fn any_credential_is_refused_without_an_error(authorization in header_of(HEADERS), cookie in header_of(HEADERS)) {
        let headers = [(header::AUTHORIZATION, authorization.as_slice()), (header::COOKIE, cookie.as_slice())];
        for path in ["/session", "/sessions", "/api/authz/forward-auth", "/api/authz/ext-authz"] {
            let answer = sent("GET", path, &headers, b"");
            is_answered(&answer)?;
            prop_assert!([400, 401].contains(&answer.status.as_u16()), "{}", answer.status);
        }
    }

    #[test]
    fn what_a_form_sends_is_text_on_the_page(name in text_of(BODIES)) {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("username", name.as_str()), ("password", "not the password")])
            .finish();
        let kind = [(header::CONTENT_TYPE, &b"application/x-www-form-urlencoded"[..])];
        let answer = sent("POST", "/login", &kind, body.as_bytes());
        is_answered(&answer)?;
        prop_assert!(!answer.text().contains("<script>"), "{}", answer.text());
    }

    #[test]
    fn any_event_is_refused_by_the_authorizer(
        key in text_of(BODIES),
        value in text_of(BODIES),
        header in text_of(HEADERS),
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
        let (runtime, world) = world();
        if let Ok(answer) = runtime.block_on(world.authorize(event)) {
            prop_assert_eq!(&answer["isAuthorized"], &json!(false));
        }
    }
}
