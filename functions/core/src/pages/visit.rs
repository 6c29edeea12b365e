//! A reader on their way through the pages: which page, in which language, and what surrounds every page.

use askama::Template;
use axum::{
    extract::{FromRef, FromRequestParts},
    http::{HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::{
    Pages,
    form::Form,
    language::Language,
    notice::Notice,
    words::{LANGUAGES, Words},
};
use crate::{
    app::Keyless,
    http::{
        cookies::Cookie,
        problem::Problem,
        reply::{local_path, see_other, with_cookies},
    },
};

/// A reader of a page. Each method that is named for a page shows it.
pub struct Visit {
    pub(super) pages: Pages,
    pub(super) words: &'static Words,
    /// Path and query of the page; for a form, of the page that holds it.
    here: String,
    next: Option<String>,
    notice: Option<Notice>,
}

/// What surrounds every page.
pub(super) struct Frame<'a> {
    pub(super) name: &'a str,
    pub(super) logo: &'a str,
    pub(super) style: &'a str,
    pub(super) script: &'a str,
    pub(super) icon: &'a str,
    /// The user's name, when logged in.
    pub(super) user: Option<&'a str>,
    pub(super) here: &'a str,
    pub(super) notice: Option<&'static str>,
    pub(super) is_insecure: bool,
    pub(super) languages: [&'static Words; LANGUAGES.len()],
    /// Pages that can't be shown twice have no switch.
    pub(super) has_switch: bool,
}

#[derive(Deserialize)]
struct Query {
    next: Option<String>,
}

/// The page is of its own origin: other windows can't reach it, other sites can't load it.
const ISOLATION: [(HeaderName, HeaderValue); 2] = [
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];

impl Visit {
    pub(super) fn new(parts: &Parts, pages: Pages) -> Self {
        let is_page = parts.method.is_safe();
        let path = parts.uri.path();
        let here =
            if is_page { parts.uri.path_and_query().map_or(path, |uri| uri.as_str()) } else { Form::of(path).page() };
        let query = parts.uri.query().and_then(|query| serde_html_form::from_str::<Query>(query).ok());
        Self {
            pages,
            words: Language::of(&parts.headers).words(),
            here: local_path(here).unwrap_or("/").to_owned(),
            next: query.and_then(|query| query.next).filter(|next| local_path(next).is_some()),
            notice: if is_page { Notice::read(&parts.headers) } else { None },
        }
    }

    /// Path and query of the page.
    pub(super) fn here(&self) -> &str {
        &self.here
    }

    /// Where the reader wants to go on to after logging in; a path of ours.
    pub(super) fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }

    /// Sends a reader who is logged in on to where they wanted to go.
    #[must_use]
    pub fn to_next(&self) -> Response {
        see_other(StatusCode::NO_CONTENT.into_response(), self.next().unwrap_or("/account"))
    }

    /// Sends a reader without a session to log in, and back here afterwards.
    #[must_use]
    pub fn to_login(&self) -> Response {
        see_other(StatusCode::NO_CONTENT.into_response(), &login_with_next(&self.here))
    }

    /// Sends a reader without a pending login to the password.
    #[must_use]
    pub fn to_start(&self) -> Response {
        see_other(StatusCode::NO_CONTENT.into_response(), "/login")
    }

    /// The page that `here` is from now on, and where it goes on to.
    pub(super) fn at(mut self, here: &str, next: Option<&str>) -> Self {
        self.here = next.map_or_else(|| here.to_owned(), |next| with_next(here, next));
        self.next = next.map(str::to_owned);
        self
    }

    pub(super) fn frame<'a>(&'a self, user: Option<&'a str>) -> Frame<'a> {
        let common = &self.pages.0;
        Frame {
            name: &common.name,
            logo: common.logo.as_deref().unwrap_or(&common.assets.icon.path),
            style: &common.assets.style.path,
            script: &common.assets.script.path,
            icon: &common.assets.icon.path,
            user,
            here: &self.here,
            notice: self.notice.map(|notice| notice.text(self.words)),
            is_insecure: common.is_insecure,
            languages: LANGUAGES,
            has_switch: true,
        }
    }

    pub(super) fn password_hint(&self) -> String {
        (self.words.password_hint)(self.pages.0.password_min_chars)
    }

    /// The answer that shows a page.
    pub(super) fn show(&self, status: StatusCode, page: &impl Template) -> Response {
        let Ok(html) = page.render() else {
            return Problem::internal().into_response();
        };
        let headers = [
            // Told to ourselves: without a referrer browsers call a form's origin `null`, and those that don't send
            // Sec-Fetch-Site would be refused.
            (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
            (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
            (header::CONTENT_SECURITY_POLICY, self.pages.0.policy.clone()),
            (header::CONTENT_LANGUAGE, HeaderValue::from_static(self.words.tag)),
        ];
        let response = (status, headers, ISOLATION, html).into_response();
        match self.notice {
            Some(_) => with_cookies(response, [Cookie::Notice.clear()]),
            None => response,
        }
    }
}

/// What a query's value may hold as it is.
const IN_QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The login page that leads on to `next`, a path of ours.
#[must_use]
pub fn login_with_next(next: &str) -> String {
    with_next("/login", next)
}

/// A page of ours that leads on to `next`.
pub(super) fn with_next(page: &str, next: &str) -> String {
    let next = utf8_percent_encode(next, IN_QUERY);
    format!("{page}?next={next}")
}

impl<S> FromRequestParts<S> for Visit
where
    S: Send + Sync,
    Keyless: FromRef<S>,
{
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::new(parts, Keyless::from_ref(state).pages.clone()))
    }
}
