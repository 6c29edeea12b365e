//! Cookies and forwarding headers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use hallpass_core::http::{client::ClientAddress, cookies::Cookie};
use proptest::{option, prelude::*};

use crate::{config, header_of, in_header, near};

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

/// An address outside of our own network: IPv4, IPv6, or IPv4 as IPv6 maps it.
fn client() -> impl Strategy<Value = IpAddr> {
    let v4 = any::<[u8; 4]>().prop_map(Ipv4Addr::from);
    let client = prop_oneof![
        2 => v4.clone().prop_map(IpAddr::V4),
        1 => v4.prop_map(|client| IpAddr::V6(client.to_ipv6_mapped())),
        2 => any::<[u8; 16]>().prop_map(IpAddr::from),
        1 => any::<[u8; 2]>().prop_map(|[a, b]| Ipv6Addr::from([0x2001, 0xdb8, 0, 0, 0, 0, a.into(), b.into()]).into()),
    ];
    client.prop_filter("one of our proxies", |client| !is_trusted(*client))
}

fn is_trusted(address: IpAddr) -> bool {
    matches!(address.to_canonical(), IpAddr::V4(v4) if v4.octets()[0] == 10)
}

/// An address as `X-Forwarded-For` has it, and as `Forwarded` (RFC 7239 section 6) does: quoted, where it has colons.
fn told(address: IpAddr, port: Option<u16>, is_bracketed: bool) -> (String, String) {
    let entry = match (address, port) {
        (IpAddr::V4(_), None) => address.to_string(),
        (IpAddr::V4(_), Some(port)) => format!("{address}:{port}"),
        (IpAddr::V6(_), None) if !is_bracketed => address.to_string(),
        (IpAddr::V6(_), None) => format!("[{address}]"),
        (IpAddr::V6(_), Some(port)) => format!("[{address}]:{port}"),
    };
    let node = match entry.contains(':') {
        true => format!("\"{entry}\""),
        false => entry.clone(),
    };
    (entry, node)
}

const ENTRIES: &[&str] = &[
    "[", "]", ":", "::", ".", "0", "80", ":80", ":65536", ":+80", "%1", "::ffff:", "/24", " ", "\t", "-", "a", "\u{e9}",
];
const ADDRESSES: &str = "([1-9][0-9]?\\.){3}[1-9][0-9]?(:[0-9]{1,5})?|2001:db8::[0-9a-f]{1,4}|\
    \\[2001:db8::[0-9a-f]{1,4}\\](:[0-9]{1,5})?|\\[?::ffff:192\\.0\\.2\\.[1-9]\\]?";

/// The address of one entry, as a strict reader reads it: IPv6 in brackets or without, a port behind what can have one.
fn address_in(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?.trim_matches([' ', '\t']);
    let is_zone = |zone: &str| zone.bytes().all(|digit| digit.is_ascii_digit()) && zone.parse::<u32>().is_ok();
    let is_port = |port: &str| port.bytes().all(|digit| digit.is_ascii_digit()) && port.parse::<u16>().is_ok();
    if let Some((address, rest)) = text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        let is_rest = rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port);
        // What is behind a port may name a zone.
        let address = address
            .split_once('%')
            .filter(|(_, zone)| !rest.is_empty() && is_zone(zone))
            .map_or(address, |(address, _)| address);
        return address.parse::<Ipv6Addr>().ok().filter(|_| is_rest).map(IpAddr::V6);
    }
    if let Ok(address) = text.parse::<Ipv6Addr>() {
        return Some(IpAddr::V6(address));
    }
    let (address, port) = text.split_once(':').unwrap_or((text, "0"));
    address.parse::<Ipv4Addr>().ok().filter(|_| is_port(port)).map(IpAddr::V4)
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
        client in client(),
        (port, is_bracketed) in (option::of(any::<u16>()), any::<bool>()),
    ) {
        let (entry, node) = told(client, port, is_bracketed);
        let line = [forged.as_slice(), format!(", {entry}").as_bytes()].concat();
        // Who comes by IPv4 has one quota, however a proxy writes that.
        prop_assert_eq!(resolved(HeaderName::from_static("x-forwarded-for"), &line), client.to_canonical());
        let line = [forged.as_slice(), format!(", for={node};host=").as_bytes(), &quoted(&host)].concat();
        prop_assert_eq!(resolved(header::FORWARDED, &line), client.to_canonical());
        trial.accept();
    }

    #[test]
    fn an_entry_that_is_no_address_names_nobody(entry in near(ADDRESSES, ENTRIES)) {
        let entry = in_header(entry.replace(',', ""));
        let read = address_in(&entry).map(|address| address.to_canonical());
        // Behind one of ours there is nobody else.
        prop_assert_eq!(resolved(HeaderName::from_static("x-forwarded-for"), &entry), read.unwrap_or(PROXY));
        read.iter().for_each(|_| trial.accept());
    }
}
