//! Raw bytes.

use std::time::Duration;

use hallpass_tests::process::Server;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use crate::{BINARY, folder};

/// A connection that is open for longer is one that the server keeps.
const TALK_MAX: Duration = Duration::from_secs(20);

/// Raw bytes in, raw bytes out until the server closes.
pub(crate) async fn talk(authority: &str, request: &[u8]) -> String {
    talk_over(TcpStream::connect(authority).await.unwrap(), request).await
}

/// The same over a connection that is there.
pub(crate) async fn talk_over(mut stream: TcpStream, request: &[u8]) -> String {
    let mut answer = Vec::new();
    // A server that doesn't want to hear all of it may have answered; what has come counts.
    let _ = tokio::time::timeout(TALK_MAX, async {
        let _ = stream.write_all(request).await;
        stream.read_to_end(&mut answer).await
    })
    .await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn smuggled_and_malformed_requests_get_one_refusal_and_no_second_answer() {
    let folder = folder();
    let server = Server::start(BINARY, folder.path(), &[]).await;
    let inner = "GET /api/resource HTTP/1.1\r\nHost: x\r\n\r\n";
    for request in [
        format!(
            "POST /logout HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: {}\r\n\r\n{inner}",
            inner.len()
        ),
        format!("POST /logout HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n{inner}"),
        "POST /logout HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n".to_owned(),
        "POST /logout HTTP/1.1\r\nHost: x\r\nContent-Length: 1e1\r\n\r\n".to_owned(),
        "GET /healthz HTTP/1.1\r\nHost: x\r\nFolded: a\r\n b\r\n\r\n".to_owned(),
        "GET /healthz HTTP/9.9\r\nHost: x\r\n\r\n".to_owned(),
        "\u{16}\u{3}\u{1} nonsense\r\n\r\n".to_owned(),
        format!("GET /healthz HTTP/1.1\r\nHost: x\r\n{}\r\n\r\n", "A: b\r\n".repeat(200)),
        format!("GET /healthz HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\n", "x".repeat(100_000)),
    ] {
        let answer = talk(server.authority(), request.as_bytes()).await;
        let first = answer.lines().next().unwrap_or_default();
        assert!(
            answer.is_empty() || first.contains(" 400 ") || first.contains(" 431 ") || first.contains(" 505 "),
            "{first} for {:?}",
            &request[..request.len().min(90)]
        );
        assert!(!answer.contains("rate-limited"), "{answer}");
        assert!(answer.matches("HTTP/1.1 ").count() <= 1, "{answer}");
    }
    server.browser().get("/healthz").await.expect(200);
}

#[tokio::test]
async fn of_two_lengths_the_chunks_count_and_what_follows_is_no_request() {
    let folder = folder();
    let server = Server::start(BINARY, folder.path(), &[]).await;
    for request in two_lengths("Host: x", "/logout", "/api/resource") {
        let answer = talk(server.authority(), request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 204 ") || answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer} to {request}");
        assert!(!answer.to_ascii_lowercase().contains("ratelimit-policy: \"resource\""), "{answer}");
    }
}

/// The statuses that were answered with, in order.
fn statuses(answer: &str) -> Vec<&str> {
    let answers = answer.split("HTTP/1.1 ").skip(1);
    answers.map(|answer| answer.split(' ').next().unwrap()).collect()
}

const CHUNKED: &str = "Transfer-Encoding: chunked";
const HIDDEN: &str = "GET /api/resource HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

/// A request with these lines, whose body ends by chunks if anybody sees any, and another one behind it.
fn before_a_hidden_one(lines: &str) -> String {
    format!("POST /logout HTTP/1.1\r\nHost: x\r\n{lines}\r\n\r\n0\r\n\r\n{HIDDEN}")
}

fn length_with_the_hidden_one() -> String {
    format!("Content-Length: {}", HIDDEN.len() + 5)
}

#[tokio::test]
async fn endings_that_some_reader_takes_for_others_are_refused_and_what_follows_is_not_read() {
    let folder = folder();
    let server = Server::start(BINARY, folder.path(), &[]).await;
    let length = length_with_the_hidden_one();
    let codings = [
        format!("{CHUNKED}\r\nTransfer-Encoding: identity"),
        format!("{length}\r\nTransfer-Encoding: chunked, identity"),
        format!("X: a\r{CHUNKED}"),
        format!("Transfer-Encoding : chunked\r\n{length}"),
        format!("Content-Length: 0\r\nX: a\n{length}"),
    ];
    let codings = codings.iter().map(|lines| before_a_hidden_one(lines));
    let ends = ["0\n\n", "0\n\r\n", "0;\n\r\n\r\n", "0;a=\nb\r\n\r\n"];
    let ends = ends.map(|end| format!("POST /logout HTTP/1.1\r\nHost: x\r\n{CHUNKED}\r\n\r\n{end}{HIDDEN}"));
    let old = [CHUNKED.to_owned(), format!("{length}\r\n{CHUNKED}")];
    let old = old.map(|lines| format!("Connection: keep-alive\r\n{lines}"));
    let old = old.map(|lines| before_a_hidden_one(&lines).replacen("HTTP/1.1", "HTTP/1.0", 1));
    for request in codings.chain(ends).chain(old) {
        let answer = talk(server.authority(), request.as_bytes()).await;
        assert_eq!(statuses(&answer), ["400"], "{answer} to {request:?}");
        assert!(answer.to_ascii_lowercase().contains("\r\nconnection: close\r\n"), "{answer} to {request:?}");
    }
}

/// A coding that is told twice, a line feed alone before it, and other protocols.
#[tokio::test]
async fn behind_an_ending_that_is_doubtful_and_behind_an_upgrade_no_request_is_answered() {
    let folder = folder();
    let server = Server::start(BINARY, folder.path(), &[]).await;
    let length = length_with_the_hidden_one();
    let codings = [
        format!("{length}\r\n{CHUNKED}\r\n{CHUNKED}"),
        format!("{length}\r\nTransfer-Encoding: identity\r\n{CHUNKED}"),
        format!("X: a\n{CHUNKED}\r\n{length}"),
    ];
    let codings = codings.iter().map(|lines| before_a_hidden_one(lines));
    let upgrades = [("h2c", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), ("websocket", "\u{1}\u{5}hello")];
    let upgrades = upgrades.map(|(protocol, begin)| {
        let lines = format!("Connection: Upgrade\r\nUpgrade: {protocol}\r\nContent-Length: 0");
        format!("POST /logout HTTP/1.1\r\nHost: x\r\n{lines}\r\n\r\n{begin}{HIDDEN}")
    });
    for request in codings.chain(upgrades) {
        let answer = talk(server.authority(), request.as_bytes()).await;
        let statuses = statuses(&answer);
        assert!(matches!(statuses[..], ["204"] | ["400"] | ["204", "400"]), "{answer} to {request:?}");
    }
}

#[tokio::test]
async fn a_request_with_many_cookies_or_large_ones_gets_one_answer() {
    let folder = folder();
    let server = Server::start(BINARY, folder.path(), &[]).await;
    for cookies in [
        format!("Cookie: {}\r\n", "__Host-session=x; ".repeat(100)),
        format!("Cookie: __Host-session={}\r\n", "x".repeat(30_000)),
        "Cookie: __Host-session=x\r\n".repeat(90),
    ] {
        let request = format!("GET /session HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{cookies}\r\n");
        let answer = talk(server.authority(), request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    }
}

/// Requests whose end two readers could see in two places, with another request in between; both with these lines.
pub(crate) fn two_lengths(lines: &str, path: &str, hidden_path: &str) -> [String; 4] {
    let hidden = format!("GET {hidden_path} HTTP/1.1\r\n{lines}\r\nConnection: close\r\n\r\n");
    let (length, chunked) = (hidden.len() + 5, "Transfer-Encoding: chunked");
    [
        format!("Content-Length: {length}\r\n{chunked}"),
        format!("{chunked}\r\nContent-Length: {length}"),
        format!("Content-Length: 5\r\n{chunked}"),
        format!("Content-Length: {length}\r\nTransfer-Encoding: \x0bchunked"),
    ]
    .map(|lengths| format!("POST {path} HTTP/1.1\r\n{lines}\r\n{lengths}\r\n\r\n0\r\n\r\n{hidden}"))
}

/// A client that asks and never reads must not hold up the end for longer than its write deadline.
#[tokio::test]
async fn a_client_that_reads_nothing_is_cut_off() {
    let folder = folder();
    let server = Server::start(BINARY, folder.path(), &[("HALLPASS_LIMITS__DEFAULT", "off")]).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(server.authority().parse().unwrap()).await.unwrap();
    let request = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n".repeat(64);
    // Until the server reads no more, since it can't write.
    while tokio::time::timeout(Duration::from_millis(500), stream.write_all(&request)).await.is_ok() {}
    let (ended_well, log) = server.stop().await;
    assert!(ended_well);
    assert!(!log.iter().any(|line| line.contains("server.drain_cut_short")), "{log:?}");
}

/// Reads one answer of a connection that is kept: its head and the body that the head tells the length of.
async fn next_answer(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&answer).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        match stream.read_u8().await {
            Ok(byte) => answer.push(byte),
            Err(_) => return text,
        }
    }
}

