//! What answers tell of a user and a session, key by key (ASVS 5.0 8.2.3, 15.3.1).

use hallpass_tests::{Answer, PASSWORD, World, world::fresh_name};
use serde_json::{Value, json};

const USER: [&str; 4] = ["created_at", "id", "totp_enabled", "username"];
const SESSION: [&str; 9] =
    ["client", "created_at", "current", "expires_at", "id", "idle_expires_at", "last_seen_at", "level", "methods"];

#[track_caller]
fn assert_keys(document: &Value, keys: &[&str]) {
    let mut found: Vec<&str> = document.as_object().unwrap().keys().map(String::as_str).collect();
    found.sort_unstable();
    assert_eq!(found, keys);
}

#[track_caller]
fn assert_tells_of_user_and_session(answer: &Answer, user: &[&str]) {
    let document = answer.value();
    assert_keys(&document, &["session", "user"]);
    assert_keys(&document["user"], user);
    assert_tells_of_session(&document["session"]);
}

#[track_caller]
fn assert_tells_of_session(session: &Value) {
    assert_keys(session, &SESSION);
    assert_keys(&session["client"], &["address", "user_agent"]);
}

#[tokio::test]
async fn answers_tell_of_a_user_and_a_session_what_the_contract_says_and_no_more() {
    let world = World::new().await;
    let mut browser = world.browser().header("user-agent", "Browser/1.0");
    let name = fresh_name();
    for answer in
        [browser.register(&name).await, browser.log_in(&name).await, browser.get("/session").await.expect(200)]
    {
        assert_tells_of_user_and_session(&answer, &USER);
    }
    let list = browser.get("/sessions").await.expect(200).value();
    assert_keys(&list, &["sessions"]);
    list["sessions"].as_array().unwrap().iter().for_each(assert_tells_of_session);
}

#[tokio::test]
async fn an_address_is_told_of_a_user_who_gave_one_and_a_token_to_who_asked_for_one() {
    let world = World::new().await;
    let mut browser = world.browser();
    let email = format!("{}@example.org", fresh_name());
    let body = json!({ "username": fresh_name(), "password": PASSWORD, "email": email, "delivery": "token" });
    let answer = browser.post("/register", body).await.expect(201).value();
    assert_keys(&answer, &["session", "token", "user"]);
    assert_keys(&answer["user"], &["created_at", "email", "id", "totp_enabled", "username"]);
}

#[tokio::test]
async fn a_pending_login_tells_nothing_of_the_user_and_its_completion_what_every_login_does() {
    let world = World::new().await;
    let (name, _, authenticator, _) = world.somebody_with_totp().await;
    let mut browser = world.browser().header("user-agent", "Browser/1.0");
    assert_keys(&browser.log_in(&name).await.value(), &["expires_at", "methods", "next"]);
    let answer = browser.verify(&authenticator.code(world.now())).await.expect(200);
    assert_tells_of_user_and_session(&answer, &USER);
}
