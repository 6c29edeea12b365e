//! Whole requests, through the routers and the authorizer.

use axum::http::{HeaderName, header};
use hallpass_core::accounts::guessing::Guesses;
use hallpass_tests::PASSWORD;
use proptest::{option, prelude::*, sample::select};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::{
    config_for_requests, header_of,
    headers::strict_reader,
    in_header, list_of, near, replaced,
    served::{Shared, is_answered, newcomer, sent, sent_by, shared},
    text_of,
};

/// Every route that takes a body, and one that it takes, as a form.
const ROUTES: &[(&str, &str)] = &[
    ("/register", "username=ada&password=correct+horse"),
    ("/login", "username=ada&password=correct+horse&next=%2Forders"),
    ("/login/verify", "code=123456"),
    ("/logout", ""),
    ("/password", "current_password=correct+horse&new_password=battery+staple"),
    ("/totp", "password=correct+horse"),
    ("/totp/confirm", "code=123456"),
    ("/totp/disable", "password=correct+horse&code=123456"),
    ("/recovery-codes", "password=correct+horse&code=123456"),
    ("/sessions/revoke-others", ""),
    ("/sessions/x/revoke", ""),
    ("/language", "language=en&next=%2Forders"),
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
/// A route, a content type, and a body near to what the route takes in it.
fn posted() -> impl Strategy<Value = (&'static str, &'static str, String)> {
    let of_kind = |((path, form), kind): ((&'static str, &'static str), &'static str)| {
        let fields = || form_urlencoded::parse(form.as_bytes()).map(|(name, value)| (name.into_owned(), json!(value)));
        let whole = if kind.contains("json") { Value::Object(fields().collect()).to_string() } else { form.to_owned() };
        (Just(path), Just(kind), near(Just(whole), BODIES))
    };
    (select(ROUTES), select(KINDS)).prop_flat_map(of_kind)
}

/// What a body must be refused for that is sent as this: what it is, or that it is no object.
fn is_unreadable(kind: &str, body: &str) -> bool {
    let is_object = || serde_json::from_str::<Value>(body).is_ok_and(|value| value.is_object());
    kind == "text/plain" || (kind.contains("json") && !body.is_empty() && !is_object())
}

const HEADERS: &[&str] = &["Bearer ", "Basic ", "__Host-session=", "__Host-device=", "x", ";", ",", "=", "\"", " "];

const WRITTEN_TYPE: &str = "application/(json|x-www-form-urlencoded)( ?; ?[cC]harset=(utf-8|UTF-8|\"utf-8\"))?";
const MISSPELT_TYPE: &str = "[ \t]application/json|(Application|application)/JSON|application/(problem\\+json|jsonx)|\
    application/json ?; ?charset=(latin1|utf8)|application/json, text/plain";
const ESSENCES: [&str; 2] = ["application/json", "application/x-www-form-urlencoded"];
const TYPES: &[&str] = &[
    "application/json",
    "application/x-www-form-urlencoded",
    "text/plain",
    ";",
    " ",
    "\t",
    ",",
    "/",
    "charset=utf-8",
    "charset=latin1",
    "CHARSET=UTF-8",
    "\"",
    "X",
];

/// Whether a body of this type is taken, as a strict reader reads it: one line, in one spelling but for the charset's.
fn is_taken(lines: &[Vec<u8>]) -> bool {
    let [line] = lines else { return false };
    let Ok(text) = str::from_utf8(line) else { return false };
    let (essence, parameter) = text.split_once(';').unwrap_or((text, ""));
    let parameter = parameter.trim_matches([' ', '\t']).to_ascii_lowercase();
    let is_utf8 = ["", "charset=utf-8", "charset=\"utf-8\""].contains(&parameter.as_str());
    is_utf8 && ESSENCES.contains(&essence.trim_end_matches([' ', '\t']))
}

const MARKUP: &[&str] = &["<script>", "\"><script>", "<!--", "'", "&", "&lt;", "</", "ada"];
const PAIRS: &[&str] = &["level=aal1", "limit=orders", "l%65vel=aal%31", "level=aal2", "limit=files"];
const DEMANDS: &[&str] = &[
    "level=aal1",
    "level=aal2",
    "level=",
    "limit=orders",
    "limit=files",
    "limit=authz",
    "limit=login",
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

/// What may be demanded where `orders` is the one limit of the settings, and that of functions without a password or a code.
const LIMITS: [&str; 8] = ["orders", "authz", "session", "sessions", "logout", "resource", "docs", "pages"];

/// Whether a session of one factor meets what is demanded, as a strict reader reads it.
fn is_met(query: &str, levels: Option<&[u8]>, limits: Option<&[u8]>) -> bool {
    let lists_only = |line: Option<&[u8]>, known: &[&str]| {
        let is_known = |part: &[u8]| known.iter().any(|name| part.trim_ascii() == name.as_bytes());
        line.is_none_or(|line| line.split(|byte| *byte == b',').all(is_known))
    };
    let mut demands = form_urlencoded::parse(query.as_bytes());
    demands.all(|(name, value)| match &*name {
        "level" => value == "aal1",
        "limit" => LIMITS.contains(&&*value),
        _ => false,
    }) && lists_only(levels, &["aal1"])
        && lists_only(limits, &LIMITS)
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
    fn any_body_is_answered((path, kind, body) in posted()) {
        let headers = [(header::CONTENT_TYPE, kind.as_bytes())];
        is_answered(&sent("POST", path, &headers, body.as_bytes()))?;
        // Most routes look at a body only where there is a session.
        let answer = sent_by(newcomer(), "POST", path, &headers, body.as_bytes());
        is_answered(&answer)?;
        let status = answer.status.as_u16();
        prop_assert_eq!(status == 415, kind == "text/plain", "{}: {}", path, status);
        if [400, 415, 422].contains(&status) {
            return Ok(());
        }
        prop_assert!(!is_unreadable(kind, &body), "{}: {}", path, status);
        prop_assert!(!answer.text().contains("session-required"), "{}: {}", path, answer.text());
        trial.accept();
    }

    #[test]
    fn a_body_is_taken_under_two_types_as_they_are_spelled(
        lines in prop_oneof![
            2 => WRITTEN_TYPE.prop_map(|line| vec![in_header(line)]),
            2 => MISSPELT_TYPE.prop_map(|line| vec![in_header(line)]),
            2 => near(WRITTEN_TYPE, TYPES).prop_map(|line| vec![in_header(line)]),
            1 => proptest::collection::vec(near(WRITTEN_TYPE, TYPES).prop_map(in_header), 0..3),
        ],
    ) {
        let headers: Vec<_> = lines.iter().map(|line| (header::CONTENT_TYPE, line.as_slice())).collect();
        let answer = sent("POST", "/login", &headers, b"{}");
        is_answered(&answer)?;
        // It has none of the fields, and is no form of them either.
        prop_assert_eq!(answer.status.as_u16(), if is_taken(&lines) { 422 } else { 415 });
        if answer.status == 422 {
            trial.accept();
        }
    }

    #[test]
    fn while_strangers_are_held_off_the_device_cookie_that_was_given_logs_in_and_no_other(
        edit in option::of((prop_oneof![0..91_usize, Just(91)], 0..4_usize, "=|[A-Za-z0-9_=; -]{0,4}")),
    ) {
        let Shared { runtime, world, .. } = shared();
        runtime.block_on(async {
            let (name, owner) = world.somebody().await;
            for _ in 0..Guesses::FREE {
                world.browser().log_in_with(&name, "not the password").await.expect_problem(401, "invalid-credentials");
            }
            let given = &owner.cookies["__Host-device"];
            let sent = edit.map_or_else(|| given.clone(), |(at, length, piece)| replaced(given, at, length, &piece));
            let mut browser = world.browser();
            browser.cookies.insert("__Host-device".to_owned(), sent.clone());
            let answer = browser.log_in_with(&name, PASSWORD).await;
            is_answered(&answer)?;
            let line = format!("__Host-device={sent}").into_bytes();
            let is_known = strict_reader("__Host-device", &[line]).as_ref() == Some(given);
            prop_assert_eq!(answer.status.as_u16(), if is_known { 200 } else { 429 });
            if is_known {
                trial.accept();
            }
            Ok(())
        })?;
    }

    #[test]
    fn any_credential_is_refused_without_an_error(
        authorization in prop_oneof![header_of(HEADERS), "Bearer [A-Za-z0-9_-]{64}".prop_map(String::into_bytes)],
        cookie in prop_oneof![header_of(HEADERS), "__Host-session=[A-Za-z0-9_-]{64}".prop_map(String::into_bytes)],
    ) {
        let headers = [(header::AUTHORIZATION, authorization.as_slice()), (header::COOKIE, cookie.as_slice())];
        for path in ["/session", "/sessions", "/api/authz/forward-auth", "/api/authz/ext-authz"] {
            let answer = sent("GET", path, &headers, b"");
            is_answered(&answer)?;
            prop_assert!([400, 401].contains(&answer.status.as_u16()), "{}", answer.status);
            if answer.status == 401 {
                trial.accept();
            }
        }
    }

    #[test]
    fn what_a_form_sends_is_text_on_the_page(name in prop_oneof![3 => text_of(MARKUP), 1 => text_of(BODIES)]) {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("username", name.as_str()), ("password", "not the password")])
            .finish();
        let kind = [(header::CONTENT_TYPE, &b"application/x-www-form-urlencoded"[..])];
        let answer = sent("POST", "/login", &kind, body.as_bytes());
        is_answered(&answer)?;
        prop_assert!(!answer.text().contains("<script>"), "{}", answer.text());
        if answer.text().contains("&#60;script&#62;") {
            trial.accept();
        }
    }

    #[test]
    fn only_a_demand_that_is_read_as_a_strict_reader_reads_it_is_met(
        query in prop_oneof![list_of(PAIRS, "&"), text_of(DEMANDS)],
        levels in option::of(prop_oneof![list_of(&["aal1", "aal1", "aal2"], ", ").prop_map(String::into_bytes), header_of(REQUIRED)]),
        limits in option::of(prop_oneof![list_of(&["orders", "orders", "files"], ",").prop_map(String::into_bytes), header_of(REQUIRED)]),
        is_logged_in in prop::bool::weighted(0.8),
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
            if passes {
                trial.accept();
            }
        }
    }

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
