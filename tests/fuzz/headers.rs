//! Cookies and forwarding headers.

use std::net::{IpAddr, Ipv4Addr};

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use hallpass_core::http::{client::ClientAddress, cookies::Cookie};
use proptest::prelude::*;

use crate::{config, header_of};

const COOKIES: &[&str] = &[
    "__Host-session",
    "__host-session",
    "__Host-session=",
    "__Host-session=v",
    "=",
    ";",
    "; ",
    ";\t",
    "\u{2000}",
    "\u{a0}",
    "$Version=1;",
    "\"",
    ",",
    "__Host-login=x",
];

/// The value of one pair whose name is these bytes and no others; two of them are none.
pub(crate) fn strict_reader(name: &str, lines: &[Vec<u8>]) -> Option<String> {
    let trim = |pair: &[u8]| {
        let is_blank = |byte: &u8| [b' ', b'\t'].contains(byte);
        let start = pair.iter().position(|byte| !is_blank(byte)).unwrap_or(pair.len());
        let end = pair.iter().rposition(|byte| !is_blank(byte)).map_or(start, |last| last + 1);
        pair[start..end].to_vec()
    };
    let pairs = lines.iter().flat_map(|line| line.split(|byte| *byte == b';')).map(trim);
    let values: Vec<Vec<u8>> = pairs
        .filter_map(|pair| {
            let equals = pair.iter().position(|byte| *byte == b'=')?;
            (&pair[..equals] == name.as_bytes()).then(|| pair[equals + 1..].to_vec())
        })
        .collect();
    let [value] = values.try_into().ok()?;
    String::from_utf8(value).ok()
}

const FORWARDED: &[&str] = &[
    "for=",
    "for=6.6.6.6",
    "for=\"[2001:db8::6]:1\"",
    "6.6.6.6",
    "10.0.0.9",
    ",",
    ";",
    "\"",
    "\\",
    "\\\"",
    "host=\"",
    "unknown",
    "_hidden",
    " ",
];
const TRUSTED: &str = "10.0.0.0/8";
const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

fn resolved(name: HeaderName, line: &[u8]) -> IpAddr {
    let headers = HeaderMap::from_iter([(name, HeaderValue::from_bytes(line).unwrap())]);
    ClientAddress::resolve(PROXY, &headers, &TRUSTED.parse().unwrap()).ip()
}

/// As a proxy writes a text that it took from its client.
fn quoted(text: &[u8]) -> Vec<u8> {
    let escaped = text.iter().flat_map(|byte| match byte {
        b'"' | b'\\' => vec![b'\\', *byte],
        byte => vec![*byte],
    });
    [b"\"".to_vec(), escaped.collect(), b"\"".to_vec()].concat()
}

properties! {
    config(), trial;

    #[test]
    fn a_cookie_is_read_as_a_strict_reader_reads_it(lines in proptest::collection::vec(header_of(COOKIES), 0..3)) {
        let mut headers = HeaderMap::new();
        for line in &lines {
            headers.append(header::COOKIE, HeaderValue::from_bytes(line).unwrap());
        }
        let read = Cookie::Session.read(&headers);
        prop_assert_eq!(read.map(str::to_owned), strict_reader("__Host-session", &lines));
        read.iter().for_each(|_| trial.accept());
    }

    #[test]
    fn the_client_is_whom_our_own_proxy_names_whatever_stands_before_it(
        forged in header_of(FORWARDED),
        host in header_of(FORWARDED),
        client in any::<[u8; 4]>(),
    ) {
        let client = IpAddr::from(client);
        prop_assume!(!matches!(client, IpAddr::V4(v4) if v4.octets()[0] == 10));
        let told = format!(", {client}");
        let line = [forged.as_slice(), told.as_bytes()].concat();
        prop_assert_eq!(resolved(HeaderName::from_static("x-forwarded-for"), &line), client);
        let told = format!(", for={client};host=");
        let line = [forged.as_slice(), told.as_bytes(), &quoted(&host)].concat();
        prop_assert_eq!(resolved(header::FORWARDED, &line), client);
        trial.accept();
    }
}
