//! What browsers and proxies say of a request: where it comes from, and where it was to go.

use axum::http::{HeaderName, header};
use hallpass_core::http::reply::local_path;
use hallpass_tests::{Answer, Browser};
use proptest::{collection::vec, prelude::*, sample::select};
use url::Url;

use crate::{
    config_for_requests, header_of, in_header, near,
    served::{ORIGIN, Shared, is_answered, sent, sent_by, shared},
};

const SITES: &[&str] = &[
    "same-origin",
    "same-origin",
    "same-origin",
    "none",
    "same-site",
    "cross-site",
    "Same-Origin",
    "same-origin, cross-site",
    "",
];
const ORIGINS: &[&str] = &[
    "https://login.example.org",
    "https://login.example.org",
    "https://login.example.org",
    "https://login.example.org:443",
    "https://login.example.org.evil.example",
    "http://login.example.org",
    "https://evil.example",
    "null",
    "",
];
const SAFE: [&str; 4] = ["GET", "HEAD", "OPTIONS", "TRACE"];
const METHODS: &[&str] =
    &["GET", "HEAD", "OPTIONS", "TRACE", "POST", "POST", "DELETE", "PUT", "get", "GET, POST", "PURGE", ""];
const SCHEMES: &[&str] = &["https", "http", "HTTPS", ":", "//", ",", "\t", "javascript"];
const HOSTS: &[&str] =
    &["login.example.org", ".evil.example", ":443", ":8443", "@", "#", "/", "?", "\\", ",", "\t", "%2e"];
const PATHS: &[&str] = &["/orders", "//", "\\", "https:", "@evil.example", "?", "#", "%", "&next=", "..", "\t", "%0a"];

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const X_FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");

pub(crate) type Lines = Vec<Vec<u8>>;

/// A header that is there, or not, or twice.
fn lines(values: &'static [&'static str]) -> impl Strategy<Value = Lines> {
    let line = || prop_oneof![4 => select(values).prop_map(|value| value.as_bytes().to_vec()), 1 => header_of(values)];
    prop_oneof![1 => Just(vec![]), 2 => line().prop_map(|line| vec![line]), 1 => vec(line(), 0..3)]
}

/// A header that is there once and as it should be, or nearly so.
fn told(whole: &'static str, pieces: &'static [&'static str]) -> impl Strategy<Value = Lines> {
    let line = || near(whole, pieces).prop_map(in_header);
    prop_oneof![
        4 => whole.prop_map(|line| vec![line.into_bytes()]),
        2 => line().prop_map(|line| vec![line]),
        1 => vec(line(), 0..3),
    ]
}

pub(crate) fn named(name: HeaderName, lines: &Lines) -> impl Iterator<Item = (HeaderName, &[u8])> {
    lines.iter().map(move |line| (name.clone(), line.as_slice()))
}

/// Whether no other site is behind it, as a strict reader reads what a browser says: of two lines it believes none.
fn is_ours(sites: &Lines, origins: &Lines) -> bool {
    match (sites.as_slice(), origins.as_slice()) {
        ([], []) => true,
        ([], [origin]) => origin == ORIGIN.as_bytes(),
        ([site], _) => [b"same-origin".as_slice(), b"none"].contains(&site.as_slice()),
        _ => false,
    }
}

fn asked_by(browser: Browser, headers: &[(HeaderName, &[u8])]) -> Answer {
    sent_by(browser, "GET", "/api/authz/forward-auth", headers, b"")
}

properties! {
    config_for_requests(), trial;

    #[test]
    fn what_another_site_may_be_behind_changes_nothing(sites in lines(SITES), origins in lines(ORIGINS)) {
        let form = (header::CONTENT_TYPE, &b"application/x-www-form-urlencoded"[..]);
        let said = named(SEC_FETCH_SITE, &sites).chain(named(header::ORIGIN, &origins));
        let answer = sent("POST", "/language", &said.chain([form]).collect::<Vec<_>>(), b"language=en");
        is_answered(&answer)?;
        prop_assert_eq!(answer.status.as_u16(), if is_ours(&sites, &origins) { 303 } else { 403 });
        if answer.status == 303 && !(sites.is_empty() && origins.is_empty()) {
            trial.accept();
        }
    }

    #[test]
    fn what_another_site_may_be_behind_passes_only_to_be_read(
        methods in lines(METHODS),
        sites in lines(SITES),
        origins in lines(ORIGINS),
    ) {
        let said = named(SEC_FETCH_SITE, &sites).chain(named(header::ORIGIN, &origins));
        let headers: Vec<_> = said.chain(named(X_FORWARDED_METHOD, &methods)).collect();
        let answer = asked_by(shared().somebody.clone(), &headers);
        is_answered(&answer)?;
        let is_read = methods.iter().all(|method| SAFE.iter().any(|safe| safe.as_bytes() == method));
        let passes = is_read || is_ours(&sites, &origins);
        prop_assert_eq!(answer.status.as_u16(), if passes { 200 } else { 403 });
        prop_assert_eq!(answer.headers.contains_key("x-hallpass-user-id"), passes);
        if passes && !is_read {
            trial.accept();
        }
    }

    #[test]
    fn a_browser_without_a_session_is_sent_to_our_login_page_and_from_there_to_our_own_origin_at_most(
        schemes in told("https", SCHEMES),
        hosts in told("login\\.example\\.org(:443)?", HOSTS),
        paths in told("(/[a-z]{1,6}){1,3}(\\?[a-z]=([a-z]|%26){1,3})?", PATHS),
        is_trusted in prop::bool::weighted(0.8),
    ) {
        let Shared { world, .. } = shared();
        let browser = if is_trusted { world.browser_at([10, 0, 0, 1].into()) } else { world.browser() };
        let told = named(X_FORWARDED_PROTO, &schemes).chain(named(X_FORWARDED_HOST, &hosts));
        let told = told.chain(named(X_FORWARDED_URI, &paths)).chain([(header::ACCEPT, &b"text/html"[..])]);
        let answer = asked_by(browser, &told.collect::<Vec<_>>()).expect(302);
        let location: Url = answer.header("location").parse().unwrap();
        prop_assert_eq!((location.origin().ascii_serialization(), location.path()), (ORIGIN.to_owned(), "/login"));
        let way_back: Vec<_> = location.query_pairs().collect();
        let expected = way_back_of(&schemes, &hosts, &paths).filter(|_| is_trusted);
        prop_assert_eq!(way_back, Vec::from_iter(expected.map(|path| ("next".into(), path.into()))));
        expected.iter().for_each(|_| trial.accept());
    }
}

/// The way back, as a strict reader reads what the proxy says: each header once, and our origin in any case of letters.
fn way_back_of<'a>(schemes: &Lines, hosts: &Lines, paths: &'a Lines) -> Option<&'a str> {
    let ([scheme], [host], [path]) = (schemes.as_slice(), hosts.as_slice(), paths.as_slice()) else {
        return None;
    };
    let host = host.to_ascii_lowercase();
    let is_ours = scheme.eq_ignore_ascii_case(b"https")
        && [&b"login.example.org"[..], b"login.example.org:443"].contains(&host.as_slice());
    std::str::from_utf8(path).ok().filter(|_| is_ours).and_then(local_path)
}
