//! A change of credentials is proven, ends every other session and renews the one that asked.

use hallpass_tests::{Browser, PASSWORD, World, world::fresh_name};
use serde_json::json;

const NEW_PASSWORD: &str = "another good password";

async fn change_password(browser: &mut Browser) {
    browser.post("/password", json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD })).await.expect(204);
}

#[tokio::test]
async fn a_new_password_replaces_the_old_one() {
    let world = World::new().await;
    let (name, mut browser) = world.somebody().await;
    change_password(&mut browser).await;
    world.browser().log_in_with(&name, PASSWORD).await.expect_problem(401, "invalid-credentials");
    world.browser().log_in_with(&name, NEW_PASSWORD).await.expect(200);
}

#[tokio::test]
async fn the_current_password_is_asked_for_and_the_new_one_checked() {
    let world = World::new().await;
    let (name, mut browser) = world.somebody().await;
    browser
        .post("/password", json!({ "current_password": "not the password", "new_password": NEW_PASSWORD }))
        .await
        .expect_problem(401, "invalid-credentials");
    for weak in ["short", "password123", name.as_str(), &"x".repeat(257)] {
        let answer = browser
            .post("/password", json!({ "current_password": PASSWORD, "new_password": weak }))
            .await
            .expect_problem(422, "weak-password");
        assert_eq!(answer.value()["errors"][0]["field"], "new_password");
    }
    assert!(browser.is_logged_in().await);
}

#[tokio::test]
async fn a_new_password_obeys_the_settings_and_is_not_ones_own_address() {
    let world = World::with([("HALLPASS_PASSWORD__MIN_LENGTH", "15")]).await;
    let mut browser = world.browser();
    let email = format!("{}@example.org", fresh_name());
    let body = json!({ "username": fresh_name(), "password": "a password of some length", "email": email });
    browser.post("/register", body).await.expect(201);
    for weak in ["fourteen chars", &email] {
        let body = json!({ "current_password": "a password of some length", "new_password": weak });
        browser.post("/password", body).await.expect_problem(422, "weak-password");
    }
}

#[tokio::test]
async fn a_password_change_ends_every_other_session_and_renews_this_one() {
    let world = World::new().await;
    let (name, mut browser) = world.somebody().await;
    let mut other = world.browser();
    other.log_in(&name).await;
    let old_token = browser.clone();
    change_password(&mut browser).await;
    assert!(!other.is_logged_in().await);
    assert!(!old_token.clone().is_logged_in().await);
    assert!(browser.is_logged_in().await);
    let sessions = browser.get("/sessions").await.value();
    assert_eq!(sessions["sessions"].as_array().unwrap().len(), 1);
}

/// Too soon after the last use for a use by itself to be written down.
#[tokio::test]
async fn a_password_change_is_a_use_of_the_session() {
    let world = World::new().await;
    let (_, mut browser) = world.somebody().await;
    world.pass(60);
    change_password(&mut browser).await;
    world.pass(3599);
    assert!(browser.is_logged_in().await);
}

#[tokio::test]
async fn a_password_change_keeps_the_level_of_the_session() {
    let world = World::new().await;
    let (_, one_step) = world.somebody().await;
    let (name, _, authenticator, _) = world.somebody_with_totp().await;
    let mut two_steps = world.browser();
    two_steps.log_in(&name).await;
    two_steps.verify(&authenticator.code(world.now())).await.expect(200);
    for (mut browser, level, methods) in
        [(one_step, "aal1", json!(["pwd"])), (two_steps, "aal2", json!(["pwd", "otp"]))]
    {
        change_password(&mut browser).await;
        let session = browser.get("/session").await.expect(200).value();
        assert_eq!((&session["session"]["level"], &session["session"]["methods"]), (&json!(level), &methods));
    }
}

#[tokio::test]
async fn every_change_of_the_second_factor_ends_every_other_session_and_renews_this_one() {
    let world = World::new().await;
    let (name, mut browser) = world.somebody().await;
    let (mut other, old_token) = (world.browser(), browser.clone());
    other.log_in(&name).await;
    let (authenticator, _) = browser.enable_totp(world.now()).await;
    assert!(!other.is_logged_in().await && !old_token.clone().is_logged_in().await);
    assert_eq!(browser.get("/session").await.value()["session"]["level"], "aal2");

    world.pass(30);
    other.log_in(&name).await;
    other.verify(&authenticator.code(world.now())).await.expect(200);
    world.pass(30);
    let old_token = browser.clone();
    browser.delete("/totp", json!({ "password": PASSWORD, "code": authenticator.code(world.now()) })).await.expect(204);
    assert!(!other.is_logged_in().await && !old_token.clone().is_logged_in().await);
    assert!(browser.is_logged_in().await);
}

#[tokio::test]
async fn a_pending_login_does_not_survive_a_password_change() {
    let world = World::new().await;
    let (name, mut browser, authenticator, codes) = world.somebody_with_totp().await;
    let mut pending = world.browser();
    pending.log_in(&name).await;
    change_password(&mut browser).await;
    pending.verify(&authenticator.code(world.now())).await.expect_problem(401, "login-expired");
    pending.post("/login/verify", json!({ "recovery_code": codes[0] })).await.expect_problem(401, "login-expired");
}

/// Not even with the factor that is set up anew.
#[tokio::test]
async fn a_pending_login_does_not_survive_the_end_of_the_second_factor_it_was_for() {
    let world = World::new().await;
    let (name, mut browser, authenticator, codes) = world.somebody_with_totp().await;
    let mut pending = world.browser();
    pending.log_in(&name).await;
    let body = json!({ "password": PASSWORD, "code": authenticator.code(world.now()) });
    browser.delete("/totp", body).await.expect(204);
    let proof = |code: &str| json!({ "recovery_code": code });
    pending.post("/login/verify", proof(&codes[0])).await.expect_problem(401, "login-expired");

    let (authenticator, codes) = browser.enable_totp(world.now()).await;
    world.pass(30);
    let code = authenticator.code(world.now());
    pending.verify(&code).await.expect_problem(401, "login-expired");
    pending.post("/login/verify", proof(&codes[0])).await.expect_problem(401, "login-expired");
    pending.log_in(&name).await;
    pending.verify(&code).await.expect(200);
}

#[tokio::test]
async fn a_bearer_session_gets_its_new_token_in_a_header_and_no_cookie() {
    let world = World::new().await;
    let (name, _) = world.somebody().await;
    let mut client = world.bearer(&name).await;
    let answer = client
        .post("/password", json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD }))
        .await
        .expect(204);
    assert!(client.cookies.is_empty());
    assert!(!client.is_logged_in().await);
    assert!(
        world
            .browser()
            .header("authorization", &format!("Bearer {}", answer.header("x-session-token")))
            .is_logged_in()
            .await
    );
}

#[tokio::test]
async fn a_renewed_session_ends_when_the_first_would_have() {
    let world = World::new().await;
    let (_, mut browser) = world.somebody().await;
    let before = browser.get("/session").await.value();
    world.pass(1800);
    change_password(&mut browser).await;
    let after = browser.get("/session").await.value();
    assert_eq!(before["session"]["expires_at"], after["session"]["expires_at"]);
    assert_ne!(before["session"]["id"], after["session"]["id"]);
}
