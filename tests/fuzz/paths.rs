//! Methods, paths and queries, through the routers.

use std::{collections::BTreeSet, sync::OnceLock};

use axum::http::{Uri, header};
use hallpass_tests::contract;
use proptest::{option, prelude::*, sample::select};
use url::Url;

use crate::{
    config, config_for_requests, near,
    served::{ORIGIN, is_answered, newcomer, sent, sent_by, shared},
};

/// Routes that are not in the contract: the pages and what they load, and the guard for proxies that add the path.
const NOT_IN_CONTRACT: [&str; 11] = [
    "/",
    "/login",
    "/login/verify",
    "/register",
    "/account",
    "/account/security",
    "/account/sessions",
    "/account/security/recovery-codes.txt",
    "/language",
    "/assets/{file}",
    "/api/authz/ext-authz/{*path}",
];
/// What succeeds without a session: to be read, and to be sent. There is nothing left to do for who logs out again.
const READ_BY_ANYBODY: [&str; 7] =
    ["/", "/login", "/register", "/docs", "/openapi.json", "/api/resource", "/assets/{file}"];
const SENT_BY_ANYBODY: [&str; 2] = ["/language", "/logout"];

const METHODS: &[&str] =
    &["GET", "GET", "GET", "HEAD", "POST", "POST", "DELETE", "PUT", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get"];
const WHOLE: &[&str] = &[
    "/",
    "/login",
    "/login/verify",
    "/register",
    "/account",
    "/account/security",
    "/account/sessions",
    "/language",
    "/account/security/recovery-codes.txt",
    "/session",
    "/sessions",
    "/sessions/revoke-others",
    "/sessions/AAAAAAAAAAAAAAAAAAAAAA",
    "/sessions/x/revoke",
    "/password",
    "/totp",
    "/totp/confirm",
    "/totp/disable",
    "/recovery-codes",
    "/logout",
    "/api/resource",
    "/docs",
    "/openapi.json",
    "/assets/style.css",
    "/api/authz/forward-auth",
    "/api/authz/auth-request",
    "/api/authz/ext-authz",
    "/api/authz/ext-authz/",
    "/api/authz/ext-authz/orders/7",
    "//evil.example/login",
    "https://evil.example/login",
    "*",
    "evil.example:443",
];
const PIECES: &[&str] = &[
    "/",
    "//",
    "/.",
    "/..",
    "%2f",
    "%2F",
    "%2e%2e",
    "%5c",
    "\\",
    ";",
    ":",
    "@",
    "%",
    "%00",
    "%ff",
    "%zz",
    "%c3%a9",
    "{id}",
    "{*path}",
    "*",
    "evil.example",
    "https:",
    "sessions",
    "session",
    "Login",
    "revoke",
    "api",
    "assets",
];
const KINDS: &[&str] = &["application/json", "application/x-www-form-urlencoded"];
const QUERIES: &[&str] = &[
    "next=/orders",
    "next=%2Forders%3Fpage%3D2",
    "next=//evil.example",
    "next=https://evil.example",
    "level=aal1",
    "next=/orders&next=/account",
];
const QUERY_PIECES: &[&str] = &[
    "next=",
    "next",
    "&",
    "=",
    "/",
    "//",
    "\\",
    "%2f",
    "%5c",
    "%09",
    "%0d%0a",
    "%00",
    "%ff",
    "https:",
    "https://",
    "evil.example",
    "@",
    "?",
    "+",
    ";",
    "javascript:",
    "/orders",
];

fn one_of(texts: &'static [&'static str]) -> impl Strategy<Value = String> {
    select(texts).prop_map(str::to_owned)
}

/// Every route, as it is written where it is made.
fn routes() -> &'static BTreeSet<String> {
    static ROUTES: OnceLock<BTreeSet<String>> = OnceLock::new();
    ROUTES.get_or_init(|| {
        let described = contract::of_the_code();
        let described = described["paths"].as_object().unwrap().keys().cloned();
        // Proxies that add the path of `/` to the guard's.
        let bare = ["/api/authz/ext-authz/"].map(str::to_owned);
        described.chain(NOT_IN_CONTRACT.map(str::to_owned)).chain(bare).collect()
    })
}

