//! A name and a password in; a session out, or a refusal.

use aws_sdk_dynamodb::types::AttributeValue;
use hallpass_tests::{PASSWORD, World, world::fresh_name};
use serde_json::json;

#[tokio::test]
async fn the_right_password_opens_a_session() {
    let world = World::new().await;
    let (name, _) = world.somebody().await;
    let mut browser = world.browser();
    let answer = browser.log_in(&name).await.value();
    assert_eq!(answer["user"]["username"], name);
    assert_eq!(answer["session"]["current"], true);
    assert!(browser.is_logged_in().await);
}

#[tokio::test]
async fn an_unknown_name_and_a_wrong_password_get_the_same_answer() {
    let world = World::new().await;
    let (name, _) = world.somebody().await;
    let (of_two_steps, ..) = world.somebody_with_totp().await;
    let refused = async |name: &str| world.browser().log_in_with(name, "not the password").await;
    let wrong = refused(&name).await.expect_problem(401, "invalid-credentials").told();
    assert_eq!(refused(&of_two_steps).await.told(), wrong);
    for unknown in [&fresh_name(), "x", "not a name!"] {
        assert_eq!(refused(unknown).await.told(), wrong, "{unknown}");
    }
}

#[tokio::test]
async fn every_login_gets_a_token_of_its_own_and_the_one_it_came_with_is_dead() {
    let world = World::new().await;
    let (name, mut browser) = world.somebody().await;
    let first = browser.clone();
    browser.log_in(&name).await;
    assert_ne!(first.cookies["__Host-session"], browser.cookies["__Host-session"]);
    assert!(browser.is_logged_in().await);
    assert!(!first.clone().is_logged_in().await);
}

#[tokio::test]
async fn a_login_by_two_steps_ends_the_session_it_came_with() {
    let world = World::new().await;
    let (name, mut browser, authenticator, _) = world.somebody_with_totp().await;
    let mut first = browser.clone();
    browser.log_in(&name).await;
    browser.verify(&authenticator.code(world.now())).await.expect(200);
    assert!(browser.is_logged_in().await);
    assert!(!first.is_logged_in().await);
}

#[tokio::test]
async fn a_planted_session_cookie_is_never_valid_and_never_taken_over() {
    let world = World::new().await;
    let (name, owner) = world.somebody().await;
    let planted = owner.cookies["__Host-session"].replace(|c: char| c.is_ascii_digit(), "A");
    let mut browser = world.browser();
    browser.cookies.insert("__Host-session".to_owned(), planted.clone());
    browser.log_in(&name).await;
    assert_ne!(browser.cookies["__Host-session"], planted);
    let mut attacker = world.browser();
    attacker.cookies.insert("__Host-session".to_owned(), planted);
    assert!(!attacker.is_logged_in().await);
}

#[tokio::test]
async fn somebody_elses_session_in_the_browser_outlives_a_login() {
    let world = World::new().await;
    let (name, _) = world.somebody().await;
    let (_, other) = world.somebody().await;
    let mut browser = other.clone();
    browser.log_in(&name).await;
    assert!(other.clone().is_logged_in().await, "one's login has no power over another's sessions");
}

#[tokio::test]
async fn passwords_that_share_a_beginning_are_different() {
    let world = World::new().await;
    let name = fresh_name();
    let long = format!("{}1", "a long beginning ".repeat(10));
    world.browser().post("/register", json!({ "username": name, "password": long })).await.expect(201);
    let mut other = long.clone();
    other.pop();
    other.push('2');
    world.browser().log_in_with(&name, &other).await.expect(401);
    world.browser().log_in_with(&name, &long).await.expect(200);
}

#[tokio::test]
async fn cookie_and_bearer_token_together_are_refused() {
    let world = World::new().await;
    let (name, browser) = world.somebody().await;
    let mut both = world.bearer(&name).await;
    both.cookies = browser.cookies;
    for path in ["/session", "/sessions"] {
        both.get(path).await.expect_problem(400, "ambiguous-credentials");
    }
    let mut doubled = both.clone();
    doubled = doubled.header("cookie", "__Host-session=x");
    doubled.get("/session").await.expect_problem(400, "ambiguous-credentials");
    for path in ["/api/resource", "/openapi.json", "/docs"] {
        both.get(path).await.expect_problem(400, "ambiguous-credentials");
    }
    let credentials = json!({ "username": name, "password": PASSWORD });
    for (path, body) in [
        ("/logout", json!({})),
        ("/login", credentials.clone()),
        ("/register", credentials),
        ("/login/verify", json!({ "code": "123456" })),
    ] {
        both.post(path, body).await.expect_problem(400, "ambiguous-credentials");
    }
}

#[tokio::test]
async fn a_password_that_is_longer_than_any_is_a_wrong_one() {
    let world = World::new().await;
    let longest = "y".repeat(256);
    let name = fresh_name();
    let registration = json!({ "username": name, "password": longest });
    let mut owner = world.browser();
    owner.post("/register", registration).await.expect(201);
    for beyond in [1, 768, 10_000] {
        let longer = longest.clone() + &"y".repeat(beyond);
        world.browser().log_in_with(&name, &longer).await.expect_problem(401, "invalid-credentials");
        owner.post("/totp", json!({ "password": longer })).await.expect_problem(401, "invalid-credentials");
    }
    world.browser().log_in_with(&name, &longest).await.expect(200);
}

#[tokio::test]
async fn an_older_cost_is_rehashed_at_login() {
    let world = World::new().await;
    let (name, mut browser) = world.somebody().await;
    let dearer = world.instance_with_settings(|settings| settings.password.memory_kib = 128);
    let id = browser.get("/session").await.expect(200).value()["user"]["id"].as_str().unwrap().to_owned();
    // Each verifies what the other has hashed.
    for (instance, memory) in [(&world, "m=64,"), (&dearer, "m=128,"), (&world, "m=64,"), (&dearer, "m=128,")] {
        instance.browser().log_in(&name).await;
        let key = AttributeValue::S(format!("user#{id}"));
        let found = world.client().get_item().table_name(world.table("users")).key("id", key).send().await.unwrap();
        let stored = found.item.unwrap()["phc"].as_s().unwrap().clone();
        assert!(stored.contains(memory), "{stored}");
    }
}

/// A password has no age (ASVS 5.0 6.2.10).
#[tokio::test]
async fn a_password_logs_in_after_ten_years() {
    let world = World::new().await;
    let (name, _) = world.somebody().await;
    world.pass(10 * 365 * 24 * 3600);
    let mut browser = world.browser();
    browser.log_in(&name).await;
    assert!(browser.is_logged_in().await);
}
