//! E-mail addresses: kept as given, unique without regard to case.

use std::str::FromStr;

use email_address::EmailAddress;
use url::Host;

/// An e-mail address of plain ASCII, at most 254 bytes.
///
/// Internationalized domains are given in their `xn--` form, so no two spellings of one address look alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email(EmailAddress);

/// Why a text is not an address we take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an e-mail address such as ada@example.org, in ASCII (write an international domain as xn--…)")]
pub struct EmailError;

impl Email {
    /// RFC 5321 section 4.5.3.1.3 allows 256 with the angle brackets.
    pub const MAX_BYTES: usize = 254;

    /// Reads an address as somebody typed it.
    ///
    /// # Errors
    /// [`EmailError`] when it is no plain address.
    pub fn parse(typed: &str) -> Result<Self, EmailError> {
        let typed = typed.trim();
        let plain = typed.len() <= Self::MAX_BYTES
            && typed.bytes().all(|b| b.is_ascii_graphic() && !b"\"(),:;<>[\\]".contains(&b));
        let address = plain.then(|| EmailAddress::from_str(typed).ok()).flatten().ok_or(EmailError)?;
        is_host_name(address.domain()).then_some(Self(address)).ok_or(EmailError)
    }

    /// The address as given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The form that is unique.
    #[must_use]
    pub fn folded(&self) -> String {
        self.as_str().to_ascii_lowercase()
    }
}

/// Two labels or more of letters, digits and inner hyphens, the last of them no number (RFC 1123 section 2.1).
fn is_host_name(domain: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // What follows `xn--` must stand for something, and what ends in a number is an address or nothing.
    let is_domain = || Host::parse(domain).is_ok_and(|host| host == Host::Domain(domain.to_ascii_lowercase()));
    domain.len() <= 253 && domain.contains('.') && domain.split('.').all(is_label) && is_domain()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_addresses_are_taken_and_kept_as_given() {
        for typed in ["ada@example.org", "Ada.Lovelace+x@Example.ORG", "a@xn--bcher-kva.example"] {
            assert_eq!(Email::parse(typed).unwrap().as_str(), typed);
        }
        assert_eq!(Email::parse(" Ada@Example.ORG ").unwrap().folded(), "ada@example.org");
    }

    #[test]
    fn lists_headers_and_look_alikes_are_refused() {
        for typed in [
            "",
            "ada",
            "ada@",
            "@example.org",
            "ada@localhost",
            "a@b.example,c@d.example",
            "a@b.example;c@d.example",
            "Ada <a@b.example>",
            "a@b.example\r\nBcc: c@d.example",
            "a@@b.example",
            "ada＠example.org",
            "ädä@example.org",
            "\"a b\"@c.example",
            "a@[127.0.0.1]",
            "a%0d%0a@b example",
            "a@.example",
            "a@b..example",
            "a@b.example.",
            "a@-b.example",
            "a@b-.example",
            "a@b_c.example",
            "a@b!.example",
            "a@127.0.0.1",
            "a@xn--example.org",
        ] {
            assert_eq!(Email::parse(typed), Err(EmailError), "{typed:?}");
        }
        assert_eq!(Email::parse(&format!("{}@example.org", "a".repeat(300))), Err(EmailError));
        assert_eq!(Email::parse(&format!("a@{}.org", "a".repeat(64))), Err(EmailError));
        assert!(Email::parse(&format!("a@{}.org", "a".repeat(63))).is_ok());
    }
}
