//! Round trips to the store in sequence: what a cloud deployment waits for.

use hallpass_tests::World;
use serde_json::json;

#[tokio::test]
async fn a_session_check_is_one_round_trip_once_its_limit_log_exists() {
    let world = World::new().await;
    let (_, mut browser) = world.somebody().await;
    browser.get("/session").await.expect(200);
    world.pass(1);
    world.recorder.clear();
    browser.get("/session").await.expect(200);
    assert_eq!(world.recorder.operations().len(), 2, "session and limit, side by side");
    assert_eq!(world.recorder.trips_in_sequence(), 1, "{:?}", world.recorder.operations());
}

#[tokio::test]
async fn a_limited_request_is_one_round_trip_once_its_log_exists() {
    let world = World::new().await;
    let mut browser = world.browser();
    browser.get("/api/resource").await.expect(200);
    world.recorder.clear();
    browser.get("/api/resource").await.expect(200);
    assert_eq!(world.recorder.operations(), ["UpdateItem"]);
}

#[tokio::test]
async fn a_refused_request_of_a_client_known_to_be_over_is_no_round_trip() {
    let world = World::new().await;
    let mut browser = world.browser();
    while browser.get("/api/resource").await.status != 429 {}
    world.recorder.clear();
    browser.get("/api/resource").await.expect(429);
    assert_eq!(world.recorder.operations(), [""; 0]);
}

const ORDERS: &str = "/api/authz/forward-auth?limit=orders";

async fn world_with_a_limit_of_orders() -> World {
    World::with([("HALLPASS_LIMITS__AUTHZ", "100 per minute"), ("HALLPASS_GUARD__LIMITS__ORDERS", "3 per minute")])
        .await
}

/// More is asked where quotas are bought in bulk, by other instances as well.
#[tokio::test]
async fn the_first_refusal_by_exact_limits_is_one_round_trip() {
    let world = world_with_a_limit_of_orders().await;
    let (_, mut browser) = world.somebody().await;
    for _ in 0..3 {
        browser.get(ORDERS).await.expect(200);
    }
    world.recorder.clear();
    browser.get(ORDERS).await.expect(429);
    assert_eq!(world.recorder.trips_in_sequence(), 1, "{:?}", world.recorder.operations());
}

#[tokio::test]
async fn a_guarded_request_is_one_round_trip_whatever_it_is_charged_to() {
    let world = world_with_a_limit_of_orders().await;
    let (_, mut browser) = world.somebody().await;
    for path in ["/api/authz/forward-auth", "/api/authz/auth-request", "/api/authz/ext-authz/orders"] {
        browser.get(path).await.expect(200);
        world.recorder.clear();
        browser.get(path).await.expect(200);
        assert_eq!(world.recorder.operations().len(), 2, "session and limit, side by side");
        assert_eq!(world.recorder.trips_in_sequence(), 1, "{:?}", world.recorder.operations());
    }
    browser.get(ORDERS).await.expect(200);
    world.recorder.clear();
    browser.get(ORDERS).await.expect(200);
    assert_eq!(world.recorder.operations().len(), 3, "session and both limits, side by side");
    assert_eq!(world.recorder.trips_in_sequence(), 1, "{:?}", world.recorder.operations());
    browser.get(ORDERS).await.expect(200);
    browser.get(ORDERS).await.expect(429);
    world.recorder.clear();
    browser.get(ORDERS).await.expect(429);
    assert_eq!(world.recorder.operations(), [""; 0], "who is known to be over costs nothing");
}

#[tokio::test]
async fn a_first_refusal_waits_once_more_for_all_that_is_bought_in_bulk() {
    let world = World::with([
        ("HALLPASS_LIMITS__AUTHZ", "300 per minute"),
        ("HALLPASS_GUARD__LIMITS__ORDERS", "2 per minute"),
        ("HALLPASS_GUARD__LIMITS__ITEMS", "300 per minute"),
    ])
    .await;
    let (_, mut browser) = world.somebody().await;
    let path = "/api/authz/forward-auth?limit=orders&limit=items";
    for _ in 0..2 {
        browser.get(path).await.expect(200);
    }
    world.recorder.clear();
    browser.get(path).await.expect(429);
    let calls = world.recorder.operations();
    assert_eq!(calls.iter().filter(|call| *call == "GetItem").count(), 2, "{calls:?}");
    assert_eq!(world.recorder.trips_in_sequence(), 2, "{calls:?}");
}

