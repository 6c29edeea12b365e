//! Which language a reader gets: the one they chose, else the one their browser asks for.

use axum::http::{HeaderMap, HeaderValue, header};

use super::words::{LANGUAGES, Words};
use crate::http::cookies::Cookie;

/// A language that the pages speak.
#[derive(Clone, Copy)]
pub struct Language(&'static Words);

/// A choice is remembered for a year.
const CHOICE_SECONDS: i64 = 365 * 24 * 60 * 60;
/// Ranges of `Accept-Language` that are looked at; browsers send a handful.
const RANGES_MAX: usize = 16;

impl Language {
    /// The language of this tag, such as `zh-Hant`.
    #[must_use]
    pub fn of_tag(tag: &str) -> Option<Self> {
        LANGUAGES.into_iter().find(|words| words.tag == tag).map(Self)
    }

    /// The reader's choice, else what the browser asks for, else the first.
    #[must_use]
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let asked = || headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok().and_then(preferred);
        let [first, ..] = LANGUAGES;
        Cookie::Language.read(headers).and_then(Self::of_tag).or_else(asked).unwrap_or(Self(first))
    }

    pub(super) fn words(self) -> &'static Words {
        self.0
    }

    /// The `Set-Cookie` line that remembers the choice.
    #[must_use]
    pub fn cookie(self) -> Option<HeaderValue> {
        Cookie::Language.set(self.0.tag, CHOICE_SECONDS)
    }
}

/// The language that `Accept-Language` likes best (RFC 9110 12.5.4).
fn preferred(accepted: &str) -> Option<Language> {
    let ranges = accepted.split(',').take(RANGES_MAX).filter_map(|part| {
        let (range, weight) = part.split_once(';').unwrap_or((part, "q=1"));
        let weight: f32 = weight.trim().strip_prefix("q=")?.parse().ok()?;
        Some((language_of(&range.trim().to_ascii_lowercase())?, weight))
    });
    // The last of equals is the largest; people list what they like best first.
    let mut ranges: Vec<_> = ranges.filter(|(_, weight)| *weight > 0.0).collect();
    ranges.reverse();
    ranges.into_iter().max_by(|(_, one), (_, other)| one.total_cmp(other)).map(|(language, _)| language)
}

fn language_of(range: &str) -> Option<Language> {
    let covers = |known: &&str| range.strip_prefix(*known).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
    LANGUAGES.into_iter().find(|words| words.ranges.iter().any(covers)).map(Language)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_browser_gets_what_it_likes_best() {
        for (accepted, expected) in [
            ("en-GB,en;q=0.9", Some("en")),
            ("zh-TW,zh;q=0.9,en;q=0.8", Some("zh-Hant")),
            ("zh-Hant-HK", Some("zh-Hant")),
            ("de,fr;q=0.9,zh-HK;q=0.5,en;q=0.3", Some("zh-Hant")),
            ("en;q=0.5, zh;q=0.5", Some("en")),
            ("en;q=0, zh-tw;q=0.1", Some("zh-Hant")),
            ("english", None),
            ("de", None),
            ("*", None),
            (";;q=,,", None),
            ("", None),
        ] {
            assert_eq!(preferred(accepted).map(|language| language.words().tag), expected, "{accepted}");
        }
    }

    #[test]
    fn a_choice_wins_over_the_browser() {
        let mut headers = HeaderMap::new();
        assert_eq!(Language::of(&headers).words().tag, "en");
        headers.insert(header::ACCEPT_LANGUAGE, "zh-TW".parse().unwrap());
        assert_eq!(Language::of(&headers).words().tag, "zh-Hant");
        headers.insert(header::COOKIE, "__Host-language=en".parse().unwrap());
        assert_eq!(Language::of(&headers).words().tag, "en");
        headers.insert(header::COOKIE, "__Host-language=xx".parse().unwrap());
        assert_eq!(Language::of(&headers).words().tag, "zh-Hant");
    }
}
