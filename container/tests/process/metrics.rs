//! What `/metrics` tells, on a port of its own.

use futures_util::future::join_all;
use hallpass_tests::{PASSWORD, process::Server, world::fresh_name};

use crate::{BINARY, folder, now};

pub(crate) const ON: (&str, &str) = ("HALLPASS_METRICS_LISTEN", "127.0.0.1:0");

/// The sample of a series, spelt with its labels as they are written; 0 if there is none.
pub(crate) fn sample(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}

pub(crate) async fn scrape(server: &Server) -> String {
    let answer = server.watcher().get("/metrics").await.expect(200);
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    answer.text()
}

#[tokio::test]
async fn requests_are_counted_by_pattern_and_never_by_path() {
    let folder = folder();
    let server = Server::start(BINARY, folder.path(), &[ON]).await;
    let mut browser = server.browser();
    browser.register(&fresh_name()).await;
    for _ in 0..3 {
        browser.get("/session").await.expect(200);
    }
    browser.get("/canary-path").await.expect(404);
    browser.get("/api/authz/ext-authz/canary-path?canary=query").await.expect(200);
    browser.private_window().get("/api/authz/forward-auth").await.expect(401);
    let method = "CANARY".parse().unwrap();
    browser.ask(method, "/sessions/canary-id").await.expect(405);
    let text = scrape(&server).await;
    for (series, count) in [
        (r#"hallpass_http_requests_total{method="GET",route="/session",status="200"}"#, 3.0),
        (r#"hallpass_http_requests_total{method="POST",route="/register",status="201"}"#, 1.0),
        (r#"hallpass_http_requests_total{method="GET",route="unmatched",status="404"}"#, 1.0),
        (r#"hallpass_http_requests_total{method="GET",route="/api/authz/ext-authz/{*path}",status="200"}"#, 1.0),
        (r#"hallpass_http_requests_total{method="GET",route="/api/authz/forward-auth",status="401"}"#, 1.0),
        (r#"hallpass_http_requests_total{method="other",route="/sessions/{id}",status="405"}"#, 1.0),
        (r#"hallpass_http_request_duration_seconds_count{method="GET",route="/session"}"#, 3.0),
        (r#"hallpass_http_request_duration_seconds_bucket{method="GET",route="/session",le="+Inf"}"#, 3.0),
        (concat!(r#"hallpass_build_info{version=""#, env!("CARGO_PKG_VERSION"), r#""}"#), 1.0),
    ] {
        assert_eq!(sample(&text, series), count, "{series} in {text}");
    }
    assert!(!text.to_lowercase().contains("canary"), "{text}");
    assert!(sample(&text, r#"hallpass_http_request_duration_seconds_sum{method="POST",route="/register"}"#) > 0.0);
}

#[tokio::test]
async fn a_name_that_nobody_has_costs_one_hash_like_any_other() {
    let folder = folder();
    let server = Server::start(BINARY, folder.path(), &[ON]).await;
    server.browser().log_in_with(&fresh_name(), PASSWORD).await.expect(401);
    assert_eq!(sample(&scrape(&server).await, "hallpass_argon2_hashes_total"), 1.0);
}

#[tokio::test]
async fn logins_limits_store_calls_and_hashes_are_counted() {
    let folder = folder();
    let server = Server::start(BINARY, folder.path(), &[ON, ("HALLPASS_GUARD__LIMITS__ORDERS", "2 per minute")]).await;
    let (name, mut browser) = (fresh_name(), server.browser());
    browser.register(&name).await;
    server.browser().log_in(&name).await;
    server.browser().log_in_with(&name, "not the password").await.expect(401);
    let (authenticator, _) = browser.enable_totp(now()).await;
    let mut other = server.browser();
    other.log_in(&name).await;
    other.verify(&authenticator.wrong_code(now())).await.expect(401);
    for status in [200, 200, 429, 429] {
        browser.get("/api/authz/forward-auth?limit=orders").await.expect(status);
    }
    let text = scrape(&server).await;
    for (series, count) in [
        (r#"hallpass_logins_total{result="completed"}"#, 1.0),
        (r#"hallpass_logins_total{result="second_step_due"}"#, 1.0),
        (r#"hallpass_logins_total{result="credentials"}"#, 1.0),
        (r#"hallpass_logins_total{result="code"}"#, 1.0),
        (r#"hallpass_logins_total{result="held"}"#, 0.0),
        (r#"hallpass_limit_charges_total{limit="orders",verdict="admitted"}"#, 2.0),
        (r#"hallpass_limit_charges_total{limit="orders",verdict="refused"}"#, 2.0),
        (r#"hallpass_limit_charges_total{limit="login",verdict="admitted"}"#, 3.0),
        (r#"hallpass_argon2_running"#, 0.0),
        (r#"hallpass_argon2_waiting"#, 0.0),
        (r#"hallpass_argon2_refused_total"#, 0.0),
        // Registration, three logins, one set-up.
        (r#"hallpass_argon2_hashes_total"#, 5.0),
    ] {
        assert!(text.contains(series), "{series} in {text}");
        assert_eq!(sample(&text, series), count, "{series} in {text}");
    }
    let done = |operation: &str| {
        sample(&text, &format!(r#"hallpass_store_calls_total{{operation="{operation}",result="done"}}"#))
    };
    for operation in ["BatchGetItem", "TransactWriteItems", "UpdateItem", "GetItem", "PutItem"] {
        assert!(done(operation) >= 1.0, "{operation} in {text}");
        let timed = sample(&text, &format!(r#"hallpass_store_call_duration_seconds_count{{operation="{operation}"}}"#));
        assert!(timed >= done(operation), "{operation}");
    }
    // A full limit is a condition that failed.
    assert!(sample(&text, r#"hallpass_store_calls_total{operation="UpdateItem",result="refused"}"#) >= 1.0, "{text}");
    for secret in [name.as_str(), PASSWORD, &browser.cookies["__Host-session"]] {
        assert!(!text.contains(secret));
    }
}

#[tokio::test]
async fn the_two_ports_share_nothing() {
    let folder = folder();
    let server = Server::start(BINARY, folder.path(), &[ON]).await;
    server.browser().get("/metrics").await.expect(404);
    let mut watcher = server.watcher();
    for path in ["/", "/session", "/healthz", "/openapi.json", "/login"] {
        watcher.get(path).await.expect(404);
    }
    watcher.ask("POST".parse().unwrap(), "/metrics").await.expect(405);
    let before = scrape(&server).await;
    join_all((0..8).map(|_| scrape(&server))).await;
    let requests = |text: &str| text.lines().filter(|line| line.starts_with("hallpass_http_requests_total")).count();
    assert_eq!(requests(&scrape(&server).await), requests(&before), "who watches is not counted");
}

#[tokio::test]
async fn without_the_setting_there_are_no_metrics_and_a_port_in_use_is_named() {
    let folder = folder();
    let server = Server::start(BINARY, folder.path(), &[]).await;
    server.browser().get("/metrics").await.expect(404);
    let taken = [("HALLPASS_METRICS_LISTEN", server.authority())];
    let output = hallpass_tests::process::run(BINARY, &folder.path().join("other"), &taken, &[]).await;
    assert!(String::from_utf8(output.stderr).unwrap().starts_with("hallpass: HALLPASS_METRICS_LISTEN: "));
}
