//! Refusals: people see a page, programs a problem document.

use axum::http::header;
use proptest::{collection::vec, prelude::*, sample::select};

use crate::{
    config_for_requests, in_header, near,
    origins::{Lines, named},
    requests::{TYPES, is_taken},
    served::{ORIGIN, is_answered, sent},
};

/// What is refused to whoever has no session, and what isn't there.
const REFUSED: &[&str] = &["/session", "/sessions", "/nothing", "/apis", "/api/authz/forward-auth", "/api/nothing"];
const ACCEPTED: &[&str] = &[
    "text/html",
    "text/html;q=0.8",
    "text/html;q=0",
    "TEXT/HTML",
    "text/htmlx",
    "text/*",
    "*/*",
    "*/*;q=0.1",
    "application/json",
    "application/x;as=text/html",
    ",",
    ", ",
    ";",
    "q=0.000",
    " ",
    "\t",
    "\u{e9}",
    "\"",
    "\\",
    ";as=\"",
];
const WRITTEN: &str = "text/html(, ?application/xhtml\\+xml)?(, ?application/xml;q=0\\.9)?(, ?\\*/\\*;q=0\\.8)?|\
    application/json(, ?text/html(;q=0\\.[0-9])?)?";

fn accepted() -> impl Strategy<Value = Lines> {
    let line = || near(WRITTEN, ACCEPTED).prop_map(in_header);
    prop_oneof![
        2 => WRITTEN.prop_map(|line| vec![line.into_bytes()]),
        4 => line().prop_map(|line| vec![line]),
        1 => vec(line(), 0..3),
    ]
}

/// Another word for each quoted string; the last may have no end.
fn without_quoted(line: &str) -> String {
    let Some((before, quoted)) = line.split_once('"') else { return line.to_owned() };
    let mut rest = quoted.chars();
    while rest.find(|character| ['"', '\\'].contains(character)) == Some('\\') {
        rest.next();
    }
    format!("{before}quoted{}", without_quoted(rest.as_str()))
}

/// Whether a page is asked for, as a strict reader reads it: by its name, with a weight that isn't nought.
fn accepts_a_page(lines: &Lines) -> bool {
    let texts = lines.iter().filter(|line| line.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~')));
    let ranges = texts.flat_map(|line| {
        let line = without_quoted(&String::from_utf8(line.to_ascii_lowercase()).unwrap());
        line.split(',').map(str::to_owned).collect::<Vec<_>>()
    });
    let asks_for_one = |range: String| {
        let mut parts = range.split(';').map(str::trim);
        let is_nought = |weight: &str| ["q=0", "q=0.", "q=0.0", "q=0.00", "q=0.000"].contains(&weight);
        parts.next() == Some("text/html") && !parts.any(is_nought)
    };
    ranges.into_iter().any(asks_for_one)
}

/// A type in one line that a form has, in one spelling but for the charset's.
fn is_form(types: &Lines) -> bool {
    is_taken(types) && types[0].starts_with(b"application/x-www-form-urlencoded")
}

properties! {
    config_for_requests(), trial;

    #[test]
    fn a_refusal_is_a_page_for_whoever_sends_a_form_or_goes_there_and_a_document_for_programs(
        method in select(&["GET", "GET", "GET", "HEAD", "POST", "DELETE"][..]),
        path in select(REFUSED),
        accepted in accepted(),
        types in prop_oneof![
            3 => Just(vec![]),
            1 => Just(vec![b"application/x-www-form-urlencoded".to_vec()]),
            1 => near("application/(json|x-www-form-urlencoded)", TYPES).prop_map(|line| vec![in_header(line)]),
        ],
    ) {
        let said = named(header::ACCEPT, &accepted).chain(named(header::CONTENT_TYPE, &types));
        let answer = sent(method, path, &said.collect::<Vec<_>>(), b"");
        let goes_there = ["GET", "HEAD"].contains(&method) && accepts_a_page(&accepted);
        if path == "/api/authz/forward-auth" && accepts_a_page(&accepted) {
            // A proxy's question, with the headers of the request that it asks about.
            prop_assert_eq!((answer.status.as_u16(), answer.header("location")), (302, &*format!("{ORIGIN}/login")));
            return Ok(());
        }
        let expected = match !path.starts_with("/api/") && (is_form(&types) || goes_there) {
            true => "text/html; charset=utf-8",
            false => "application/problem+json",
        };
        prop_assert_eq!(answer.header("content-type"), expected, "{} {}: {}", method, path, answer.status);
        if method != "HEAD" {
            is_answered(&answer)?;
        }
        if goes_there && !path.starts_with("/api/") {
            trial.accept();
        }
    }
}
