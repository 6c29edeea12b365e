//! Guarding other APIs: what proxies are told (attack 5.34).

use futures_util::future::join_all;
use hallpass_tests::{
    Answer, Browser, World,
    guard::{IDENTITY, send},
    recorder::Recorder,
};

const FORWARD_AUTH: &str = "/api/authz/forward-auth";
const AUTH_REQUEST: &str = "/api/authz/auth-request";
const EXT_AUTHZ: &str = "/api/authz/ext-authz";
const ENDPOINTS: [&str; 3] = [FORWARD_AUTH, AUTH_REQUEST, EXT_AUTHZ];
const LEVEL: &str = "x-hallpass-require-level";
const LIMIT: &str = "x-hallpass-require-limit";

/// A refusal for this reason, which tells nothing of who asked.
#[track_caller]
fn expect_refusal(answer: Answer, status: u16, slug: &str) -> Answer {
    let answer = answer.expect(status);
    assert_eq!(answer.header("x-hallpass-reason"), slug);
    for name in IDENTITY {
        assert!(!answer.headers.contains_key(name), "{name}");
    }
    answer
}

#[tokio::test]
async fn a_session_passes_and_the_proxy_is_told_whose_it_is() {
    let world = World::new().await;
    let (name, mut browser) = world.somebody().await;
    let user = browser.get("/session").await.value()["user"].clone();
    for path in ENDPOINTS {
        let answer = browser.get(path).await.expect(200);
        let told: Vec<&str> = IDENTITY.iter().map(|header| answer.header(header)).collect();
        assert_eq!(told, [&name, &name, "", user["id"].as_str().unwrap(), "aal1", "pwd"], "{path}");
        assert!(answer.body.is_empty() && !answer.headers.contains_key("set-cookie"));
        assert_eq!(answer.header("cache-control"), "no-store");
        world.bearer(&name).await.get(path).await.expect(200);
    }
}

#[tokio::test]
async fn an_address_and_both_factors_are_told_where_there_are_some() {
    let world = World::new().await;
    let (name, mut browser, authenticator, _) = world.somebody_with_totp().await;
    browser = browser.private_window();
    browser.log_in(&name).await;
    browser.verify(&authenticator.code(world.now())).await.expect(200);
    let answer = browser.get(FORWARD_AUTH).await.expect(200);
    assert_eq!((answer.header("x-hallpass-level"), answer.header("x-hallpass-methods")), ("aal2", "pwd%20otp"));

    let mut browser = world.browser();
    let name = hallpass_tests::world::fresh_name();
    let email = format!("{name}%x@example.org");
    let body =
        serde_json::json!({ "username": format!("Ж{name}"), "password": hallpass_tests::PASSWORD, "email": email });
    browser.post("/register", body).await.expect(201);
    let answer = browser.get(FORWARD_AUTH).await.expect(200);
    assert_eq!(answer.header("remote-user"), format!("%D0%96{name}"));
    assert_eq!(answer.header("remote-email"), format!("{name}%25x@example.org"));
}