/// Whether a path is one of this route's, as a strict reader reads it: what isn't in braces as it is, byte for byte.
fn is_of(route: &str, path: &str) -> bool {
    if let Some(before) = route.strip_suffix("{*path}") {
        return path.strip_prefix(before).is_some_and(|rest| !rest.is_empty());
    }
    let (wanted, given): (Vec<_>, Vec<_>) = (route.split('/').collect(), path.split('/').collect());
    let is_there = |(wanted, given): (&&str, &&str)| {
        if wanted.starts_with('{') { !given.is_empty() } else { wanted == given }
    };
    wanted.len() == given.len() && wanted.iter().zip(&given).all(is_there)
}

/// Where a browser goes that asked for this path and was sent on.
fn destination(path: &str, location: &str) -> Url {
    let mut here: Url = ORIGIN.parse().unwrap();
    here.set_path(path);
    here.join(location).unwrap()
}

properties! {
    config(), trial;

    #[test]
    fn any_path_is_answered_and_nobody_is_let_in_or_sent_away_by_it(
        method in prop_oneof![14 => one_of(METHODS), 1 => "[A-Za-z-]{1,9}"],
        path in prop_oneof![one_of(WHOLE), near(one_of(WHOLE), PIECES)],
        query in option::of(near(one_of(QUERIES), QUERY_PIECES)),
        (accepted, kind) in (option::of(Just("text/html")), option::of(select(KINDS))),
        is_logged_in in prop::bool::weighted(0.2),
    ) {
        let target = query.map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
        // What is no target of a request doesn't get past the server.
        let Ok(uri) = target.parse::<Uri>() else { return Ok(()) };
        let headers: Vec<_> = [(header::ACCEPT, accepted), (header::CONTENT_TYPE, kind)]
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?.as_bytes())))
            .collect();
        let answer = match is_logged_in {
            true => sent_by(newcomer(), &method, &target, &headers, b""),
            false => sent(&method, &target, &headers, b""),
        };
        let status = answer.status.as_u16();
        if method == "HEAD" {
            prop_assert!(status < 500 && answer.body.is_empty(), "{}: {}", target, status);
        } else {
            is_answered(&answer)?;
        }
        let route = routes().iter().find(|route| is_of(route, uri.path()));
        // Where forms of the list of sessions are sent to, browsers that only read are led to the list.
        let is_led = status == 303 && uri.path().starts_with("/sessions/");
        prop_assert!(route.is_some() || status == 404 || is_led, "{} {}: {}", method, target, status);
        if answer.status.is_success() && !is_logged_in {
            let is_read = ["GET", "HEAD"].contains(&method.as_str());
            let open = if is_read { &READ_BY_ANYBODY[..] } else { &SENT_BY_ANYBODY[..] };
            prop_assert!(open.contains(&route.unwrap().as_str()), "{} {}: {}", method, target, status);
        }
        if answer.status.is_redirection() {
            let reached = destination(uri.path(), answer.header("location"));
            prop_assert_eq!(reached.origin().ascii_serialization(), ORIGIN, "{} {}: {}", method, target, reached);
        }
        if route.is_some() && status != 404 && status != 405 {
            trial.accept();
        }
    }
}

properties! {
    config_for_requests(), trial;

    #[test]
    fn whoever_is_logged_in_is_sent_back_to_our_own_origin_at_most(
        query in prop_oneof![one_of(QUERIES), near(one_of(QUERIES), QUERY_PIECES)],
        path in select(&["/login", "/register"][..]),
    ) {
        let target = format!("{path}?{query}");
        if target.parse::<Uri>().is_err() {
            return Ok(());
        }
        let answer = sent_by(shared().somebody.clone(), "GET", &target, &[], b"").expect(303);
        let location = answer.header("location");
        let reached = destination(path, location);
        prop_assert_eq!(reached.origin().ascii_serialization(), ORIGIN, "{}: {}", target, location);
        if location.starts_with("/orders") {
            trial.accept();
        }
    }
}
