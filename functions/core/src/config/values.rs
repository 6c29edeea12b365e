//! The types of settings, read from text.

use std::{fmt, str::FromStr};

use ipnet::IpNet;
use jiff::SignedDuration;
use serde::{Deserialize, Deserializer, Serialize, de};
use url::{Host, Url};

/// Implements serde by way of `FromStr` and `Display`.
macro_rules! by_text {
    ($($type:ty),+) => {$(
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <String as serde::Deserialize>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )+};
}

pub(crate) use by_text;

by_text!(PublicUrl, Issuer, Span, TablePrefix);

/// A length of time such as `90s`, `15m`, `1h` or `30d`, at least one second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(SignedDuration);

impl Span {
    /// So many hours.
    #[must_use]
    pub const fn hours(hours: i64) -> Self {
        Self(SignedDuration::from_hours(hours))
    }

    /// So many seconds.
    #[must_use]
    pub const fn seconds(seconds: i64) -> Self {
        Self(SignedDuration::from_secs(seconds))
    }

    /// The length of time.
    #[must_use]
    pub fn duration(self) -> SignedDuration {
        self.0
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let typed = text.trim();
        // Days are 24 hours here; jiff leaves them to calendars.
        let days = typed.strip_suffix('d').and_then(digits::<u16>);
        let days = days.map(|days| SignedDuration::from_hours(i64::from(days) * 24));
        let span = days.or_else(|| typed.parse().ok()).filter(|_| !typed.starts_with('+'));
        match span {
            Some(span) if span >= SignedDuration::from_secs(1) => Ok(Self(span)),
            Some(_) | None => {
                Err(format!("'{text}' is not a length of time of a second or more, such as 90s, 15m, 1h or 30d"))
            }
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

/// Scheme, host and port that users type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    origin: String,
    is_https: bool,
    is_localhost: bool,
}

impl PublicUrl {
    /// The origin as a browser writes it: lower case, no default port, no trailing slash.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Whether `text` is this origin, in letters of any case and with its default port or without, and nothing besides.
    #[must_use]
    pub fn is_written_as(&self, text: &str) -> bool {
        let default_port = if self.is_https { 443 } else { 80 };
        let text = text.to_ascii_lowercase();
        text == self.origin || text == format!("{}:{default_port}", self.origin)
    }

    /// Whether cookies are safe on the way, so that HSTS may be sent.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.is_https
    }

    /// Whether this is a developer's own machine, where browsers take `Secure` cookies over plain http.
    #[must_use]
    pub fn is_localhost(&self) -> bool {
        self.is_localhost
    }
}

impl Default for PublicUrl {
    fn default() -> Self {
        Self { origin: "http://localhost:5000".to_owned(), is_https: false, is_localhost: true }
    }
}

impl FromStr for PublicUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let problem = || format!("'{text}' is not an address such as https://login.example.org, without a path");
        let typed = text.trim();
        let url: Url = typed.parse().map_err(|_| problem())?;
        let is_localhost = match url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => return Err(problem()),
        };
        let origin = url.origin().ascii_serialization();
        let this = Self { origin, is_https: url.scheme() == "https", is_localhost };
        // A user, a path or a host that a browser would write otherwise is a mistake that nobody would find later.
        let is_an_origin = this.is_written_as(typed.strip_suffix('/').unwrap_or(typed));
        let is_http = this.is_https || url.scheme() == "http";
        if is_an_origin && is_http { Ok(this) } else { Err(problem()) }
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)
    }
}

/// The name that authenticator apps show; no colon, which the otpauth label can't hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer(String);

impl Issuer {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Issuer {
    fn default() -> Self {
        Self("Hallpass".to_owned())
    }
}

impl FromStr for Issuer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.trim();
        let fits =
            (1..=64).contains(&name.chars().count()) && !name.contains(':') && !name.chars().any(char::is_control);
        fits.then(|| Self(name.to_owned())).ok_or_else(|| "must be 1 to 64 characters without a colon".to_owned())
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the names of the three tables begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TablePrefix(String);

impl TablePrefix {
    /// The prefix, without the dash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for TablePrefix {
    fn default() -> Self {
        Self("hallpass".to_owned())
    }
}

impl FromStr for TablePrefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fits =
            (1..=200).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
        fits.then(|| Self(text.to_owned()))
            .ok_or_else(|| "must be letters, digits, '_', '.' or '-', as DynamoDB's table names".to_owned())
    }
}

impl fmt::Display for TablePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where the tables are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// In this process, on this disk.
    Embedded,
    /// DynamoDB, or what the SDK's endpoint variable names.
    DynamoDb,
}

/// Networks whose forwarding headers are believed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Whether `address` may speak for others.
    #[must_use]
    pub fn contains(&self, address: std::net::IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

impl FromStr for TrustedProxies {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(network).collect::<Result<_, _>>().map(Self)
    }
}

/// Reads `10.0.0.0/8` or a single address.
fn network(text: &str) -> Result<IpNet, String> {
    text.parse()
        .or_else(|_| text.parse().map(|address: std::net::IpAddr| IpNet::from(address)))
        .map_err(|_| format!("'{text}' is not a network such as 10.0.0.0/8"))
}

impl<'de> Deserialize<'de> for TrustedProxies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum TextOrList {
            Text(String),
            List(Vec<String>),
        }
        let text = match TextOrList::deserialize(deserializer)? {
            TextOrList::Text(text) => text,
            TextOrList::List(list) => list.join(","),
        };
        text.parse().map_err(de::Error::custom)
    }
}

/// A number in digits alone: Rust's own parser would take a plus sign.
pub(crate) fn digits<N: FromStr>(text: &str) -> Option<N> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// A whole number: as one in TOML, as text in a variable.
pub(super) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    struct Number;

    impl de::Visitor<'_> for Number {
        type Value = u32;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a whole number")
        }

        fn visit_i64<E: de::Error>(self, number: i64) -> Result<u32, E> {
            u32::try_from(number).map_err(|_| E::invalid_value(de::Unexpected::Signed(number), &self))
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<u32, E> {
            digits(text.trim()).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
        }
    }

    deserializer.deserialize_any(Number)
}
