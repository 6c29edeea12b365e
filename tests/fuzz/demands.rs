//! What a proxy demands of the guard for the API behind it.

use axum::http::HeaderName;
use proptest::{option, prelude::*};
use url::form_urlencoded;

use crate::{
    config_for_requests, header_of, list_of,
    served::{Shared, is_answered, sent_by, shared},
    text_of,
};

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

properties! {
    config_for_requests(), trial;

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
}
