//! `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-11) as structured fields (RFC 9651).
//!
//! Only limits by client address are told: a count per account would tell which accounts exist.

use std::fmt::{self, Write};

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::{limiter::Charged, log::Standing, policy::Window};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Room for most fields.
const USUAL_BYTES: usize = 64;

/// Adds both fields: every window of every policy that was charged, and the one window that is nearest to refusing.
/// Nothing where nothing was charged.
pub fn stamp(headers: &mut HeaderMap, charges: &[Charged]) {
    let nearest = charges.iter().min_by_key(|charged| charged.standing.remaining);
    let Some(nearest) = nearest else {
        return;
    };
    for (header, text) in [(POLICY, policies(charges)), (LIMIT, left(nearest))] {
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(header, value);
        }
    }
}

fn policies(charges: &[Charged]) -> String {
    let windows =
        charges.iter().flat_map(|charged| charged.policy.windows().iter().map(move |window| (charged, window)));
    let mut list = String::with_capacity(USUAL_BYTES);
    for (charged, window) in windows {
        let separator = if list.is_empty() { "" } else { ", " };
        let Window { quota, seconds } = window;
        // Writing to a string can't fail.
        let _ = write!(list, "{separator}\"{}\";q={quota};w={seconds}", WindowName(charged, *window));
    }
    list
}

fn left(charged: &Charged) -> String {
    let Standing { window, remaining, reset_millis, full: _ } = charged.standing;
    // Permits that are bought in bulk leave their window a little later than one that is spent at once would.
    let seconds = seconds_up(reset_millis).min(i64::from(window.seconds));
    let mut item = String::with_capacity(USUAL_BYTES);
    let _ = write!(item, "\"{}\";r={remaining};t={seconds}", WindowName(charged, window));
    item
}

/// The limit's name; with its window's where a policy has several.
struct WindowName<'a>(&'a Charged, Window);

impl fmt::Display for WindowName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(charged, window) = self;
        f.write_str(charged.name.as_str())?;
        match charged.policy.windows() {
            [_] => Ok(()),
            _ => write!(f, "-{}", window.label()),
        }
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
    use super::{super::log::Full, *};
    use crate::{config::Function, rate_limit::named::LimitName};

    fn charged(name: LimitName, policy: &str, standing: Standing) -> Charged {
        Charged { name, policy: std::sync::Arc::new(policy.parse().unwrap()), standing, full: Vec::new() }
    }

    fn fields(charges: &[Charged]) -> (String, String) {
        let mut headers = HeaderMap::new();
        stamp(&mut headers, charges);
        let text = |name: &HeaderName| headers[name].to_str().unwrap().to_owned();
        (text(&POLICY), text(&LIMIT))
    }

    fn stamped(policy: &str, standing: Standing) -> (String, String) {
        fields(&[charged(LimitName::Function(Function::Login), policy, standing)])
    }

    #[test]
    fn of_two_limits_both_policies_are_told_and_what_is_left_of_the_nearer() {
        let window = |quota| Window { quota, seconds: 60 };
        let orders = LimitName::Named("orders".parse().unwrap());
        let (policy, limit) = fields(&[
            charged(
                LimitName::Function(Function::Authz),
                "600 per minute",
                Standing { window: window(600), remaining: 599, reset_millis: 60_000, full: Full::default() },
            ),
            charged(
                orders,
                "5 per minute",
                Standing { window: window(5), remaining: 4, reset_millis: 60_000, full: Full::default() },
            ),
        ]);
        assert_eq!(policy, r#""authz";q=600;w=60, "orders";q=5;w=60"#);
        assert_eq!(limit, r#""orders";r=4;t=60"#);
    }

    #[test]
    fn one_window_is_named_as_its_function() {
        let window = Window { quota: 10, seconds: 60 };
        let (policy, limit) =
            stamped("10 per minute", Standing { window, remaining: 7, reset_millis: 41_001, full: Full::default() });
        assert_eq!((policy.as_str(), limit.as_str()), (r#""login";q=10;w=60"#, r#""login";r=7;t=42"#));
    }

    #[test]
    fn no_window_is_told_to_be_longer_than_its_policy() {
        let window = Window { quota: 600, seconds: 60 };
        let (_, limit) =
            stamped("600 per minute", Standing { window, remaining: 598, reset_millis: 60_300, full: Full::default() });
        assert_eq!(limit, r#""login";r=598;t=60"#);
    }

    #[test]
    fn several_windows_are_told_apart() {
        let window = Window { quota: 100, seconds: 86_400 };
        let (policy, limit) = stamped(
            "10 per minute; 100 per day",
            Standing { window, remaining: 0, reset_millis: 1, full: Full::default() },
        );
        assert_eq!(policy, r#""login-minute";q=10;w=60, "login-day";q=100;w=86400"#);
        assert_eq!(limit, r#""login-day";r=0;t=1"#);
    }
}