#[tokio::test]
async fn without_a_session_nobody_passes() {
    let world = World::new().await;
    let (name, alive) = world.somebody().await;
    let mut ended = alive.clone();
    let (_, pending, _, _) = world.somebody_with_totp().await;
    let mut half = pending.private_window();
    half.log_in(&pending_name(&pending).await).await;
    ended.post("/logout", serde_json::json!({})).await.expect(204);
    let forged = alive.private_window().header("authorization", "Bearer AAAA");
    for path in ENDPOINTS {
        for browser in [&world.browser(), &ended, &half, &forged] {
            let answer = expect_refusal(browser.clone().get(path).await, 401, "session-required");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
        // A pending login's token is none of a session's, however it is sent.
        let token = half.cookies["__Host-login"].clone();
        for header in [("authorization", format!("Bearer {token}")), ("cookie", format!("__Host-session={token}"))] {
            let answer = send(&world.browser(), "GET", path, &[(header.0, &header.1)]).await;
            expect_refusal(answer, 401, "session-required");
        }
        let mut both = world.bearer(&name).await;
        both.cookies = world.somebody().await.1.cookies;
        expect_refusal(both.get(path).await, 400, "ambiguous-credentials");
    }
}

async fn pending_name(browser: &Browser) -> String {
    browser.clone().get("/session").await.value()["user"]["username"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_revoked_or_expired_session_is_refused_at_once() {
    let world = World::new().await;
    let (name, mut owner) = world.somebody().await;
    let mut other = world.browser();
    other.log_in(&name).await;
    other.get(FORWARD_AUTH).await.expect(200);
    owner.delete("/sessions", serde_json::Value::Null).await.expect(200);
    expect_refusal(other.get(FORWARD_AUTH).await, 401, "session-required");
    owner.get(FORWARD_AUTH).await.expect(200);
    world.pass(3600);
    expect_refusal(owner.get(FORWARD_AUTH).await, 401, "session-required");
}

#[tokio::test]
async fn guarded_requests_keep_a_session_alive() {
    let world = World::new().await;
    let (_, mut browser) = world.somebody().await;
    for path in ENDPOINTS {
        world.pass(3000);
        browser.get(path).await.expect(200);
    }
    assert!(browser.is_logged_in().await);
}

#[tokio::test]
async fn a_level_is_demanded_by_query_or_header_and_only_ever_raised() {
    let world = World::new().await;
    let (_, one_factor) = world.somebody().await;
    let (name, browser, authenticator, _) = world.somebody_with_totp().await;
    let mut two_factors = browser.private_window();
    two_factors.log_in(&name).await;
    two_factors.verify(&authenticator.code(world.now())).await.expect(200);
    for (path, headers) in [
        ("/api/authz/forward-auth?level=aal2", &[][..]),
        ("/api/authz/auth-request?level=aal2", &[]),
        ("/api/authz/forward-auth?level=aal2", &[(LEVEL, "aal1")]),
        ("/api/authz/forward-auth?level=aal2&level=aal1", &[]),
        ("/api/authz/forward-auth", &[(LEVEL, "aal2")]),
        ("/api/authz/auth-request", &[(LEVEL, "aal2")]),
        ("/api/authz/ext-authz?level=aal2", &[]),
        ("/api/authz/ext-authz", &[(LEVEL, "aal2")]),
        ("/api/authz/ext-authz/orders?level=aal1", &[(LEVEL, "aal2")]),
        ("/api/authz/ext-authz", &[(LEVEL, "aal2"), (LEVEL, "aal1")]),
    ] {
        expect_refusal(send(&one_factor, "GET", path, headers).await, 403, "second-factor-required");
        send(&two_factors, "GET", path, headers).await.expect(200);
        expect_refusal(send(&world.browser(), "GET", path, headers).await, 401, "session-required");
    }
}

#[tokio::test]
async fn a_demand_that_can_not_be_read_or_kept_is_refused_and_not_passed_over() {
    let world = World::with([("HALLPASS_GUARD__LIMITS__ORDERS", "20 per minute")]).await;
    let (_, browser) = world.somebody().await;
    for (path, headers) in [
        ("/api/authz/forward-auth?level=aal3", &[][..]),
        ("/api/authz/forward-auth?levle=aal2", &[]),
        ("/api/authz/auth-request?level=", &[]),
        ("/api/authz/auth-request?limit=oders", &[]),
        ("/api/authz/auth-request?limit=logins", &[]),
        // What guesses are counted by is not for others to spend.
        ("/api/authz/auth-request?limit=login", &[]),
        ("/api/authz/ext-authz", &[(LIMIT, "password")]),
        ("/api/authz/ext-authz?limit=totp", &[]),
        ("/api/authz/auth-request?limit=default", &[]),
        ("/api/authz/ext-authz?level=aal3", &[]),
        ("/api/authz/ext-authz", &[(LEVEL, "high")]),
        ("/api/authz/ext-authz", &[(LIMIT, "oders")]),
        ("/api/authz/ext-authz", &[(LIMIT, "orders, files")]),
    ] {
        expect_refusal(send(&browser, "GET", path, headers).await, 400, "malformed-request");
    }
}

#[tokio::test]
async fn the_path_query_and_method_of_the_guarded_request_decide_nothing() {
    let world = World::new().await;
    let (_, somebody) = world.somebody().await;
    let nobody = world.browser();
    // API Gateway's `{path+}` wants a segment that isn't empty; what it has no route for doesn't pass either.
    let is_routed = |tail: &&str| world.deployment().is_none() || !matches!(*tail, "/" | "//orders");
    let tails = [
        "",
        "/",
        "/orders",
        "/orders/../login",
        "/orders/%2e%2e%2flogin",
        "/orders%2F..%2Flogin",
        "/orders;level=aal1",
        "/ORDERS",
        "//orders",
        "/login",
        "/orders?level=aal1&limit=off",
        "/orders?level=aal3",
        "/openapi.json",
        "/api/authz/forward-auth",
        "/%00%ff",
    ];
    for tail in tails.into_iter().filter(is_routed) {
        let path = format!("{EXT_AUTHZ}{tail}");
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"] {
            let passed = send(&somebody, method, &path, &[]).await.expect(200);
            assert!(passed.body.is_empty(), "{method} {path}: what was asked is not told again");
            assert_eq!(send(&nobody, method, &path, &[]).await.status, 401, "{method} {path}");
            let told = [("x-forwarded-uri", tail), ("x-forwarded-method", method), ("x-original-url", tail)];
            for path in [FORWARD_AUTH, AUTH_REQUEST] {
                send(&somebody, method, path, &told).await.expect(200);
                assert_eq!(send(&nobody, method, path, &told).await.status, 401, "{method} {path} {tail}");
            }
        }
    }
}

#[tokio::test]
async fn what_a_client_says_of_itself_is_not_what_the_proxy_is_told() {
    let world = World::new().await;
    let (name, browser) = world.somebody().await;
    let forged = IDENTITY.map(|header| (header, "root"));
    for path in ENDPOINTS {
        let answer = send(&browser, "GET", path, &forged).await.expect(200);
        assert_eq!(answer.header("remote-user"), name);
        for header in IDENTITY {
            assert_eq!(answer.headers.get_all(header).iter().count(), 1, "{header}");
            assert_ne!(answer.header(header), "root");
        }
        expect_refusal(send(&world.browser(), "GET", path, &forged).await, 401, "session-required");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_parallel_guarded_requests_on_a_limit_of_10_exactly_10_pass() {
    let world = World::with([("HALLPASS_GUARD__LIMITS__ORDERS", "10 per minute")]).await;
    let (_, browser) = world.somebody().await;
    let other = world.another_instance();
    let requests = (0..64).map(|number| {
        let mut browser = browser.clone();
        if number % 2 == 1 {
            let cookies = browser.cookies.clone();
            browser = other.browser_at(browser.address());
            browser.cookies = cookies;
        }
        tokio::spawn(async move { browser.get("/api/authz/forward-auth?limit=orders").await })
    });
    let mut passed = 0;
    for answer in join_all(requests).await {
        let answer = answer.unwrap();
        match answer.status.as_u16() {
            200 => passed += 1,
            _ => {
                let answer = expect_refusal(answer, 429, "rate-limited");
                assert_eq!(answer.header("retry-after"), "60");
                assert_eq!(answer.header("ratelimit"), r#""orders";r=0;t=60"#);
            }
        }
    }
    assert_eq!(passed, 10);
    world.pass(60);
    browser.clone().get("/api/authz/forward-auth?limit=orders").await.expect(200);
}

#[tokio::test]
async fn the_limit_of_a_function_may_be_demanded_like_a_named_one() {
    let world = World::with([("HALLPASS_LIMITS__RESOURCE", "2 per minute"), ("HALLPASS_LIMITS__LOGOUT", "off")]).await;
    for path in ENDPOINTS {
        let (_, mut browser) = world.somebody().await;
        let guarded = format!("{path}?limit=resource");
        // It is the same quota of the same client.
        browser.get("/api/resource").await.expect(200);
        browser.get(&guarded).await.expect(200);
        let status = if path == AUTH_REQUEST { 403 } else { 429 };
        let answer = expect_refusal(browser.get(&guarded).await, status, "rate-limited");
        assert_eq!(answer.header("ratelimit"), r#""resource";r=0;t=60"#);
        assert_eq!(answer.value()["status"], status, "the document tells what is answered");
        browser.get(&format!("{path}?limit=logout")).await.expect(200);
        browser.get(&format!("{path}?limit=authz")).await.expect(200);
    }
}

#[tokio::test]
async fn our_own_limit_counts_for_all_and_a_named_one_besides() {
    let world =
        World::with([("HALLPASS_LIMITS__AUTHZ", "5 per minute"), ("HALLPASS_GUARD__LIMITS__ORDERS", "2 per hour")])
            .await;
    let (_, mut browser) = world.somebody().await;
    let answer = browser.get("/api/authz/forward-auth?limit=orders").await.expect(200);
    assert_eq!(answer.header("ratelimit-policy"), r#""authz";q=5;w=60, "orders";q=2;w=3600"#);
    assert_eq!(answer.header("ratelimit"), r#""orders";r=1;t=3600"#);
    assert_eq!(browser.get(EXT_AUTHZ).await.expect(200).header("ratelimit"), r#""authz";r=3;t=60"#);
    // Without a session it counts too.
    browser.private_window().get(AUTH_REQUEST).await.expect(401);
    browser.get("/api/authz/forward-auth?limit=orders").await.expect(200);
    let refused = browser.get("/api/authz/forward-auth?limit=orders").await;
    assert_eq!(expect_refusal(refused, 429, "rate-limited").header("retry-after"), "3600");
    // A client can name a limit only to be refused by it.
    expect_refusal(send(&browser, "GET", EXT_AUTHZ, &[(LIMIT, "orders")]).await, 429, "rate-limited");
    browser.get(FORWARD_AUTH).await.expect(429);
    assert_eq!(browser.get("/session").await.status, 200, "other limits are others");
}

#[tokio::test]
async fn nginx_is_told_of_a_limit_by_403_and_a_header() {
    let world = World::with([("HALLPASS_GUARD__LIMITS__ORDERS", "1 per minute")]).await;
    let (_, mut browser) = world.somebody().await;
    browser.get("/api/authz/auth-request?limit=orders").await.expect(200);
    let refused = expect_refusal(browser.get("/api/authz/auth-request?limit=orders").await, 403, "rate-limited");
    assert_eq!((refused.header("retry-after"), refused.header("ratelimit")), ("60", r#""orders";r=0;t=60"#));
}

#[tokio::test]
async fn a_form_that_is_guarded_makes_no_page_of_the_proxys_answer() {
    let world = World::with([("HALLPASS_GUARD__LIMITS__ORDERS", "1 per minute")]).await;
    let (_, browser) = world.somebody().await;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    send(&browser, "POST", "/api/authz/auth-request?limit=orders", &form).await.expect(200);
    let refused = send(&browser, "POST", "/api/authz/auth-request?limit=orders", &form).await;
    expect_refusal(refused, 403, "rate-limited").expect_problem(403, "rate-limited");
}

#[tokio::test]
async fn a_question_that_demands_what_nobody_set_counts_too() {
    let world = World::with([("HALLPASS_LIMITS__AUTHZ", "2 per minute")]).await;
    let (_, mut browser) = world.somebody().await;
    for (demand, status, remaining) in
        [("limit=nope", 400, 1), ("level=nope", 400, 0), ("limit=nope", 429, 0), ("level=nope", 429, 0)]
    {
        let answer = browser.get(&format!("/api/authz/forward-auth?{demand}")).await.expect(status);
        assert_eq!(answer.header("ratelimit-policy"), r#""authz";q=2;w=60"#, "{demand}");
        assert_eq!(answer.header("ratelimit"), format!(r#""authz";r={remaining};t=60"#), "{demand}");
    }
}

#[tokio::test]
async fn limits_of_guarded_apis_count_by_the_client_and_not_by_the_proxy() {
    let world =
        World::with([("HALLPASS_TRUSTED_PROXIES", "192.0.2.0/24"), ("HALLPASS_GUARD__LIMITS__ORDERS", "1 per minute")])
            .await;
    let (_, browser) = world.somebody().await;
    let mut behind = world.browser_at("192.0.2.9".parse().unwrap());
    behind.cookies = browser.cookies.clone();
    let [one, other] = [world.browser().address().to_string(), world.browser().address().to_string()];
    for (client, status) in [(&one, 200), (&one, 429), (&other, 200)] {
        let answer = send(&behind, "GET", "/api/authz/forward-auth?limit=orders", &[("x-forwarded-for", client)]).await;
        assert_eq!(answer.status, status);
    }
    // A stranger is itself, whatever it says.
    for (client, status) in [(&one, 200), (&other, 429)] {
        let answer =
            send(&browser, "GET", "/api/authz/forward-auth?limit=orders", &[("x-forwarded-for", client)]).await;
        assert_eq!(answer.status, status);
    }
}

#[tokio::test]
async fn a_browser_without_a_session_is_sent_to_the_login_page_and_back_to_a_path_of_ours() {
    let world =
        World::with([("HALLPASS_PUBLIC_URL", "https://login.example.org"), ("HALLPASS_TRUSTED_PROXIES", "192.0.2.9")])
            .await;
    let (page, proto) = (("accept", "text/html"), ("x-forwarded-proto", "https"));
    let ours = ("x-forwarded-host", "login.example.org");
    let theirs = ("x-forwarded-host", "evil.example");
    let uri = ("x-forwarded-uri", "/orders?page=2&q=a%20b");
    let login = "https://login.example.org/login";
    let back = "https://login.example.org/login?next=/orders%3Fpage%3D2%26q%3Da%2520b";
    let proxy = world.browser_at("192.0.2.9".parse().unwrap());
    for (headers, location) in [
        (&[page, proto, ours, uri][..], back),
        (&[page, proto, theirs, uri], login),
        (&[page, ("x-forwarded-proto", "http"), ours, uri], login),
        (&[page, proto, ours, ("x-forwarded-uri", "//evil.example")], login),
        (&[page, proto, ours, ("x-forwarded-uri", "/\\evil.example")], login),
        (&[page, proto, ours, ("x-forwarded-uri", "https://evil.example/")], login),
        (&[page, proto, ours, theirs, uri], login),
        (&[page, ("host", "evil.example"), ("forwarded", "host=evil.example")], login),
    ] {
        let answer = send(&proxy, "GET", FORWARD_AUTH, headers).await.expect(302);
        assert_eq!(answer.header("location"), location, "{headers:?}");
        assert_eq!(answer.header("x-hallpass-reason"), "session-required");
        assert!(answer.body.is_empty() && answer.headers.contains_key("ratelimit"));
        let stranger = send(&world.browser(), "GET", FORWARD_AUTH, headers).await.expect(302);
        assert_eq!(stranger.header("location"), login, "{headers:?}");
    }
    // Whoever is no browser that goes somewhere is told in plain words, and so are proxies that can't pass it on.
    for path in ENDPOINTS {
        send(&proxy, "GET", path, &[proto, ours, uri]).await.expect_problem(401, "session-required");
    }
    for path in [AUTH_REQUEST, EXT_AUTHZ] {
        send(&proxy, "GET", path, &[page, proto, ours, uri]).await.expect(401);
    }
}

#[tokio::test]
async fn a_browser_is_not_sent_to_log_in_where_that_would_not_help() {
    let world = World::with([("HALLPASS_GUARD__LIMITS__ORDERS", "1 per minute")]).await;
    let (_, browser) = world.somebody().await;
    let page = [("accept", "text/html"), ("sec-fetch-mode", "navigate")];
    send(&browser, "GET", "/api/authz/forward-auth?limit=orders", &page).await.expect(200);
    for (demand, status) in [("level=aal2", 403), ("limit=orders", 429), ("level=aal3", 400)] {
        send(&browser, "GET", &format!("{FORWARD_AUTH}?{demand}"), &page).await.expect(status);
    }
    world.recorder.cut_off(Recorder::ALL);
    send(&browser, "GET", FORWARD_AUTH, &page).await.expect(503);
}

#[tokio::test]
async fn another_sites_request_to_a_guarded_api_is_refused_if_it_may_change_something() {
    let world = World::new().await;
    let (name, browser) = world.somebody().await;
    let bearer = world.bearer(&name).await;
    let cross = ("sec-fetch-site", "cross-site");
    for path in [FORWARD_AUTH, AUTH_REQUEST] {
        for method in ["POST", "DELETE", "post", "PROPFIND", "G E T"] {
            let headers = [cross, ("x-forwarded-method", method)];
            expect_refusal(send(&browser, "GET", path, &headers).await, 403, "cross-origin");
            send(&bearer, "GET", path, &headers).await.expect(200);
        }
        send(&browser, "GET", path, &[cross, ("x-forwarded-method", "GET")]).await.expect(200);
        send(&browser, "GET", path, &[("sec-fetch-site", "same-origin"), ("x-forwarded-method", "POST")])
            .await
            .expect(200);
    }
    send(&browser, "POST", "/api/authz/ext-authz/orders", &[cross]).await.expect_problem(403, "cross-origin");
    send(&browser, "GET", "/api/authz/ext-authz/orders", &[cross]).await.expect(200);
}

#[tokio::test]
async fn while_the_store_is_away_nobody_passes() {
    let world = World::new().await;
    let (_, mut browser) = world.somebody().await;
    for path in ENDPOINTS {
        browser.get(path).await.expect(200);
    }
    world.recorder.cut_off(Recorder::ALL);
    for path in ENDPOINTS {
        let answer = browser.get(path).await.expect_problem(503, "unavailable");
        expect_refusal(answer, 503, "unavailable");
    }
    world.recorder.reconnect();
    browser.get(FORWARD_AUTH).await.expect(200);
}

#[tokio::test]
async fn while_either_sessions_or_limits_are_away_nobody_passes() {
    let world = World::with([("HALLPASS_GUARD__LIMITS__ORDERS", "50 per minute")]).await;
    let (_, mut browser) = world.somebody().await;
    for path in ["/api/authz/forward-auth?limit=orders", "/api/authz/auth-request?limit=orders"] {
        browser.get(path).await.expect(200);
        for operations in [&["BatchGetItem"], &["UpdateItem"]] {
            world.recorder.cut_off(operations);
            expect_refusal(browser.get(path).await, 503, "unavailable");
        }
        world.recorder.reconnect();
        browser.get(path).await.expect(200);
    }
}
