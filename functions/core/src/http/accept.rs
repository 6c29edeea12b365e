//! What a client wants to see (RFC 9110 section 12.5.1).

use axum::http::{HeaderMap, header};

/// Every spelling of a weight by which a client refuses something.
const NOUGHT: [&str; 5] = ["0", "0.", "0.0", "0.00", "0.000"];

/// Whether a page is asked for, as browsers ask: `text/html` by its name, with a weight that isn't nought.
#[must_use]
pub fn accepts_pages(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::ACCEPT).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("text/html")) && !parts.any(is_nought)
    })
}

fn is_nought(parameter: &str) -> bool {
    let weight = parameter.split_at_checked(2).filter(|(name, _)| name.eq_ignore_ascii_case("q="));
    weight.is_some_and(|(_, weight)| NOUGHT.contains(&weight))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_asked_for_by_its_name_and_a_weight_that_is_not_nought() {
        let accepts =
            |accepted: &str| accepts_pages(&HeaderMap::from_iter([(header::ACCEPT, accepted.parse().unwrap())]));
        for accepted in ["text/html", "text/html,*/*;q=0.8", "application/json, text/html;q=0.1", "Text/HTML ; Q=1"] {
            assert!(accepts(accepted), "{accepted}");
        }
        for accepted in [
            "",
            "*/*",
            "text/*",
            "application/json",
            "application/json, text/html;q=0",
            "text/html;level=1;Q=0.000",
            "text/htmlx",
            "application/x;as=text/html",
        ] {
            assert!(!accepts(accepted), "{accepted}");
        }
    }
}
