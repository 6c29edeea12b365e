//! Whole requests, through the routers.

use axum::http::header;
use hallpass_core::accounts::guessing::Guesses;
use hallpass_tests::PASSWORD;
use proptest::{option, prelude::*, sample::select};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::{
    config_for_requests, header_of,
    headers::strict_reader,
    in_header, near, replaced,
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
pub(crate) const BODIES: &[&str] = &[
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

pub(crate) const HEADERS: &[&str] =
    &["Bearer ", "Basic ", "__Host-session=", "__Host-device=", "x", ";", ",", "=", "\"", " "];

const WRITTEN_TYPE: &str = "application/(json|x-www-form-urlencoded)( ?; ?[cC]harset=(utf-8|UTF-8|\"utf-8\"))?";
const MISSPELT_TYPE: &str = "[ \t]application/json|(Application|application)/JSON|application/(problem\\+json|jsonx)|\
    application/json ?; ?charset=(latin1|utf8)|application/json, text/plain";
const ESSENCES: [&str; 2] = ["application/json", "application/x-www-form-urlencoded"];
pub(crate) const TYPES: &[&str] = &[
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
pub(crate) fn is_taken(lines: &[Vec<u8>]) -> bool {
    let [line] = lines else { return false };
    let Ok(text) = str::from_utf8(line) else { return false };
    let (essence, parameter) = text.split_once(';').unwrap_or((text, ""));
    let parameter = parameter.trim_matches([' ', '\t']).to_ascii_lowercase();
    let is_utf8 = ["", "charset=utf-8", "charset=\"utf-8\""].contains(&parameter.as_str());
    is_utf8 && ESSENCES.contains(&essence.trim_end_matches([' ', '\t']))
}

const MARKUP: &[&str] = &["<script>", "\"><script>", "<!--", "'", "&", "&lt;", "</", "ada"];
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
}