#[tokio::test]
async fn a_request_after_one_whose_body_nobody_needed_is_answered() {
    let folder = folder();
    let server = Server::start(BINARY, folder.path(), &[("HALLPASS_LIMITS__DEFAULT", "off")]).await;
    for (request_line, headers) in
        [("POST /nothing", ""), ("PUT /login", ""), ("POST /login", "Sec-Fetch-Site: cross-site\r\n")]
    {
        let mut kept = 0;
        for _ in 0..5 {
            let mut stream = TcpStream::connect(server.authority()).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let head = format!("{request_line} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: 7\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            // Long enough for the head to be looked at.
            for _ in 0..3 {
                server.browser().get("/healthz").await.expect(200);
            }
            stream.write_all(b"{\"a\":1}").await.unwrap();
            let refusal = next_answer(&mut stream).await;
            assert!(refusal.starts_with("HTTP/1.1 40"), "{refusal}");
            if refusal.contains("connection: close") {
                // This machine was so busy that the body came late.
                continue;
            }
            stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            let next = next_answer(&mut stream).await;
            assert!(next.starts_with("HTTP/1.1 200"), "{request_line}: {next}");
            kept += 1;
        }
        assert!(kept > 0, "{request_line}");
    }
}

#[tokio::test]
async fn a_client_is_told_where_its_connection_closes_behind_a_body_that_nobody_reads() {
    let folder = folder();
    let server = Server::start(BINARY, folder.path(), &[("HALLPASS_LIMITS__DEFAULT", "off")]).await;
    let head = |headers: &str| format!("POST /nothing HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
    for request in [
        // One that does not come, one that waits for leave, one that is longer than any.
        head("Content-Length: 7\r\n"),
        head("Content-Length: 7\r\nExpect: 100-continue\r\n"),
        head("Content-Length: 66000\r\n") + &"x".repeat(66_000),
    ] {
        let answer = talk(server.authority(), request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("connection: close"), "{answer}");
    }
}

/// What is read to its end leaves nothing behind, in chunks and after leave too.
#[tokio::test]
async fn a_body_in_chunks_that_was_asked_for_keeps_its_connection() {
    let folder = folder();
    let server = Server::start(BINARY, folder.path(), &[]).await;
    let mut stream = TcpStream::connect(server.authority()).await.unwrap();
    let head = "POST /logout HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\
                Expect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    assert!(next_answer(&mut stream).await.starts_with("HTTP/1.1 100"));
    stream.write_all(b"2\r\n{}\r\n0\r\n\r\n").await.unwrap();
    let answer = next_answer(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 204") && !answer.contains("connection: close"), "{answer}");
}

/// A slow-loris, which would otherwise hold a place for ever.
#[tokio::test]
async fn a_client_that_does_not_end_its_headers_is_cut_off() {
    let folder = folder();
    let server = Server::start(BINARY, folder.path(), &[]).await;
    let began = tokio::time::Instant::now();
    let answer = talk(server.authority(), b"GET /healthz HTTP/1.1\r\nHost: x\r\n").await;
    assert!(answer.is_empty(), "{answer}");
    assert!((Duration::from_secs(5)..Duration::from_secs(15)).contains(&began.elapsed()));
    server.browser().get("/healthz").await.expect(200);
}
