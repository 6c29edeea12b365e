//! What every answer has in common.

use std::collections::HashSet;

use axum::{
    body::Body,
    http::{HeaderName, Method, Request},
};
use hallpass_core::{http::shell, store};
use hallpass_tests::World;
use serde_json::json;
use tokio::time::timeout;

#[tokio::test]
async fn no_answer_lets_another_origins_script_read_it() {
    let world = World::new().await;
    let (_, browser) = world.somebody().await;
    let mut browser = browser.header("origin", "https://evil.example").header("access-control-request-method", "GET");
    for path in ["/session", "/sessions", "/account", "/login", "/openapi.json", "/api/resource", "/nowhere"] {
        for method in [Method::GET, Method::OPTIONS] {
            let answer = browser.ask(method, path).await;
            let invites = |name: &HeaderName| name.as_str().starts_with("access-control-");
            assert!(!answer.headers.keys().any(invites), "{path}: {:?}", answer.headers);
        }
    }
}

#[tokio::test]
async fn every_answer_carries_its_id_and_the_security_headers() {
    let world = World::new().await;
    let mut browser = world.browser();
    let mut ids = HashSet::new();
    for (method, path) in [
        (Method::GET, "/api/resource"),
        (Method::GET, "/session"),
        (Method::GET, "/nowhere"),
        (Method::PUT, "/login"),
        (Method::POST, "/login"),
        (Method::POST, "/logout"),
        (Method::GET, "/docs"),
        (Method::GET, "/test/panic"),
    ] {
        let answer = browser.ask(method, path).await;
        for (name, value) in
            [("cache-control", "no-store"), ("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer")]
        {
            assert_eq!(answer.header(name), value, "{path}");
        }
        let policy = answer.header("content-security-policy");
        assert!(
            policy.contains("default-src 'none'")
                && policy.contains("frame-ancestors 'none'")
                && !policy.contains("unsafe"),
            "{path}"
        );
        assert!(ids.insert(answer.header("x-request-id").to_owned()), "{path}");
        assert!(!answer.headers.contains_key("strict-transport-security"), "over plain http it means nothing");
        assert!(!answer.headers.contains_key("server"));
    }
}

#[tokio::test]
async fn a_clients_own_request_id_is_not_taken_over() {
    let world = World::new().await;
    let answer = world.browser().header("x-request-id", "forged").get("/api/resource").await;
    assert_ne!(answer.header("x-request-id"), "forged");
}

#[tokio::test]
async fn hsts_is_sent_when_the_public_url_is_https() {
    let world = World::with([("HALLPASS_PUBLIC_URL", "https://login.example.org")]).await;
    for path in ["/api/resource", "/nowhere"] {
        let answer = world.browser().get(path).await;
        assert_eq!(answer.header("strict-transport-security"), "max-age=63072000; includeSubDomains");
    }
}

#[tokio::test]
async fn a_panic_is_a_problem_that_says_nothing_of_its_cause() {
    // Only here is there a route that panics.
    let world = World::new().await.in_process();
    let answer = world.browser().get("/test/panic").await.expect_problem(500, "internal");
    assert!(!answer.text().contains("secret"));
    assert_eq!(world.browser().get("/api/resource").await.status, 200, "the process goes on");
}

#[tokio::test]
async fn a_request_without_a_source_address_is_refused() {
    let world = World::new().await;
    let router = world.router();
    let request = Request::get("/api/resource").body(Body::empty()).unwrap();
    let response = tower::ServiceExt::oneshot(router, request).await.unwrap();
    assert_eq!(response.status(), 400);
}

#[tokio::test]
async fn a_session_delivered_by_cookie_is_in_no_body() {
    let world = World::new().await;
    let (name, mut browser) = world.somebody().await;
    let opened = browser.log_in(&name).await;
    // Logging out takes it away.
    let cookies = browser.cookies.clone();
    assert!(cookies.contains_key("__Host-session"));
    for answer in [
        opened,
        browser.get("/session").await,
        browser.get("/sessions").await,
        browser.post("/logout", json!({})).await,
    ] {
        for value in cookies.values() {
            assert!(!answer.text().contains(value.as_str()));
        }
    }
}

#[tokio::test]
async fn a_handler_that_dawdles_is_cut_off() {
    let world = World::new().await.in_process();
    let mut browser = world.browser();
    // Nothing but the deadline is waited for, so time goes on by itself.
    tokio::time::pause();
    let answer = timeout(2 * shell::REQUEST_DEADLINE, browser.get("/test/dawdle")).await;
    answer.expect("an answer in time").expect_problem(503, "unavailable");
}

#[test]
fn the_request_deadline_is_longer_than_the_store_takes_to_give_up() {
    let call = store::deadlines().operation_timeout().unwrap();
    assert!(shell::REQUEST_DEADLINE > 4 * call);
}
