//! Pages: in which language they are, and what they say first.

use std::slice::from_ref;

use axum::http::header;
use proptest::{prelude::*, sample::select};

use crate::{
    config_for_requests,
    headers::strict_reader,
    in_header, near,
    served::{is_answered, sent},
};

const CHOICES: &[&str] =
    &["__Host-language=en", "__Host-language=zh-Hant", "__Host-language", "=", ";", "; ", "xx", "\"", "EN"];
const NOTICES: &[&str] =
    &["__Host-notice=registered", "__Host-notice=", "logged-out", ";", "; ", "=", "<script>", "\"", "REGISTERED"];
const ACCEPTED: &[&str] =
    &["en", "zh-TW", "de", "*", ",", ", ", ";q=", ";q=0.5", "0", "1", "NaN", "-", "inf", "e9", " "];
/// Ranges, and the language of ours that each is for.
const RANGES: &[(&str, Option<&str>)] = &[
    ("en", Some("en")),
    ("en-GB", Some("en")),
    ("zh", Some("zh-Hant")),
    ("zh-TW", Some("zh-Hant")),
    ("ZH-hant-hk", Some("zh-Hant")),
    ("de", None),
    ("english", None),
    ("*", None),
];
const NAMES: &[&str] =
    &["registered", "logged-out", "password-changed", "two-step-turned-off", "session-ended", "sessions-ended"];

/// What a browser asks for: ranges, each with its weight in thousandths.
type Asked = Vec<((&'static str, Option<&'static str>), u32)>;

fn asked() -> impl Strategy<Value = Asked> {
    proptest::collection::vec((select(RANGES), prop_oneof![0..=1000_u32, select(&[0, 1, 500, 1000][..])]), 0..5)
}

fn written(asked: &Asked) -> String {
    let range = |((range, _), weight): &((&str, _), u32)| format!("{range};q={}.{:03}", weight / 1000, weight % 1000);
    asked.iter().map(range).collect::<Vec<_>>().join(", ")
}

/// The language of the largest weight, the first of equals.
fn liked_best(asked: &Asked) -> &'static str {
    let known = asked.iter().filter_map(|((_, language), weight)| Some((*weight, (*language)?)));
    let weighty = known.filter(|(weight, _)| *weight > 0);
    weighty.rev().max_by_key(|(weight, _)| *weight).map_or("en", |(_, language)| language)
}

properties! {
    config_for_requests(), trial;

    #[test]
    fn a_page_is_in_the_language_that_was_chosen_or_else_is_liked_best(
        choice in near("(__Host-language=(en|zh-Hant))?", CHOICES).prop_map(in_header),
        asked in asked(),
    ) {
        let accepted = written(&asked);
        let headers = [(header::COOKIE, choice.as_slice()), (header::ACCEPT_LANGUAGE, accepted.as_bytes())];
        let answer = sent("GET", "/login", &headers, b"").expect(200);
        let chosen = strict_reader("__Host-language", from_ref(&choice));
        let chosen = chosen.filter(|tag| ["en", "zh-Hant"].contains(&tag.as_str()));
        let expected = chosen.unwrap_or_else(|| liked_best(&asked).to_owned());
        prop_assert_eq!(answer.header("content-language"), expected.as_str());
        let beginning = format!("<!doctype html>\n<html lang=\"{expected}\">");
        prop_assert!(answer.text().starts_with(&beginning));
        // English is what is shown to whoever asks for nothing.
        if expected != "en" {
            trial.accept();
        }
    }

    #[test]
    fn whatever_language_is_asked_for_a_page_is_in_one_of_ours(
        accepted in near("zh-TW(;q=0\\.[1-9])?(, ?(en|de);q=0\\.[0-9])?", ACCEPTED).prop_map(in_header),
    ) {
        let answer = sent("GET", "/login", &[(header::ACCEPT_LANGUAGE, &accepted)], b"");
        is_answered(&answer)?;
        let language = answer.header("content-language");
        prop_assert!(["en", "zh-Hant"].contains(&language), "{}", language);
        if language != "en" {
            trial.accept();
        }
    }

    #[test]
    fn a_page_begins_with_a_notice_of_ours_and_takes_it_back_or_with_none(
        cookie in near(select(NAMES).prop_map(|name| format!("__Host-notice={name}")), NOTICES).prop_map(in_header),
    ) {
        let answer = sent("GET", "/login", &[(header::COOKIE, &cookie)], b"").expect(200);
        let name = strict_reader("__Host-notice", from_ref(&cookie));
        let is_ours = name.is_some_and(|name| NAMES.contains(&name.as_str()));
        prop_assert_eq!(answer.text().contains("class=\"notice\""), is_ours);
        prop_assert_eq!(answer.headers.contains_key(header::SET_COOKIE), is_ours);
        prop_assert!(!answer.text().contains("<script>"));
        if is_ours {
            trial.accept();
        }
    }
}
