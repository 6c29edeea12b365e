//! Whole requests, through the routers and the authorizer.

use std::sync::OnceLock;

use axum::{
    body::Body,
    http::{HeaderName, Request, header},
};
use hallpass_tests::{Answer, Browser, World};
use proptest::{option, prelude::*, sample::select};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use url::form_urlencoded;

use crate::{config_for_requests, header_of, list_of, text_of};

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

const PAIRS: &[&str] = &["level=aal1", "limit=orders", "l%65vel=aal%31", "level=aal2", "limit=files"];
const DEMANDS: &[&str] = &[
    "level=aal1",
    "level=aal2",
    "level=",
    "limit=orders",
    "limit=files",
    "limit=authz",
    "limit",
    "&",
    "&",
    "=",
    "aal1",
    "orders",
    "%61al1",
    "l%65vel=aal2",
    "%ff",
    "%00",
    "%26",
    "+",
    ";",
    "?",
    "/",
    "Level=aal2",
    "level[]=aal2",
];
const REQUIRED: &[&str] = &["aal1", "aal2", "AAL1", "orders", "files", ",", ", ", " ", "\t", "level=aal1", "\u{e9}"];
const REQUIRE_LEVEL: HeaderName = HeaderName::from_static("x-hallpass-require-level");
const REQUIRE_LIMIT: HeaderName = HeaderName::from_static("x-hallpass-require-limit");

/// Whether a session of one factor meets what is demanded where `orders` is the one limit of the settings, as a strict
/// reader reads it.
fn is_met(query: &str, levels: Option<&[u8]>, limits: Option<&[u8]>) -> bool {
    let lists_only = |line: Option<&[u8]>, what: &str| {
        line.is_none_or(|line| line.split(|byte| *byte == b',').all(|part| part.trim_ascii() == what.as_bytes()))
    };
    let mut demands = form_urlencoded::parse(query.as_bytes());
    demands.all(|(name, value)| [("level", "aal1"), ("limit", "orders")].contains(&(&name, &value)))
        && lists_only(levels, "aal1")
        && lists_only(limits, "orders")
}

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
fn lets_nobody_pass(answer: Result<Value, String>) -> Result<(), TestCaseError> {
    let answer = match answer {
        Err(error) => {
            prop_assert!(!error.is_empty() && !error.contains('\n'), "{error}");
            return Ok(());
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
    Ok(())
}

/// One world for all requests of this process, with limits that none of them reaches, and somebody who is logged in.
struct Shared {
    runtime: Runtime,
    world: World,
    somebody: Browser,
}

fn shared() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(|| {
        let runtime = Runtime::new().unwrap();
        let endless = "1000000000 per hour";
        let vars = [("HALLPASS_LIMITS__AUTHZ", endless), ("HALLPASS_GUARD__LIMITS__ORDERS", endless)];
        let (world, somebody) = runtime.block_on(async {
            let world = World::with(vars).await.in_process();
            let (_, somebody) = world.somebody().await;
            (world, somebody)
        });
        Shared { runtime, world, somebody }
    })
}

fn sent(method: &str, path: &str, headers: &[(HeaderName, &[u8])], body: &[u8]) -> Answer {
    sent_by(shared().world.browser(), method, path, headers, body)
}

fn sent_by(mut browser: Browser, method: &str, path: &str, headers: &[(HeaderName, &[u8])], body: &[u8]) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    let request = request.body(Body::from(body.to_vec())).unwrap();
    shared().runtime.block_on(browser.send(request))
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

properties! {
    config_for_requests();

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
    fn only_a_demand_that_is_read_as_a_strict_reader_reads_it_is_met(
        query in prop_oneof![list_of(PAIRS, "&"), text_of(DEMANDS)],
        levels in option::of(prop_oneof![list_of(&["aal1", "aal1", "aal2"], ", ").prop_map(String::into_bytes), header_of(REQUIRED)]),
        limits in option::of(prop_oneof![list_of(&["orders", "orders", "files"], ",").prop_map(String::into_bytes), header_of(REQUIRED)]),
        is_logged_in in any::<bool>(),
    ) {
        // What a path may hold unencoded, without the beginning of a fragment.
        let query = query.replace(|c: char| !c.is_ascii_alphanumeric() && !"&=%+;?/[]._-".contains(c), "");
        let (levels, limits) = (levels.as_deref(), limits.as_deref());
        let headers: Vec<(HeaderName, &[u8])> =
            [(REQUIRE_LEVEL, levels), (REQUIRE_LIMIT, limits)].into_iter().filter_map(|(name, line)| Some((name, line?))).collect();
        for (path, demanded) in [
            ("/api/authz/forward-auth", query.as_str()),
            ("/api/authz/auth-request", query.as_str()),
            // The query is the client's.
            ("/api/authz/ext-authz/orders", ""),
        ] {
            let Shared { world, somebody, .. } = shared();
            let mut browser = world.browser();
            browser.cookies.extend(is_logged_in.then(|| somebody.cookies.clone()).into_iter().flatten());
            let answer = sent_by(browser, "GET", &format!("{path}?{query}"), &headers, b"");
            is_answered(&answer)?;
            let passes = is_logged_in && is_met(demanded, levels, limits);
            prop_assert_eq!(answer.status.is_success(), passes, "{}?{}: {}", path, query, answer.status);
            prop_assert_eq!(answer.headers.contains_key("x-hallpass-user-id"), passes);
            prop_assert_eq!(answer.headers.contains_key("x-hallpass-reason"), !passes);
        }
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
        let Shared { runtime, world, .. } = shared();
        lets_nobody_pass(runtime.block_on(world.authorize(event)))?;
    }

    #[test]
    fn any_event_of_a_rest_api_is_refused_by_the_authorizer(
        key in prop_oneof![select(PLACES).prop_map(str::to_owned), text_of(BODIES)],
        value in text_of(VALUES),
        header in text_of(HEADERS),
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
        lets_nobody_pass(runtime.block_on(world.authorize(event)))?;
    }
}
