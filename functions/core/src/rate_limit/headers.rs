//! `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-11) as structured fields (RFC 9651).
//!
//! Only limits by client address are told: a count per account would tell which accounts exist.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::{
    log::Standing,
    policy::{Policy, Window},
};
use crate::config::Function;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Adds both fields: every window of the policy, and the one that is nearest to refusing.
pub(crate) fn stamp(headers: &mut HeaderMap, function: Function, policy: &Policy, standing: &Standing) {
    let name = |window: Window| policy_name(function, policy, window);
    let policies: Vec<String> = policy
        .windows()
        .iter()
        .map(|window| format!("\"{}\";q={};w={}", name(*window), window.quota, window.seconds))
        .collect();
    let limit =
        format!("\"{}\";r={};t={}", name(standing.window), standing.remaining, seconds_up(standing.reset_millis));
    for (header, value) in [(POLICY, policies.join(", ")), (LIMIT, limit)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(header, value);
        }
    }
}

/// The function's name; with its window's where a policy has several.
fn policy_name(function: Function, policy: &Policy, window: Window) -> String {
    match policy.windows() {
        [_] => function.name().to_owned(),
        _ => format!("{}-{}", function.name(), window.label()),
    }
}

/// Whole seconds, rounded up, never 0: a retry after them is admitted.
pub(crate) fn seconds_up(millis: i64) -> i64 {
    let whole = millis / 1000;
    let rest = i64::from(millis % 1000 > 0);
    whole.saturating_add(rest).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamped(policy: &str, standing: Standing) -> (String, String) {
        let mut headers = HeaderMap::new();
        stamp(&mut headers, Function::Login, &policy.parse().unwrap(), &standing);
        let text = |name: &HeaderName| headers[name].to_str().unwrap().to_owned();
        (text(&POLICY), text(&LIMIT))
    }

    #[test]
    fn one_window_is_named_as_its_function() {
        let window = Window { quota: 10, seconds: 60 };
        let (policy, limit) = stamped("10 per minute", Standing { window, remaining: 7, reset_millis: 41_001 });
        assert_eq!((policy.as_str(), limit.as_str()), (r#""login";q=10;w=60"#, r#""login";r=7;t=42"#));
    }

    #[test]
    fn several_windows_are_told_apart() {
        let window = Window { quota: 100, seconds: 86_400 };
        let (policy, limit) = stamped("10 per minute; 100 per day", Standing { window, remaining: 0, reset_millis: 1 });
        assert_eq!(policy, r#""login-minute";q=10;w=60, "login-day";q=100;w=86400"#);
        assert_eq!(limit, r#""login-day";r=0;t=1"#);
    }
}
