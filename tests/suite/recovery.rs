//! Recovery codes: whose they are, how often they work, and until when (attack 5.41).

use hallpass_tests::{PASSWORD, World};
use serde_json::json;

#[tokio::test]
async fn a_recovery_code_works_once() {
    let world = World::new().await;
    let (name, _, _, codes) = world.somebody_with_totp().await;
    assert_eq!(codes.len(), 10);
    let mut browser = world.browser();
    browser.log_in(&name).await;
    let answer = browser
        .post("/login/verify", json!({ "recovery_code": codes[3].to_uppercase().replace('-', " ") }))
        .await
        .expect(200)
        .value();
    assert_eq!(answer["session"]["level"], "aal2");
    let mut again = world.browser();
    again.log_in(&name).await;
    again.post("/login/verify", json!({ "recovery_code": codes[3] })).await.expect_problem(401, "invalid-code");
    again.post("/login/verify", json!({ "recovery_code": codes[4] })).await.expect(200);
}

#[tokio::test]
async fn a_recovery_code_turns_it_off_too() {
    let world = World::new().await;
    let (_, mut browser, _, codes) = world.somebody_with_totp().await;
    browser.post("/totp/disable", json!({ "password": PASSWORD, "recovery_code": codes[0] })).await.expect(204);
    assert_eq!(browser.get("/session").await.value()["user"]["totp_enabled"], false);
}

/// A pending login of this account, as often as it takes to try all of these codes.
async fn expect_wrong(world: &World, name: &str, recovery_codes: &[String]) {
    for five in recovery_codes.chunks(5) {
        let mut browser = world.browser();
        browser.log_in(name).await;
        for code in five {
            let answer = browser.post("/login/verify", json!({ "recovery_code": code })).await;
            answer.expect_problem(401, "invalid-code");
        }
    }
}

#[tokio::test]
async fn somebody_elses_recovery_codes_and_codes_are_wrong_codes() {
    let world = World::new().await;
    let (name, ..) = world.somebody_with_totp().await;
    let (_, _, others_authenticator, others_codes) = world.somebody_with_totp().await;
    assert_eq!(others_codes.len(), 10);
    expect_wrong(&world, &name, &others_codes).await;
    let mut browser = world.browser();
    browser.log_in(&name).await;
    browser.verify(&others_authenticator.code(world.now())).await.expect_problem(401, "invalid-code");
}

#[tokio::test]
async fn new_recovery_codes_kill_the_old_ones() {
    let world = World::new().await;
    let (name, mut browser, authenticator, old) = world.somebody_with_totp().await;
    let code = authenticator.code(world.now());
    browser
        .post("/recovery-codes", json!({ "password": PASSWORD, "code": "000" }))
        .await
        .expect_problem(401, "invalid-code");
    let new = browser.post("/recovery-codes", json!({ "password": PASSWORD, "code": code })).await.expect(200).value();
    browser
        .post("/recovery-codes", json!({ "password": PASSWORD, "code": code }))
        .await
        .expect_problem(401, "invalid-code");
    assert!(browser.is_logged_in().await);
    assert_eq!(old.len(), 10);
    expect_wrong(&world, &name, &old).await;
    let mut other = world.browser();
    other.log_in(&name).await;
    other.post("/login/verify", json!({ "recovery_code": new["recovery_codes"][9] })).await.expect(200);
}

#[tokio::test]
async fn recovery_codes_need_two_step_verification_on() {
    let world = World::new().await;
    let (_, mut browser) = world.somebody().await;
    browser
        .post("/recovery-codes", json!({ "password": PASSWORD, "code": "123456" }))
        .await
        .expect_problem(409, "totp-not-enabled");
}
