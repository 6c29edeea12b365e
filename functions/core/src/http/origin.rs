//! Refuses state changes that another site caused (ASVS 5.0 3.5.1).

use axum::http::{HeaderMap, HeaderName, Method, header};

use super::authenticated::bearer;
use crate::config::PublicUrl;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a browser says that another site is behind this request.
///
/// `Sec-Fetch-Site` decides, else `Origin`; a client that sends neither is no browser. Bearer tokens aren't sent by
/// browsers on their own, so they are exempt.
#[must_use]
pub fn is_cross_origin(method: &Method, headers: &HeaderMap, public_url: &PublicUrl) -> bool {
    if method.is_safe() || matches!(bearer(headers), Ok(Some(_))) {
        return false;
    }
    match only(headers, SEC_FETCH_SITE) {
        Some(site) => !matches!(site, Some(b"same-origin" | b"none")),
        None => only(headers, header::ORIGIN).is_some_and(|origin| origin != Some(public_url.origin().as_bytes())),
    }
}

/// The header's value; `Some(None)` if it is there more than once.
fn only(headers: &HeaderMap, name: HeaderName) -> Option<Option<&[u8]>> {
    let mut values = headers.get_all(name).into_iter().map(|value| value.as_bytes());
    let value = values.next()?;
    Some(values.next().is_none().then_some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(method: Method, headers: &[(&str, &str)]) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        is_cross_origin(&method, &map, &"https://login.example.org".parse().unwrap())
    }

    #[test]
    fn requests_of_our_own_pages_and_of_no_browsers_are_not_cross_origin() {
        for headers in [
            &[][..],
            &[("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none")],
            &[("origin", "https://login.example.org")],
        ] {
            assert!(!refused(Method::POST, headers), "{headers:?}");
        }
    }

    #[test]
    fn other_sites_are_refused() {
        for headers in [
            &[("sec-fetch-site", "cross-site")][..],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "")],
            &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "cross-site"), ("origin", "https://login.example.org")],
            &[("origin", "null")],
            &[("origin", "http://login.example.org")],
            &[("origin", "https://login.example.org:8443")],
            &[("origin", "https://login.example.org.evil.example")],
            &[("origin", "https://evil.example"), ("authorization", "Basic YTpi")],
        ] {
            for method in [Method::POST, Method::DELETE, Method::PUT] {
                assert!(refused(method, headers), "{headers:?}");
            }
        }
    }

    #[test]
    fn reading_and_bearer_requests_are_exempt() {
        assert!(!refused(Method::GET, &[("sec-fetch-site", "cross-site")]));
        assert!(!refused(Method::POST, &[("sec-fetch-site", "cross-site"), ("authorization", "Bearer abc")]));
    }
}
