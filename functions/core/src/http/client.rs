//! Who is asking: the address that limits count by, and what a session remembers of its client.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::problem::Problem;
use crate::config::TrustedProxies;

/// The client as a session remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Client {
    /// The client's address.
    pub address: String,
    /// What the client calls itself, of newer sessions in visible ASCII; at most 256 characters, empty if it doesn't say.
    #[serde(default)]
    #[schema(required)]
    pub user_agent: String,
}

impl Client {
    /// Longer names are cut: nothing but display depends on them.
    pub const USER_AGENT_MAX_CHARS: usize = 256;
}

/// The address of the client, whoever is in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(IpAddr);

/// The other end of the connection, as the shell saw it; `None` in a Lambda event without a source address.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub Option<IpAddr>);

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Entries of forwarding headers that are looked at, from the right.
const HOPS_MAX: usize = 32;

impl ClientAddress {
    /// The peer, or the first untrusted hop from the right when the peer is a trusted proxy.
    ///
    /// `X-Forwarded-For` is looked at before `Forwarded` (RFC 7239); a trusted proxy must write the one and drop the
    /// other. An entry that is no address ends the walk at the hop before it.
    #[must_use]
    pub fn resolve(peer: IpAddr, headers: &HeaderMap, trusted: &TrustedProxies) -> Self {
        let mut address = canonical(peer);
        for hop in hops(headers).take(HOPS_MAX) {
            if !trusted.contains(address) {
                break;
            }
            match hop {
                Some(hop) => address = canonical(hop),
                None => break,
            }
        }
        Self(address)
    }

    /// The address.
    #[must_use]
    pub fn ip(self) -> IpAddr {
        self.0
    }

    /// What limits count by: IPv4 whole, IPv6 by /64, which is the least that one customer gets.
    #[must_use]
    pub fn partition(self) -> Partition {
        Partition(self.0)
    }
}

/// The clients that share a quota (the RateLimit draft's partition key), as keys spell them.
#[derive(Debug, Clone, Copy)]
pub struct Partition(IpAddr);

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => address.fmt(f),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                write!(f, "{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        }
    }
}

/// IPv4-mapped IPv6 is IPv4, or one client would have two quotas.
fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// The hops from the nearest to the farthest; `None` for an entry that is no address.
///
/// Lines are read from the right, where our own proxy wrote: nothing that stands further left can change how that is read.
fn hops(headers: &HeaderMap) -> Box<dyn Iterator<Item = Option<IpAddr>> + '_> {
    let lines = |name: HeaderName| headers.get_all(name).into_iter().rev().map(HeaderValue::as_bytes);
    if headers.contains_key(X_FORWARDED_FOR) {
        let entries = lines(X_FORWARDED_FOR).flat_map(|line| line.rsplit(|byte| *byte == b','));
        return Box::new(entries.map(node));
    }
    Box::new(lines(header::FORWARDED).flat_map(|line| rsplit_unquoted(line, b',')).map(forwarded_for))
}

/// Whom one element of `Forwarded` is for; the last one that says so, if several do.
fn forwarded_for(element: &[u8]) -> Option<IpAddr> {
    rsplit_unquoted(element, b';').find_map(|pair| {
        let (name, value) = pair.trim_ascii().split_at_checked(4)?;
        let value = value.strip_prefix(b"\"").map_or(Some(value), |quoted| quoted.strip_suffix(b"\""));
        name.eq_ignore_ascii_case(b"for=").then(|| value.and_then(node))
    })?
}

/// Splits at `separator` from the right, but not inside of quoted strings (RFC 9110 section 5.6.4).
fn rsplit_unquoted(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let mut is_quoted = false;
        for (at, byte) in text.iter().enumerate().rev() {
            match *byte {
                b'"' if !is_escaped(text, at) => is_quoted = !is_quoted,
                byte if byte == separator && !is_quoted => {
                    let (left, right) = text.split_at(at);
                    rest = Some(left);
                    return right.get(1..);
                }
                _ => {}
            }
        }
        rest.take()
    })
}

/// Whether an odd number of backslashes stands before this byte.
fn is_escaped(text: &[u8], at: usize) -> bool {
    text.get(..at).is_some_and(|before| before.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1)
}

/// An address with or without a port: `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]`, `[2001:db8::1]:80`, `2001:db8::1`.
fn node(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text.trim_ascii()).ok()?;
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    text.parse().ok().or_else(bare).or_else(|| text.parse::<std::net::SocketAddr>().ok().map(|address| address.ip()))
}

impl<S: Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        // The shell puts it there or refuses the request.
        parts.extensions.get::<Self>().copied().ok_or_else(Problem::internal)
    }
}

impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let address = ClientAddress::from_request_parts(parts, state).await?;
        let user_agent = parts.headers.get(header::USER_AGENT).map_or(&b""[..], HeaderValue::as_bytes);
        // Shown in lists and terminals: what is not visible ASCII, as RFC 9110 wants it, could be more than a name.
        let visible = |byte: &u8| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '?' };
        Ok(Self {
            address: address.ip().to_string(),
            user_agent: user_agent.iter().take(Self::USER_AGENT_MAX_CHARS).map(visible).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn resolve(peer: &str, headers: &[(&str, &str)], trusted: &str) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        ClientAddress::resolve(peer.parse().unwrap(), &map, &trusted.parse().unwrap()).ip().to_string()
    }

    #[test]
    fn forwarding_headers_of_strangers_change_nothing() {
        for headers in [[("x-forwarded-for", "6.6.6.6")], [("forwarded", "for=6.6.6.6")], [("x-real-ip", "6.6.6.6")]] {
            assert_eq!(resolve("192.0.2.1", &headers, ""), "192.0.2.1");
            assert_eq!(resolve("192.0.2.1", &headers, "10.0.0.0/8"), "192.0.2.1");
        }
    }

    #[test]
    fn the_first_untrusted_hop_from_the_right_is_the_client() {
        let trusted = "10.0.0.0/8, 2001:db8::/32";
        for (name, value, expected) in [
            ("x-forwarded-for", "6.6.6.6, 192.0.2.7", "192.0.2.7"),
            ("x-forwarded-for", "6.6.6.6, 192.0.2.7, 10.9.9.9", "192.0.2.7"),
            ("x-forwarded-for", "192.0.2.7:4711", "192.0.2.7"),
            ("x-forwarded-for", "6.6.6.6, garbage", "10.0.0.1"),
            ("x-forwarded-for", "", "10.0.0.1"),
            ("x-forwarded-for", "10.1.1.1, 10.2.2.2", "10.1.1.1"),
            ("forwarded", "for=6.6.6.6, for=192.0.2.7;proto=https;by=10.0.0.1", "192.0.2.7"),
            ("forwarded", "for=\"[2001:dead::1]:4711\"", "2001:dead::1"),
            ("forwarded", "for=6.6.6.6, for=unknown", "10.0.0.1"),
            ("forwarded", "for=_hidden", "10.0.0.1"),
        ] {
            assert_eq!(resolve("10.0.0.1", &[(name, value)], trusted), expected, "{name}: {value}");
        }
    }

    #[test]
    fn what_a_proxy_quotes_names_nobody() {
        for (value, expected) in [
            (r#"for=192.0.2.7;host="a, for=6.6.6.6""#, "192.0.2.7"),
            (r#"for=192.0.2.7;host="a;for=6.6.6.6""#, "192.0.2.7"),
            (r#"host="a;for=6.6.6.6";for=192.0.2.7"#, "192.0.2.7"),
            (r#"for=192.0.2.7;host="a\", for=6.6.6.6""#, "192.0.2.7"),
            (r#"for=192.0.2.7;host="a\\""#, "192.0.2.7"),
            // A client that opens a quotation and never closes it.
            (r#"for="6.6.6.6, for=192.0.2.7"#, "192.0.2.7"),
            (r#"for="6.6.6.6, for="192.0.2.7:1""#, "192.0.2.7"),
        ] {
            assert_eq!(resolve("10.0.0.1", &[("forwarded", value)], "10.0.0.0/8"), expected, "{value}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_hide_nobody() {
        for (name, value) in [("forwarded", &b"for=\xff, for=192.0.2.7"[..]), ("x-forwarded-for", b"\xff, 192.0.2.7")] {
            let headers =
                HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap())]);
            let client = ClientAddress::resolve([10, 0, 0, 1].into(), &headers, &"10.0.0.0/8".parse().unwrap());
            assert_eq!(client.ip().to_string(), "192.0.2.7", "{name}");
        }
    }

    #[test]
    fn several_header_lines_are_one_list_and_the_last_counts() {
        assert_eq!(
            resolve("10.0.0.1", &[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "192.0.2.7")], "10.0.0.0/8"),
            "192.0.2.7"
        );
    }

    #[test]
    fn a_clients_own_forwarded_does_not_shadow_the_proxys_x_forwarded_for() {
        assert_eq!(
            resolve("10.0.0.1", &[("forwarded", "for=6.6.6.6"), ("x-forwarded-for", "192.0.2.7")], "10.0.0.0/8"),
            "192.0.2.7"
        );
    }

    #[test]
    fn a_mapped_address_counts_as_the_ipv4_address_it_maps() {
        assert_eq!(resolve("::ffff:192.0.2.1", &[], ""), "192.0.2.1");
        assert_eq!(resolve("::ffff:10.0.0.1", &[("x-forwarded-for", "::ffff:192.0.2.7")], "10.0.0.0/8"), "192.0.2.7");
    }

    #[test]
    fn ipv6_counts_by_64_bits() {
        let partition = |text: &str| ClientAddress(text.parse().unwrap()).partition().to_string();
        assert_eq!(partition("2001:db8:1:2:3:4:5:6"), partition("2001:db8:1:2::1"));
        assert_ne!(partition("2001:db8:1:2::1"), partition("2001:db8:1:3::1"));
        assert_ne!(partition("192.0.2.1"), partition("192.0.2.2"));
    }
}
