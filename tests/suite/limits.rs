//! Limits are exact, whoever asks how (attacks 5.17 to 5.19).

use std::net::IpAddr;

use axum::{body::Body, http::Request};
use futures_util::future::join_all;
use hallpass_core::config::Function;
use hallpass_tests::{Answer, Browser, World, contract, crowds::at_once, functions::COPIES_MAX, world::fresh_name};
use serde_json::{Value, json};

use crate::sources;

async fn burst(browsers: Vec<Browser>, path: &'static str) -> (usize, Vec<u64>) {
    let requests = browsers.into_iter().map(|mut browser| tokio::spawn(async move { browser.get(path).await }));
    let mut admitted = 0;
    let mut waits = Vec::new();
    for answer in join_all(requests).await {
        let answer = answer.unwrap();
        match answer.status.as_u16() {
            200 => admitted += 1,
            429 => waits.push(answer.header("retry-after").parse().unwrap()),
            other => panic!("{other}: {}", answer.text()),
        }
    }
    (admitted, waits)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_parallel_requests_on_a_limit_of_10_exactly_10_are_admitted() {
    let world = World::new().await;
    let browser = world.browser();
    let (admitted, waits) = burst(vec![browser.clone(); 64], "/api/resource").await;
    assert_eq!(admitted, 10);
    assert!(waits.iter().all(|wait| *wait == 60), "{waits:?}");
    world.pass(59);
    assert_eq!(burst(vec![browser.clone(); 8], "/api/resource").await.0, 0);
    world.pass(1);
    assert_eq!(burst(vec![browser; 64], "/api/resource").await.0, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_200_parallel_requests_over_four_instances_exactly_10_are_admitted() {
    let world = World::new().await;
    let address = world.browser().address();
    let instances =
        [world.another_instance(), world.another_instance(), world.another_instance(), world.another_instance()];
    let browsers = (0..200).map(|number| instances[number % 4].browser_at(address)).collect();
    assert_eq!(burst(browsers, "/api/resource").await.0, 10);
    let restarted = world.another_instance();
    assert_eq!(restarted.browser_at(address).get("/api/resource").await.status, 429, "a new instance knows the count");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_fifty_guesses_at_once_under_a_limit_of_five_five_are_hashed() {
    let (world, passwords) = World::with([("HALLPASS_LIMITS__LOGIN", "5 per minute")]).await.with_passwords();
    let (name, _) = world.somebody().await;
    let (guesser, before) = (world.browser(), passwords.queue().computed);
    let guesses = (0..50).map(|_| {
        let (mut guesser, name) = (guesser.clone(), name.clone());
        async move { guesser.log_in_with(&name, "not the password").await.status.as_u16() }
    });
    let statuses = at_once(guesses).await;
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 5, "{statuses:?}");
    assert_eq!(passwords.queue().computed - before, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_quota_that_is_bought_in_bulk_admits_exactly_as_many() {
    let world = World::with([("HALLPASS_LIMITS__RESOURCE", "600 per minute")]).await;
    let browser = world.browser();
    world.recorder.clear();
    assert_eq!(burst(vec![browser.clone(); 700], "/api/resource").await.0, 600);
    // And what each instance asks in vain until it knows that nothing is left.
    let writes_max = 200 + 10 * world.deployment().map_or(1, |_| COPIES_MAX);
    let writes = world.recorder.operations().len();
    assert!(writes <= writes_max, "three permits a write: {writes}");
    world.pass(61);
    assert_eq!(burst(vec![browser; 700], "/api/resource").await.0, 600);
}

#[tokio::test]
async fn a_small_and_a_large_quota_in_one_policy_are_both_exact() {
    let world = World::with([("HALLPASS_LIMITS__RESOURCE", "10 per minute; 250 per hour")]).await;
    let mut browser = world.browser();
    let mut admitted = 0;
    for _ in 0..30 {
        for _ in 0..12 {
            admitted += usize::from(browser.get("/api/resource").await.status == 200);
        }
        world.pass(60);
    }
    assert_eq!(admitted, 250);
}

#[tokio::test]
async fn a_window_slides_and_has_no_double_burst_at_its_edge() {
    let world = World::new().await;
    let mut browser = world.browser();
    for _ in 0..10 {
        browser.get("/api/resource").await.expect(200);
        world.pass(3);
    }
    for _ in 0..10 {
        assert_eq!(browser.get("/api/resource").await.header("retry-after"), "30");
    }
    world.pass(30);
    browser.get("/api/resource").await.expect(200);
    let answer = browser.get("/api/resource").await.expect_problem(429, "rate-limited");
    assert_eq!(answer.header("retry-after"), "3");
}

#[tokio::test]
async fn what_is_left_of_a_quota_that_is_bought_in_bulk_is_told_to_the_request() {
    let world = World::with([("HALLPASS_LIMITS__RESOURCE", "600 per minute")]).await.in_process();
    let mut browser = world.browser();
    browser.get("/api/resource").await.expect(200);
    world.recorder.clear();
    for left in (590..599).rev() {
        let answer = browser.get("/api/resource").await.expect(200);
        assert_eq!(answer.header("ratelimit"), format!(r#""resource";r={left};t=60"#));
    }
    assert_eq!(world.recorder.operations(), ["UpdateItem"; 3], "three permits a write");
    // What is left of the last three lapses after a two-hundredth of the window, to the millisecond.
    world.pass_millis(299);
    browser.get("/api/resource").await.expect(200);
    assert_eq!(world.recorder.operations().len(), 3);
    world.pass_millis(1);
    browser.get("/api/resource").await.expect(200);
    assert_eq!(world.recorder.operations().len(), 4);
}

#[tokio::test]
async fn a_window_opens_to_the_millisecond() {
    let world = World::new().await.in_process();
    let mut browser = world.browser();
    for _ in 0..10 {
        browser.get("/api/resource").await.expect(200);
    }
    browser.get("/api/resource").await.expect(429);
    // Seconds are rounded up, so the wait is told as it is to the millisecond.
    for (millis, wait_seconds) in [(58_999, "2"), (1, "1"), (999, "1")] {
        world.pass_millis(millis);
        assert_eq!(browser.get("/api/resource").await.expect(429).header("retry-after"), wait_seconds);
    }
    world.recorder.clear();
    browser.get("/api/resource").await.expect(429);
    assert!(world.recorder.operations().is_empty(), "remembered to the last millisecond");
    world.another_instance().browser_at(browser.address()).get("/api/resource").await.expect(429);
    world.pass_millis(1);
    let answer = browser.get("/api/resource").await.expect(200);
    assert_eq!(answer.header("ratelimit"), r#""resource";r=9;t=60"#);
}

#[tokio::test]
async fn every_answer_of_a_limited_route_tells_the_quota() {
    let world = World::new().await;
    let mut browser = world.browser();
    for left in (0..10).rev() {
        let answer = browser.get("/api/resource").await.expect(200);
        assert_eq!(answer.header("ratelimit-policy"), r#""resource";q=10;w=60"#);
        assert_eq!(answer.header("ratelimit"), format!(r#""resource";r={left};t=60"#));
    }
    let refused = browser.get("/api/resource").await.expect_problem(429, "rate-limited");
    assert_eq!(refused.header("ratelimit"), r#""resource";r=0;t=60"#);
    let failed = browser.log_in_with("nobody", "x").await.expect(401);
    assert_eq!(failed.header("ratelimit"), r#""login-minute";r=9;t=60"#);
    let malformed = browser.post("/login", json!({ "unknown": 1 })).await.expect(422);
    assert_eq!(malformed.header("ratelimit"), r#""login-minute";r=8;t=60"#);
}

/// The same browser, which says by every header that is known for it that it asks for somebody else.
fn claiming_to_be_another(browser: &Browser, number: usize) -> Browser {
    let spoofed = format!("10.0.{}.{}", number / 250, number % 250);
    browser
        .clone()
        .header("x-forwarded-for", &spoofed)
        .header("forwarded", &format!("for={spoofed}"))
        .header("x-real-ip", &spoofed)
        .header("true-client-ip", &spoofed)
        .header("cf-connecting-ip", &spoofed)
}

#[tokio::test]
async fn spoofed_forwarding_headers_change_nothing() {
    let world = World::new().await;
    for path in ["/api/resource", "/login", "/login/verify"] {
        let browser = world.browser();
        let mut admitted = 0;
        for number in 0..500 {
            let mut request = claiming_to_be_another(&browser, number);
            let answer = match path {
                "/login" => request.log_in_with(&fresh_name(), "not the password").await,
                "/login/verify" => request.verify("123456").await,
                _ => request.get(path).await,
            };
            admitted += usize::from(answer.status != 429);
        }
        assert_eq!(admitted, 10, "{path}");
    }
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_client_counts_and_not_what_it_forged() {
    let world = World::with([("HALLPASS_TRUSTED_PROXIES", "192.0.2.0/24")]).await;
    let proxy: IpAddr = "192.0.2.9".parse().unwrap();
    let [client, other] = [world.browser().address(), world.browser().address()];
    let mut admitted = 0;
    for number in 0..30 {
        let mut request = world.browser_at(proxy).header("x-forwarded-for", &format!("10.0.0.{number}, {client}"));
        admitted += usize::from(request.get("/api/resource").await.status == 200);
    }
    assert_eq!(admitted, 10);
    assert_eq!(
        world.browser_at(proxy).header("x-forwarded-for", &other.to_string()).get("/api/resource").await.status,
        200,
        "neighbours are not affected"
    );
}

#[tokio::test]
async fn one_ipv6_network_is_one_client_and_a_mapped_address_is_its_ipv4_address() {
    let world = World::new().await;
    let IpAddr::V6(address) = world.browser().address() else { panic!() };
    let mut admitted = 0;
    for number in 0..30 {
        let mut segments = address.segments();
        segments[7] = number;
        admitted += usize::from(world.browser_at(IpAddr::V6(segments.into())).get("/api/resource").await.status == 200);
    }
    assert_eq!(admitted, 10);

    let [a, b, c, ..] = address.octets()[2..].try_into().map(|octets: [u8; 14]| octets).unwrap();
    let v4 = std::net::Ipv4Addr::new(198, a, b, c);
    let mut admitted = 0;
    for address in [IpAddr::V4(v4), IpAddr::V6(v4.to_ipv6_mapped())].repeat(10) {
        admitted += usize::from(world.browser_at(address).get("/api/resource").await.status == 200);
    }
    assert_eq!(admitted, 10);
}

#[tokio::test]
async fn a_limit_charges_before_it_looks_at_a_credential() {
    let world = World::with([
        ("HALLPASS_LIMITS__LOGIN", "3 per minute"),
        ("HALLPASS_LIMITS__VERIFY", "3 per minute"),
        ("HALLPASS_LIMITS__REGISTER", "3 per minute"),
    ])
    .await;
    let (name, _) = world.somebody().await;
    let mut browser = world.browser();
    for _ in 0..3 {
        browser.log_in(&name).await;
        browser.verify("123456").await.expect(401);
        browser.register(&fresh_name()).await;
    }
    browser.log_in_with(&name, hallpass_tests::PASSWORD).await.expect_problem(429, "rate-limited");
    browser.verify("123456").await.expect_problem(429, "rate-limited");
    browser
        .post("/register", json!({ "username": "somebody.new", "password": hallpass_tests::PASSWORD }))
        .await
        .expect_problem(429, "rate-limited");
}

/// The routes that the OpenAPI document leaves out: pages, and what their forms ask of them.
const PAGES: [&str; 9] = [
    "GET /",
    "GET /login",
    "GET /login/verify",
    "GET /register",
    "GET /account",
    "GET /account/security",
    "GET /account/sessions",
    "POST /account/security/recovery-codes.txt",
    "POST /language",
];

/// What no limit guards: a file costs nothing, and the page that tells of a limit needs it. Probes and metrics are the
/// container's own, and not in here.
const OPEN: [&str; 1] = ["GET /assets/{file}"];

/// What a proxy may ask by any method.
const GUARD: [&str; 5] = [
    "ANY /api/authz/auth-request",
    "ANY /api/authz/ext-authz",
    "ANY /api/authz/ext-authz/",
    "ANY /api/authz/ext-authz/{*path}",
    "ANY /api/authz/forward-auth",
];

/// In the Lambda of the pages alone: nothing is behind it, so that a refusal of another method names `POST`.
const NOWHERE: [&str; 1] = ["POST path"];

#[test]
fn whatever_is_routed_is_asked_for_its_limit() {
    let mut asked = [&PAGES[..], &OPEN, &GUARD, &NOWHERE].concat();
    asked.sort_unstable();
    assert_eq!(sources::routes(&["functions"]), asked);
    let answer_what_is_not_there = sources::rust(&["functions"]).matches("fallback(").count();
    assert_eq!(answer_what_is_not_there, 2, "not found, and method not allowed");
}

/// nginx knows no 429 from whom it asks.
const ASKED_BY_NGINX: &str = "/api/authz/auth-request";

/// A world where every function has one request for each address.
async fn world_of_single_requests() -> World {
    let once = |function: &Function| (function.name().replace('-', "_"), json!("1 per hour"));
    let limits = Value::Object(Function::ALL.iter().map(once).collect());
    let limits = serde_json::from_value(limits).unwrap();
    World::new().await.instance_with_settings(|settings| settings.limits = limits)
}

/// Asks as a script of our own pages would, but as nobody.
async fn ask(browser: &mut Browser, route: &str) -> Answer {
    let (method, path) = route.split_once(' ').unwrap();
    let request = Request::builder()
        .method(method)
        .uri(path.replace("{id}", "x").replace("{file}", "none.css").replace("{*path}", "orders"))
        .header("sec-fetch-site", "same-origin")
        .header("content-type", "application/json");
    let body = if method == "GET" { "" } else { "{}" };
    browser.send(request.body(Body::from(body)).unwrap()).await
}

#[tokio::test]
async fn every_route_but_the_open_ones_spends_an_address_limit() {
    let world = world_of_single_requests().await;
    let operations = contract::operations(&world.browser().get("/openapi.json").await.expect(200).value());
    let guard = GUARD.iter().flat_map(|route| ["GET", "POST", "PROPFIND"].map(|method| route.replace("ANY", method)));
    // API Gateway's `{path+}` wants a segment that isn't empty.
    let guard = guard.filter(|route| world.deployment().is_none() || !route.ends_with('/'));
    let others = PAGES.iter().chain(&OPEN).map(ToString::to_string);
    for route in operations.into_iter().chain(guard).chain(others) {
        let route = route.as_str();
        // Each from an address of its own, for routes of one function share its quota.
        let mut browser = world.browser();
        let (first, second) = (ask(&mut browser, route).await, ask(&mut browser, route).await);
        if OPEN.contains(&route) {
            assert_eq!(second.status, first.status, "{route}");
            continue;
        }
        let status = if route.ends_with(ASKED_BY_NGINX) { 403 } else { 429 };
        assert_ne!(first.status, status, "{route}: {}", first.text());
        assert_eq!(second.status, status, "{route}: {}", second.text());
        assert_eq!(second.value()["type"], "urn:hallpass:problem:rate-limited", "{route}");
    }
}

#[tokio::test]
async fn routes_without_a_limit_of_their_own_have_the_default_each() {
    let world = World::with([("HALLPASS_LIMITS__DEFAULT", "2 per minute")]).await;
    let mut browser = world.browser();
    for path in ["/openapi.json", "/docs"] {
        for status in [200, 200, 429] {
            assert_eq!(browser.get(path).await.status, status, "{path}");
        }
    }
    let policy = browser.post("/logout", json!({})).await.header("ratelimit-policy").to_owned();
    assert_eq!(policy, r#""logout";q=2;w=60"#);
}

#[tokio::test]
async fn a_limit_that_is_off_neither_counts_nor_tells() {
    let world = World::with([("HALLPASS_LIMITS__RESOURCE", "off")]).await;
    let (admitted, _) = burst(vec![world.browser(); 50], "/api/resource").await;
    assert_eq!(admitted, 50);
    assert!(!world.browser().get("/api/resource").await.headers.contains_key("ratelimit"));
}

#[tokio::test]
async fn what_a_process_forgets_the_store_remembers() {
    // Bought one by one, and in bulk.
    for (limit, quota) in [("2 per minute", 2), ("300 per minute", 300)] {
        let world = World::with([("HALLPASS_LIMITS__RESOURCE", limit)]).await;
        let mut victim = world.browser();
        for _ in 0..quota {
            victim.get("/api/resource").await.expect(200);
        }
        victim.get("/api/resource").await.expect(429);
        // A restart forgets all that the process remembered, which is more than any flood makes it forget.
        let restarted = world.another_instance();
        assert_eq!(restarted.browser_at(victim.address()).get("/api/resource").await.status, 429, "{limit}");
    }
}

#[tokio::test]
async fn an_instance_whose_clock_is_behind_tells_a_wait_after_which_it_admits() {
    let world = World::new().await;
    let address = world.browser().address();
    while world.browser_at(address).get("/api/resource").await.status != 429 {}
    let behind = world.instance_off_by(-20);
    let mut browser = behind.browser_at(address);
    // A minute by the clock of who was asked before, and what its own is behind.
    assert_eq!(browser.get("/api/resource").await.expect(429).header("retry-after"), "80");
    behind.pass(79);
    browser.get("/api/resource").await.expect(429);
    behind.pass(1);
    browser.get("/api/resource").await.expect(200);
}

#[tokio::test]
async fn an_instance_whose_clock_is_behind_admits_what_the_latest_clock_admits() {
    let world = World::with([("HALLPASS_LIMITS__RESOURCE", "2 per minute")]).await;
    let mut browser = world.browser();
    browser.get("/api/resource").await.expect(200);
    world.pass(61);
    browser.get("/api/resource").await.expect(200);
    // The first one has left the minute, by the clock of whoever was asked last.
    let mut behind = world.instance_off_by(-120).browser_at(browser.address());
    behind.get("/api/resource").await.expect(200);
    behind.get("/api/resource").await.expect(429);
    browser.get("/api/resource").await.expect(429);
}

#[tokio::test]
async fn instances_whose_clocks_differ_never_open_a_window_again() {
    let world = World::new().await;
    let address = world.browser().address();
    let behind = world.instance_off_by(-120);
    let ahead_first = world.browser_at(address);
    let mut admitted = 0;
    for number in 0..30 {
        let mut browser = if number % 2 == 0 { ahead_first.clone() } else { behind.browser_at(address) };
        admitted += usize::from(browser.get("/api/resource").await.status == 200);
    }
    assert_eq!(admitted, 10);
    world.pass(-90);
    assert_eq!(world.browser_at(address).get("/api/resource").await.status, 429, "a clock set back opens nothing");
}
