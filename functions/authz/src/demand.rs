//! What a proxy demands on behalf of the API behind it: a level and limits, by query or by header.
//!
//! Demands add up: of several levels the highest counts, of several limits all do. So a client that gets a header of
//! this kind past its proxy can only make it harder for itself. What can't be read is refused, never passed over: a
//! misspelt demand must not become none.

use axum::http::{HeaderMap, HeaderName};
use hallpass_core::{
    guard::{Demand, Unreadable},
    rate_limit::named::LimitName,
    sessions::session::Level,
};
use serde::Deserialize;

const REQUIRE_LEVEL: HeaderName = HeaderName::from_static("x-hallpass-require-level");
const REQUIRE_LIMIT: HeaderName = HeaderName::from_static("x-hallpass-require-limit");

/// Lists, since an empty value of an option would be read as none.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wanted {
    level: Vec<Level>,
    limit: Vec<LimitName>,
}

/// What `query` (where it is the proxy's own) and headers demand together.
///
/// # Errors
/// [`Unreadable`] for a name or value that there isn't.
pub(crate) fn demanded(query: Option<&str>, headers: &HeaderMap) -> Result<Demand, Unreadable> {
    let mut wanted: Wanted = serde_html_form::from_str(query.unwrap_or_default()).map_err(|_| Unreadable)?;
    for level in values(headers, &REQUIRE_LEVEL) {
        wanted.level.push(level?.parse().map_err(|_| Unreadable)?);
    }
    for limit in values(headers, &REQUIRE_LIMIT) {
        wanted.limit.push(limit?.parse().map_err(|_| Unreadable)?);
    }
    wanted.limit.sort();
    wanted.limit.dedup();
    Ok(Demand { level: wanted.level.into_iter().max().unwrap_or(Level::Aal1), limits: wanted.limit })
}

/// Every value of a header that may be there several times, or once with commas, as API Gateway joins them.
fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = Result<&'a str, Unreadable>> {
    let lines = headers.get_all(name).into_iter().map(|value| value.to_str().map_err(|_| Unreadable));
    lines.flat_map(|line| match line {
        Ok(text) => text.split(',').map(|value| Ok(value.trim())).collect(),
        Err(unreadable) => vec![Err(unreadable)],
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "these are tests")]
mod tests {
    use super::*;

    fn of(query: &str, headers: &[(&'static str, &'static str)]) -> Option<(Level, String)> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let demand = demanded(Some(query), &map).ok()?;
        let limits: Vec<&str> = demand.limits.iter().map(LimitName::as_str).collect();
        Some((demand.level, limits.join(" ")))
    }

    #[test]
    fn nothing_demanded_is_one_factor_and_no_limit_of_the_apis_own() {
        assert_eq!(of("", &[]), Some((Level::Aal1, String::new())));
    }

    #[test]
    fn demands_of_query_and_header_add_up() {
        const AAL1: (&str, &str) = ("x-hallpass-require-level", "aal1");
        const AAL2: (&str, &str) = ("x-hallpass-require-level", "aal2");
        const ORDERS: (&str, &str) = ("x-hallpass-require-limit", "orders");
        for (query, headers, level, limits) in [
            ("level=aal2", &[][..], Level::Aal2, ""),
            ("level=aal2&limit=orders", &[AAL1], Level::Aal2, "orders"),
            ("level=aal1", &[AAL2], Level::Aal2, ""),
            ("level=aal2&level=aal1", &[], Level::Aal2, ""),
            ("", &[AAL1, AAL2], Level::Aal2, ""),
            ("", &[("x-hallpass-require-level", "aal2, aal1")], Level::Aal2, ""),
            ("", &[("x-hallpass-require-limit", "orders,files")], Level::Aal1, "files orders"),
            ("limit=files", &[ORDERS], Level::Aal1, "files orders"),
            ("limit=orders", &[ORDERS, ORDERS], Level::Aal1, "orders"),
            ("limit=resource", &[ORDERS], Level::Aal1, "resource orders"),
        ] {
            assert_eq!(of(query, headers), Some((level, limits.to_owned())), "{query} {headers:?}");
        }
    }

    #[test]
    fn a_demand_that_can_not_be_read_is_refused() {
        for query in
            ["level=", "level=aal3", "level=AAL2", "levle=aal2", "limit=", "limit=Or-ders", "limit=default-", "x"]
        {
            assert_eq!(of(query, &[]), None, "{query}");
        }
        for header in [
            ("x-hallpass-require-level", ""),
            ("x-hallpass-require-level", "aal1,"),
            ("x-hallpass-require-level", "aal1 aal2"),
            ("x-hallpass-require-limit", "or ders"),
            ("x-hallpass-require-limit", ""),
        ] {
            assert_eq!(of("", &[header]), None, "{header:?}");
        }
    }
}
