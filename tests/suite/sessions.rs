//! Sessions are shown, listed, renewed and ended.

use axum::http::Method;
use hallpass_tests::{PASSWORD, World};
use serde_json::{Value, json};

fn ids(list: &Value) -> Vec<String> {
    list["sessions"].as_array().unwrap().iter().map(|session| session["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn without_a_session_every_guarded_route_asks_for_one() {
    let world = World::new().await;
    let mut browser = world.browser();
    for (method, path) in [
        (Method::GET, "/session"),
        (Method::GET, "/sessions"),
        (Method::DELETE, "/sessions"),
        (Method::DELETE, "/sessions/x"),
    ] {
        let answer = browser.ask(method, path).await.expect_problem(401, "session-required");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    for path in [
        "/password",
        "/totp",
        "/totp/confirm",
        "/totp/disable",
        "/recovery-codes",
        "/sessions/revoke-others",
        "/sessions/x/revoke",
    ] {
        browser.post(path, json!({})).await.expect_problem(401, "session-required");
    }
}

#[tokio::test]
async fn a_session_ends_of_idleness_to_the_second() {
    let world = World::new().await;
    let (_, mut browser) = world.somebody().await;
    world.pass(3599);
    assert!(browser.is_logged_in().await);
    world.pass(3600);
    assert!(!browser.is_logged_in().await);
}

#[tokio::test]
async fn use_keeps_a_session_alive_until_its_absolute_lifetime() {
    let world = World::new().await;
    let (_, mut browser) = world.somebody().await;
    for _ in 0..47 {
        world.pass(1800);
        assert!(browser.is_logged_in().await);
    }
    world.pass(1799);
    assert!(browser.is_logged_in().await);
    world.pass(1);
    assert!(!browser.is_logged_in().await);
}

#[tokio::test]
async fn timeouts_can_be_set() {
    let world = World::with([("HALLPASS_SESSION__IDLE", "90s"), ("HALLPASS_SESSION__LIFETIME", "2m")]).await;
    let (_, mut browser) = world.somebody().await;
    world.pass(89);
    assert!(browser.is_logged_in().await);
    world.pass(31);
    assert!(!browser.is_logged_in().await, "the lifetime counts from the login");
}

#[tokio::test]
async fn sessions_are_listed_newest_first_with_the_current_one_marked() {
    let world = World::new().await;
    let (name, mut first) = world.somebody().await;
    world.pass(10);
    let mut second = world.browser().header("user-agent", "Second/2.0 <script>");
    second.log_in(&name).await;
    let list = first.get("/sessions").await.expect(200).value();
    let sessions = list["sessions"].as_array().unwrap();
    assert_eq!(sessions.iter().map(|session| session["current"].as_bool().unwrap()).collect::<Vec<_>>(), [false, true]);
    assert_eq!(sessions[0]["client"]["user_agent"], "Second/2.0 <script>");
    assert_eq!(sessions[0]["client"]["address"], second.address().to_string());
    for field in ["id", "created_at", "last_seen_at", "idle_expires_at", "expires_at", "level", "methods"] {
        assert!(!sessions[0][field].is_null(), "{field}");
    }
}

#[tokio::test]
async fn a_client_is_called_by_what_is_visible_of_its_name_or_by_nothing() {
    let world = World::new().await;
    let (name, mut browser) = world.somebody().await;
    let latin = world.browser().header("user-agent", "Böse/1.0").log_in(&name).await.value();
    assert_eq!(latin["session"]["client"]["user_agent"], "B??se/1.0", "each byte that is no visible ASCII");
    let list = browser.get("/sessions").await.expect(200).value();
    let agents: Vec<&Value> =
        list["sessions"].as_array().unwrap().iter().map(|session| &session["client"]["user_agent"]).collect();
    assert!(agents.contains(&&json!("")), "{agents:?}");
}

#[tokio::test]
async fn times_are_told_to_the_millisecond_whatever_they_are() {
    let world = World::new().await;
    for _ in 0..2 {
        let (_, mut browser) = world.somebody().await;
        let told = browser.get("/session").await.expect(200).value();
        let times = [
            &told["user"]["created_at"],
            &told["session"]["created_at"],
            &told["session"]["last_seen_at"],
            &told["session"]["idle_expires_at"],
            &told["session"]["expires_at"],
        ];
        for time in times {
            let time = time.as_str().unwrap();
            assert_eq!((time.len(), &time[19..20], &time[23..]), (24, ".", "Z"), "{time}");
        }
        // Another number of digits, were they not filled up.
        world.pass_millis(if world.now().as_millisecond() % 1000 == 0 { 10 } else { 990 });
    }
}

#[tokio::test]
async fn one_session_ends_another_and_only_ones_own() {
    let world = World::new().await;
    let (name, mut first) = world.somebody().await;
    let mut second = world.browser();
    let id = second.log_in(&name).await.value()["session"]["id"].as_str().unwrap().to_owned();
    let (_, mut stranger) = world.somebody().await;
    for nonsense in [id.as_str(), "epoch", "login%23x", "AAAA", &id[1..], "../sessions"] {
        assert_eq!(stranger.delete(&format!("/sessions/{nonsense}"), Value::Null).await.status, 404, "{nonsense}");
    }
    assert!(second.is_logged_in().await);
    first.delete(&format!("/sessions/{id}"), Value::Null).await.expect(204);
    assert!(!second.is_logged_in().await);
    first.delete(&format!("/sessions/{id}"), Value::Null).await.expect_problem(404, "not-found");
    assert!(first.is_logged_in().await);
}

#[tokio::test]
async fn an_expired_session_is_no_session_to_end() {
    let world = World::new().await;
    let (name, mut browser) = world.somebody().await;
    let mut idle = world.browser();
    let id = idle.log_in(&name).await.value()["session"]["id"].as_str().unwrap().to_owned();
    world.pass(1800);
    assert!(browser.is_logged_in().await);
    world.pass(1800);
    browser.delete(&format!("/sessions/{id}"), Value::Null).await.expect_problem(404, "not-found");
}

#[tokio::test]
async fn an_id_that_is_not_even_text_is_not_found() {
    let world = World::new().await;
    let (_, mut browser) = world.somebody().await;
    browser.delete("/sessions/%FF", Value::Null).await.expect_problem(404, "not-found");
    browser.post("/sessions/%FF/revoke", json!({})).await.expect_problem(404, "not-found");
}

#[tokio::test]
async fn ending_the_current_session_logs_out() {
    let world = World::new().await;
    let (_, mut browser) = world.somebody().await;
    let id = ids(&browser.get("/sessions").await.value()).remove(0);
    let kept = browser.clone();
    browser.delete(&format!("/sessions/{id}"), Value::Null).await.expect(204);
    assert!(!browser.cookies.contains_key("__Host-session"));
    assert!(!kept.clone().is_logged_in().await);
}

#[tokio::test]
async fn all_others_end_at_once_and_are_counted() {
    let world = World::new().await;
    let (name, mut browser) = world.somebody().await;
    let mut others = Vec::new();
    for _ in 0..3 {
        let mut other = world.browser();
        other.log_in(&name).await;
        others.push(other);
    }
    assert_eq!(browser.delete("/sessions", Value::Null).await.expect(200).value(), json!({ "revoked": 3 }));
    for mut other in others {
        assert!(!other.is_logged_in().await);
    }
    assert!(browser.is_logged_in().await);
    assert_eq!(browser.delete("/sessions", Value::Null).await.expect(200).value(), json!({ "revoked": 0 }));
}

/// Those of before a change of credentials stay in the store until TTL takes them.
#[tokio::test]
async fn all_others_end_in_one_transaction_however_many_dead_ones_are_left() {
    let world = World::with([("HALLPASS_SESSION__MAX_PER_USER", "90")]).await;
    let (name, mut browser) = world.somebody().await;
    let mut password = PASSWORD;
    for next in [Some("another good password"), None] {
        for _ in 0..89 {
            world.browser().log_in_with(&name, password).await.expect(200);
        }
        if let Some(next) = next {
            let change = json!({ "current_password": password, "new_password": next });
            browser.post("/password", change).await.expect(204);
            password = next;
        }
    }
    world.recorder.clear();
    assert_eq!(browser.delete("/sessions", Value::Null).await.expect(200).value(), json!({ "revoked": 89 }));
    let commits = world.recorder.operations().into_iter().filter(|operation| operation == "TransactWriteItems");
    assert_eq!(commits.count(), 1);
    assert_eq!(browser.get("/sessions").await.value()["sessions"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn ending_all_other_sessions_ends_half_finished_logins() {
    let world = World::new().await;
    let (name, mut owner, authenticator, codes) = world.somebody_with_totp().await;
    let mut thief = world.browser();
    thief.log_in(&name).await;
    assert_eq!(owner.delete("/sessions", Value::Null).await.expect(200).value(), json!({ "revoked": 0 }));
    let code = authenticator.code(world.now());
    thief.verify(&code).await.expect_problem(401, "login-expired");
    thief.post("/login/verify", json!({ "recovery_code": codes[0] })).await.expect_problem(401, "login-expired");
    assert!(owner.is_logged_in().await);
    let mut second = world.browser();
    second.log_in(&name).await;
    second.verify(&code).await.expect(200);
}

#[tokio::test]
async fn more_half_finished_logins_than_one_transaction_holds_end_with_all_other_sessions() {
    let world = World::new().await;
    let (name, mut owner, authenticator, _) = world.somebody_with_totp().await;
    let code = authenticator.code(world.now());
    let mut other = world.browser();
    other.log_in(&name).await;
    other.verify(&code).await.expect(200);
    world.pass(30);
    let mut thieves = Vec::new();
    for _ in 0..101 {
        let mut thief = world.browser();
        thief.log_in(&name).await;
        thieves.push(thief);
    }
    assert_eq!(owner.delete("/sessions", Value::Null).await.expect(200).value(), json!({ "revoked": 1 }));
    assert!(!other.is_logged_in().await);
    let code = authenticator.code(world.now());
    for mut thief in thieves {
        thief.verify(&code).await.expect_problem(401, "login-expired");
    }
}

#[tokio::test]
async fn one_session_more_than_allowed_ends_the_oldest() {
    let world = World::with([("HALLPASS_SESSION__MAX_PER_USER", "3")]).await;
    let (name, mut first) = world.somebody().await;
    let mut browsers = Vec::new();
    for _ in 0..3 {
        world.pass(1);
        let mut browser = world.browser();
        browser.log_in(&name).await;
        browsers.push(browser);
    }
    assert!(!first.is_logged_in().await);
    for browser in &mut browsers {
        assert!(browser.is_logged_in().await);
    }
    assert_eq!(ids(&browsers[0].get("/sessions").await.value()).len(), 3);
}

#[tokio::test]
async fn a_login_in_place_of_a_session_needs_no_room() {
    let world = World::with([("HALLPASS_SESSION__MAX_PER_USER", "3")]).await;
    let (name, mut oldest) = world.somebody().await;
    let (mut middle, mut newest) = (world.browser(), world.browser());
    middle.log_in(&name).await;
    for _ in 0..2 {
        world.pass(1);
        newest.log_in(&name).await;
    }
    for browser in [&mut oldest, &mut middle, &mut newest] {
        assert!(browser.is_logged_in().await);
    }
}

#[tokio::test]
async fn a_login_in_place_of_a_session_counts_it_once_where_more_are_open_than_allowed_now() {
    let world = World::new().await;
    let stricter = world.instance_with_settings(|settings| settings.session.max_per_user = 2);
    for is_oldest in [true, false] {
        let (name, oldest) = world.somebody().await;
        let mut browsers = vec![oldest];
        for _ in 0..3 {
            world.pass(1);
            let mut browser = world.browser();
            browser.log_in(&name).await;
            browsers.push(browser);
        }
        let replaced = if is_oldest { 0 } else { 3 };
        let mut again = stricter.browser();
        again.cookies = browsers.remove(replaced).cookies;
        again.log_in(&name).await.expect(200);
        let mut newest_other = browsers.pop().unwrap();
        assert!(again.is_logged_in().await);
        assert!(newest_other.is_logged_in().await, "two are allowed");
        assert_eq!(ids(&again.get("/sessions").await.value()).len(), 2);
    }
}

#[tokio::test]
async fn ended_and_expired_sessions_make_room_before_the_oldest_does() {
    let world = World::with([("HALLPASS_SESSION__MAX_PER_USER", "3")]).await;
    let (name, mut oldest) = world.somebody().await;
    let (mut idle, mut left) = (world.browser(), world.browser());
    idle.log_in(&name).await;
    left.log_in(&name).await;
    left.post("/logout", json!({})).await.expect(204);
    for _ in 0..3 {
        world.pass(1800);
        assert!(oldest.is_logged_in().await);
    }
    for _ in 0..2 {
        world.browser().log_in(&name).await;
    }
    assert!(oldest.is_logged_in().await, "one left, one is idle: two more fit");
    world.browser().log_in(&name).await;
    assert!(!oldest.is_logged_in().await);
}

#[tokio::test]
async fn logging_out_ends_the_session_in_the_store() {
    let world = World::new().await;
    let (_, mut browser) = world.somebody().await;
    let kept = browser.clone();
    browser.ask(Method::POST, "/logout").await.expect(204);
    assert!(!browser.cookies.contains_key("__Host-session"));
    assert!(!kept.clone().is_logged_in().await);
}

#[tokio::test]
async fn logging_out_without_a_session_is_no_error() {
    let world = World::new().await;
    world.browser().ask(Method::POST, "/logout").await.expect(204);
    let mut browser = world.browser();
    browser.cookies.insert("__Host-session".to_owned(), "nonsense".to_owned());
    browser.ask(Method::POST, "/logout").await.expect(204);
}

#[tokio::test]
async fn a_bearer_session_logs_out_too() {
    let world = World::new().await;
    let (name, _) = world.somebody().await;
    let mut client = world.bearer(&name).await;
    assert!(client.is_logged_in().await);
    client.ask(Method::POST, "/logout").await.expect(204);
    assert!(!client.is_logged_in().await);
}

#[tokio::test]
async fn a_forged_or_edited_token_opens_nothing() {
    let world = World::new().await;
    let (_, owner) = world.somebody().await;
    let token = &owner.cookies["__Host-session"];
    for (index, _) in token.char_indices().step_by(7) {
        let mut edited = token.clone();
        let other = if &token[index..=index] == "A" { "B" } else { "A" };
        edited.replace_range(index..=index, other);
        let mut browser = world.browser();
        browser.cookies.insert("__Host-session".to_owned(), edited);
        assert!(!browser.is_logged_in().await, "{index}");
    }
}

#[tokio::test]
async fn look_alike_and_doubled_cookies_open_nothing() {
    let world = World::new().await;
    let (_, owner) = world.somebody().await;
    let token = &owner.cookies["__Host-session"];
    for line in [
        format!("__Host-session={token}; __Host-session={token}"),
        format!("__host-session={token}"),
        format!("__Host-sessio={token}"),
        format!("session={token}"),
        format!("__Host-login={token}"),
        format!("__Host-device={token}"),
    ] {
        let mut browser = world.browser().header("cookie", &line);
        assert!(!browser.is_logged_in().await, "{line}");
    }
}

/// Cookies that fill a header nearly to what the server reads of one.
fn many_cookies(name: impl Fn(usize) -> String, value: &str, number: usize) -> String {
    (0..number).map(|index| format!("{}={value}", name(index))).collect::<Vec<_>>().join("; ")
}

#[tokio::test]
async fn a_hundred_cookies_or_a_large_one_open_nothing_and_are_answered_like_none() {
    let world = World::new().await;
    let (_, owner) = world.somebody().await;
    let token = &owner.cookies["__Host-session"];
    for line in [
        many_cookies(|_| "__Host-session".to_owned(), token, 100),
        many_cookies(|index| format!("__Host-session{index}"), token, 100),
        many_cookies(|index| format!("{index}__Host-session"), token, 100),
        format!("__Host-session={token}{}", "A".repeat(30_000)),
        format!("{}; __Host-session={token}", many_cookies(|_| "__Host-session".to_owned(), "", 99)),
        many_cookies(|_| "__Host-device".to_owned(), &"A".repeat(300), 99),
    ] {
        let mut browser = world.browser().header("cookie", &line);
        browser.get("/session").await.expect_problem(401, "session-required");
        browser.verify("123456").await.expect_problem(401, "login-expired");
        browser.get("/account").await.expect(303);
        browser.ask(Method::POST, "/logout").await.expect(204);
    }
    assert!(owner.clone().is_logged_in().await);
}

#[tokio::test]
async fn a_session_is_found_among_a_hundred_cookies() {
    let world = World::new().await;
    let (_, owner) = world.somebody().await;
    let others = many_cookies(|index| format!("cookie-{index}"), &"x".repeat(250), 99);
    assert!(owner.header("cookie", &others).is_logged_in().await);
}

#[tokio::test]
async fn a_token_in_the_query_opens_nothing() {
    let world = World::new().await;
    let (_, owner) = world.somebody().await;
    let token = &owner.cookies["__Host-session"];
    let names = ["token", "access_token", "session", "__Host-session", "authorization"];
    let query = names.map(|name| format!("{name}={token}")).join("&");
    for path in ["/session", "/sessions"] {
        let answer = world.browser().get(&format!("{path}?{query}")).await;
        answer.expect_problem(401, "session-required");
    }
    world.browser().get(&format!("/account?{query}")).await.expect(303);
}

#[tokio::test]
async fn use_of_any_guarded_route_keeps_a_session_alive() {
    let world = World::new().await;
    for (method, path) in [
        (Method::GET, "/session"),
        (Method::GET, "/sessions"),
        (Method::POST, "/password"),
        (Method::POST, "/totp"),
        (Method::POST, "/recovery-codes"),
    ] {
        let (_, mut browser) = world.somebody().await;
        world.pass(3000);
        // What the route says to an empty body is no matter.
        browser.ask(method.clone(), path).await;
        world.pass(3000);
        assert!(browser.is_logged_in().await, "{method} {path}");
    }
}

#[tokio::test]
async fn a_login_with_a_second_step_makes_room_as_well() {
    let world = World::with([("HALLPASS_SESSION__MAX_PER_USER", "1")]).await;
    let (name, mut first, authenticator, _) = world.somebody_with_totp().await;
    let mut second = world.browser();
    second.log_in(&name).await;
    second.verify(&authenticator.code(world.now())).await.expect(200);
    assert!(second.is_logged_in().await);
    assert!(!first.is_logged_in().await);
}