#[tokio::test]
async fn a_login_without_a_second_step_is_three_round_trips() {
    let world = World::new().await;
    let (name, _) = world.somebody().await;
    let mut browser = world.browser();
    browser.log_in(&name).await;
    world.recorder.clear();
    browser.private_window().log_in(&name).await;
    assert_eq!(world.recorder.trips_in_sequence(), 3, "{:?}", world.recorder.operations());
}

#[tokio::test]
async fn a_second_step_is_two_round_trips() {
    let world = World::new().await;
    let (name, _, authenticator, _) = world.somebody_with_totp().await;
    let mut browser = world.browser();
    browser.log_in(&name).await;
    browser.verify(&authenticator.wrong_code(world.now())).await.expect(401);
    world.recorder.clear();
    browser.verify(&authenticator.code(world.now())).await.expect(200);
    assert_eq!(world.recorder.trips_in_sequence(), 2, "{:?}", world.recorder.operations());
}

#[tokio::test]
async fn a_session_in_use_is_written_once_in_a_twentieth_of_its_idle_timeout() {
    // Nothing but the session is written then.
    let world = World::with([("HALLPASS_LIMITS__SESSION", "off")]).await;
    let (_, mut browser) = world.somebody().await;
    world.pass(180);
    browser.get("/session").await.expect(200);
    world.recorder.clear();
    for _ in 0..10 {
        world.pass(17);
        browser.get("/session").await.expect(200);
    }
    assert_eq!(world.recorder.operations(), ["BatchGetItem"; 10]);
    world.pass(10);
    browser.get("/session").await.expect(200);
    assert_eq!(world.recorder.operations().last().unwrap(), "UpdateItem");
}

/// What another instance has just written, such as the end of a session, counts.
#[tokio::test]
async fn every_read_asks_for_what_was_written_last() {
    let world = World::with([("HALLPASS_SESSION__MAX_PER_USER", "1")]).await.in_process();
    let (name, mut browser, authenticator, _) = world.somebody_with_totp().await;
    for path in ["/session", "/sessions", "/account/security", "/api/resource", "/api/authz/forward-auth"] {
        browser.get(path).await.expect(200);
    }
    let mut other = world.browser();
    other.log_in(&name).await;
    other.verify(&authenticator.code(world.now())).await.expect(200);
    other.delete("/sessions", json!(null)).await.expect(200);
    let reads = world.recorder.operations();
    for operation in ["GetItem", "BatchGetItem", "Query"] {
        assert!(reads.iter().any(|read| read == operation), "{operation} in {reads:?}");
    }
    assert_eq!(world.recorder.stale_reads(), [""; 0]);
}

#[tokio::test]
async fn reading_changes_nothing_in_the_store() {
    let world = World::with([
        ("HALLPASS_LIMITS__SESSION", "off"),
        ("HALLPASS_LIMITS__SESSIONS", "off"),
        ("HALLPASS_LIMITS__DOCS", "off"),
        ("HALLPASS_LIMITS__PAGES", "off"),
    ])
    .await;
    let (_, mut browser) = world.somebody().await;
    world.recorder.clear();
    for path in
        ["/session", "/sessions", "/openapi.json", "/docs", "/nowhere", "/login", "/logout", "/sessions?_method=DELETE"]
    {
        browser.get(path).await;
        browser.ask(axum::http::Method::HEAD, path).await;
        browser.clone().header("x-http-method-override", "DELETE").get(path).await;
    }
    let writes = |operation: &String| !matches!(operation.as_str(), "GetItem" | "BatchGetItem" | "Query");
    assert!(!world.recorder.operations().iter().any(writes), "{:?}", world.recorder.operations());
    assert!(browser.is_logged_in().await);
}

#[tokio::test]
async fn a_held_guess_costs_no_hash_and_no_write() {
    let (world, passwords) = World::new().await.with_passwords();
    let (name, _) = world.somebody().await;
    for _ in 0..10 {
        world.browser().log_in_with(&name, "not the password").await.expect(401);
    }
    let mut browser = world.browser();
    browser.log_in_with(&name, "not the password").await.expect(429);
    assert_eq!(passwords.queue().computed, 11, "the account's own, and ten guesses");
    for password in ["not the password", hallpass_tests::PASSWORD] {
        world.recorder.clear();
        browser.log_in_with(&name, password).await.expect(429);
        // The one write is the charge to the address, whose limit can't be off.
        let mut calls = world.recorder.operations();
        calls.sort();
        assert_eq!(calls, ["GetItem", "GetItem", "UpdateItem"]);
    }
    assert_eq!(passwords.queue().computed, 11);
}
