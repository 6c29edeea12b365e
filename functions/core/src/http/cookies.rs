//! The cookies: read exactly, written with one set of attributes.

use axum::http::{HeaderMap, HeaderValue, header};

/// The cookies there are; each is `__Host-`, `Secure`, `HttpOnly`, `Path=/`, without a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cookie {
    /// Opens a session.
    Session,
    /// Opens a pending login.
    Login,
    /// Marks a device that has logged in before.
    Device,
    /// Names the language that the reader chose.
    Language,
    /// Names what the next page says first.
    Notice,
}

impl Cookie {
    fn name(self) -> &'static str {
        match self {
            Self::Session => "__Host-session",
            Self::Login => "__Host-login",
            Self::Device => "__Host-device",
            Self::Language => "__Host-language",
            Self::Notice => "__Host-notice",
        }
    }

    /// A link from elsewhere should find the user logged in, and their language; the others are only for our own forms.
    fn same_site(self) -> &'static str {
        match self {
            Self::Session | Self::Language => "Lax",
            Self::Login | Self::Device | Self::Notice => "Strict",
        }
    }

    /// The cookie's value, if it was sent exactly once under exactly its name.
    ///
    /// Two of one name mean that somebody planted one (attack 5.30); neither is believed. Only ASCII space and tab
    /// are trimmed, so no Unicode space makes another name look like this one.
    #[must_use]
    pub fn read(self, headers: &HeaderMap) -> Option<&str> {
        let mut values = self.values(headers);
        let value = values.next()?;
        values.next().is_none().then(|| std::str::from_utf8(value).ok())?
    }

    /// Whether the cookie was sent at all, once or more often.
    #[must_use]
    pub(crate) fn is_sent(self, headers: &HeaderMap) -> bool {
        self.values(headers).next().is_some()
    }

    fn values(self, headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
        let lines = headers.get_all(header::COOKIE).into_iter().map(HeaderValue::as_bytes);
        let pairs = lines.flat_map(|line| line.split(|byte| *byte == b';')).map(<[u8]>::trim_ascii);
        pairs.filter_map(move |pair| pair.strip_prefix(self.name().as_bytes())?.strip_prefix(b"="))
    }

    /// The `Set-Cookie` line that hands out `value` for so many seconds.
    pub(crate) fn set(self, value: &str, max_age_seconds: i64) -> Option<HeaderValue> {
        let line = format!(
            "{}={value}; Path=/; Max-Age={max_age_seconds}; Secure; HttpOnly; SameSite={}",
            self.name(),
            self.same_site()
        );
        let mut line = HeaderValue::from_str(&line).ok()?;
        line.set_sensitive(true);
        Some(line)
    }

    /// The `Set-Cookie` line that takes the cookie back.
    pub(crate) fn clear(self) -> Option<HeaderValue> {
        self.set("", 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&[u8]]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::COOKIE, HeaderValue::from_bytes(line).unwrap());
        }
        Cookie::Session.read(&headers).map(str::to_owned)
    }

    #[test]
    fn the_exact_name_once_is_read() {
        assert_eq!(read(&[b"a=b; __Host-session=abc; c=d"]).as_deref(), Some("abc"));
        assert_eq!(read(&[b"a=b", b"__Host-session=abc"]).as_deref(), Some("abc"));
        assert_eq!(read(&[b"__Host-session="]).as_deref(), Some(""));
    }

    #[test]
    fn two_of_one_name_are_none() {
        assert_eq!(read(&[b"__Host-session=abc; __Host-session=abc"]), None);
        assert_eq!(read(&[b"__Host-session=abc", b"__Host-session=def"]), None);
    }

    #[test]
    fn look_alikes_are_not_read() {
        for line in [
            "__host-session=x",
            "__HOST-session=x",
            "Host__session=x",
            "__Host-session2=x",
            "x__Host-session=x",
            "=__Host-session=x",
            "__Host-session",
            "__Host-session =x",
            "$Version=1, __Host-session=x",
            "[Host-session=x",
            "\u{2000}__Host-session=x",
            "\u{a0}__Host-session=x",
        ] {
            assert_eq!(read(&[line.as_bytes()]), None, "{line:?}");
        }
        assert_eq!(read(&[b"__Host-session=\xff"]), None);
    }

    #[test]
    fn every_cookie_is_host_bound_secure_and_hidden_from_scripts() {
        for (cookie, same_site) in [
            (Cookie::Session, "Lax"),
            (Cookie::Login, "Strict"),
            (Cookie::Device, "Strict"),
            (Cookie::Language, "Lax"),
            (Cookie::Notice, "Strict"),
        ] {
            let line = cookie.set("value", 60).unwrap();
            let line = line.to_str().unwrap();
            let attributes = format!("; Path=/; Max-Age=60; Secure; HttpOnly; SameSite={same_site}");
            assert!(line.starts_with("__Host-") && line.ends_with(&attributes) && !line.contains("Domain"), "{line}");
        }
    }
}
