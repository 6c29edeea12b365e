//! What proxies say of the guarded request (`X-Forwarded-…`), and how far it is believed.

use axum::http::{HeaderMap, HeaderName, Method, header};
use hallpass_core::{
    config::{PublicUrl, TrustedProxies},
    http::{accept::accepts_pages, client::Peer, origin, reply::local_path},
    pages::visit::login_with_next,
};

use crate::question::Question;

const X_FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// Whether another site is behind the guarded request, and it may change something (attack 5.31).
///
/// The method is believed from anybody: it can only make a refusal of an answer, never the other way round.
pub(crate) fn is_cross_origin(question: &Question) -> bool {
    let forwarded = question.headers.get_all(X_FORWARDED_METHOD).into_iter();
    let methods = forwarded.map(|method| Method::from_bytes(method.as_bytes()).unwrap_or(Method::POST));
    let public_url = &question.keyless.settings.public_url;
    methods
        .chain([question.method.clone()])
        .any(|method| origin::is_cross_origin(&method, &question.headers, public_url))
}

/// Whether a person's browser goes somewhere, and so can be sent to the login page instead.
///
/// `Sec-Fetch-Mode` decides, else whether a page is accepted. Clients with a token of their own know how to log in.
pub(crate) fn is_navigation(headers: &HeaderMap) -> bool {
    let is_read = text(headers, &X_FORWARDED_METHOD).is_none_or(|method| matches!(method, "GET" | "HEAD"));
    let goes_somewhere = match headers.get(SEC_FETCH_MODE) {
        Some(mode) => mode == "navigate",
        None => accepts_pages(headers),
    };
    is_read && goes_somewhere && !headers.contains_key(header::AUTHORIZATION)
}

/// The login page, with the way back if the guarded request went to our own origin: no other gets our cookie.
pub(crate) fn login_page(question: &Question) -> String {
    let settings = &question.keyless.settings;
    let way_back = way_back(question.peer, &question.headers, &settings.trusted_proxies, &settings.public_url);
    let page = way_back.map_or_else(|| "/login".to_owned(), login_with_next);
    format!("{}{page}", settings.public_url.origin())
}

/// Path and query of the guarded request, as a trusted proxy tells them, if they lead to `public_url` and stay there
/// (attack 5.29).
fn way_back<'a>(
    peer: Peer,
    headers: &'a HeaderMap,
    trusted: &TrustedProxies,
    public_url: &PublicUrl,
) -> Option<&'a str> {
    let is_trusted = peer.0.is_some_and(|peer| trusted.contains(peer.to_canonical()));
    let (scheme, host) = (text(headers, &X_FORWARDED_PROTO)?, text(headers, &X_FORWARDED_HOST)?);
    let is_ours = is_trusted && public_url.is_written_as(&format!("{scheme}://{host}"));
    text(headers, &X_FORWARDED_URI).filter(|_| is_ours).and_then(local_path)
}

/// The header's text, if it is there exactly once.
fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).into_iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "these are tests")]
mod tests {
    use super::*;

    fn map(headers: &[(&'static str, &'static str)]) -> HeaderMap {
        headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn back(peer: &str, headers: &[(&'static str, &'static str)]) -> Option<String> {
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.append(*name, value.parse().unwrap());
        }
        let peer = Peer(Some(peer.parse().unwrap()));
        let (trusted, public_url) = ("10.0.0.0/8".parse().unwrap(), "https://login.example.org".parse().unwrap());
        way_back(peer, &all, &trusted, &public_url).map(str::to_owned)
    }

    const PROTO: (&str, &str) = ("x-forwarded-proto", "https");
    const HOST: (&str, &str) = ("x-forwarded-host", "login.example.org");
    const URI: (&str, &str) = ("x-forwarded-uri", "/orders?page=2");

    #[test]
    fn the_way_back_is_a_path_of_our_own_origin_told_by_a_trusted_proxy() {
        assert_eq!(back("10.0.0.1", &[PROTO, HOST, URI]).as_deref(), Some("/orders?page=2"));
        assert_eq!(back("::ffff:10.0.0.1", &[PROTO, HOST, URI]).as_deref(), Some("/orders?page=2"));
        assert_eq!(
            back("10.0.0.1", &[PROTO, ("x-forwarded-host", "LOGIN.example.org:443"), URI]).as_deref(),
            Some("/orders?page=2")
        );
        assert_eq!(back("192.0.2.1", &[PROTO, HOST, URI]), None, "a stranger");
        assert_eq!(back("10.0.0.1", &[HOST, URI]), None, "no scheme");
        assert_eq!(back("10.0.0.1", &[("x-forwarded-proto", "http"), HOST, URI]), None, "another scheme");
        assert_eq!(back("10.0.0.1", &[PROTO, URI]), None, "no host");
        assert_eq!(back("10.0.0.1", &[PROTO, HOST, HOST, URI]), None, "two hosts");
        for host in [
            "evil.example",
            "login.example.org.evil.example",
            "login.example.org:8443",
            "login.example.org, evil.example",
            "x@login.example.org",
            "login.example.org/evil",
            "evil.example#login.example.org",
            "login.example.org/",
            "login.example.org\t",
            "",
        ] {
            assert_eq!(back("10.0.0.1", &[PROTO, ("x-forwarded-host", host), URI]), None, "{host}");
        }
    }

    #[test]
    fn a_uri_that_a_browser_could_read_as_another_host_is_no_way_back() {
        for uri in [
            "//evil.example",
            "/\\evil.example",
            "\\evil.example",
            "https://evil.example",
            "orders",
            "",
            "/\tx",
            "/a b",
        ] {
            assert_eq!(back("10.0.0.1", &[PROTO, HOST, ("x-forwarded-uri", uri)]), None, "{uri}");
        }
        assert_eq!(back("10.0.0.1", &[PROTO, HOST, URI, URI]), None);
    }

    #[test]
    fn only_a_browser_that_goes_somewhere_is_redirected() {
        for headers in [
            &[("accept", "text/html,*/*;q=0.8")][..],
            &[("sec-fetch-mode", "navigate")],
            &[("accept", "text/html"), ("x-forwarded-method", "HEAD")],
        ] {
            assert!(is_navigation(&map(headers)), "{headers:?}");
        }
        for headers in [
            &[][..],
            &[("accept", "application/json")],
            &[("accept", "*/*")],
            &[("accept", "text/html"), ("sec-fetch-mode", "cors")],
            &[("accept", "text/html"), ("x-forwarded-method", "POST")],
            &[("accept", "text/html"), ("authorization", "Bearer x")],
        ] {
            assert!(!is_navigation(&map(headers)), "{headers:?}");
        }
    }
}
