//! What a client wants to see (RFC 9110 section 12.5.1).

use axum::http::{HeaderMap, header};

/// Every spelling of a weight by which a client refuses something.
const NOUGHT: [&str; 5] = ["0", "0.", "0.0", "0.00", "0.000"];

/// Whether a page is asked for, as browsers ask: `text/html` by its name, with a weight that isn't nought, however much
/// something else would be liked better. Who wants a document doesn't name pages.
#[must_use]
pub fn accepts_pages(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::ACCEPT).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(unquoted(','))).any(|range| {
        let mut parts = range.split(unquoted(';')).map(str::trim);
        parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("text/html")) && !parts.any(is_nought)
    })
}

/// This separator where it isn't part of a quoted string (RFC 9110 section 5.6.4), of a text's characters in turn.
fn unquoted(separator: char) -> impl FnMut(char) -> bool {
    let (mut is_quoted, mut is_escaped) = (false, false);
    move |character| {
        let escapes = is_quoted && character == '\\' && !is_escaped;
        is_quoted ^= character == '"' && !is_escaped;
        is_escaped = escapes;
        character == separator && !is_quoted
    }
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
        for accepted in [
            "text/html",
            "text/html,*/*;q=0.8",
            "application/json, text/html;q=0.1",
            "Text/HTML ; Q=1",
            r#"a/b;c="\\",text/html"#,
            r#"text/html;a=";q=0""#,
        ] {
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
            r#"application/x;as="a, text/html, b""#,
            r#"application/x;as="\", text/html""#,
            r#"application/x;as="a, text/html"#,
        ] {
            assert!(!accepts(accepted), "{accepted}");
        }
    }
}
