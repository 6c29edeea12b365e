//! Without an answer of the store nobody is authenticated, and nothing needs a restart afterwards.

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::FutureExt;
use hallpass_tests::{PASSWORD, World, world::fresh_name};
use serde_json::json;

#[tokio::test]
async fn while_the_store_is_away_authentication_answers_503() {
    let world = World::new().await;
    let (name, mut browser, authenticator, codes) = world.somebody_with_totp().await;
    let mut pending = world.browser();
    pending.log_in(&name).await;
    world.recorder.cut_off(true);
    for (path, body) in [
        ("/login", json!({ "username": name, "password": PASSWORD })),
        ("/register", json!({ "username": fresh_name(), "password": PASSWORD })),
        ("/password", json!({ "current_password": PASSWORD, "new_password": "another good password" })),
        ("/totp", json!({ "password": PASSWORD })),
        ("/recovery-codes", json!({ "password": PASSWORD, "code": "123456" })),
        ("/logout", json!({})),
    ] {
        let answer = browser.post(path, body).await.expect_problem(503, "unavailable");
        assert!(answer.header("retry-after").parse::<u32>().unwrap() >= 1);
        assert!(!answer.headers.contains_key("set-cookie"), "{path}");
    }
    pending.verify(&authenticator.code(world.now())).await.expect_problem(503, "unavailable");
    pending.post("/login/verify", json!({ "recovery_code": codes[0] })).await.expect_problem(503, "unavailable");
    for path in ["/session", "/sessions"] {
        browser.get(path).await.expect_problem(503, "unavailable");
    }
    world.recorder.cut_off(false);
    assert!(browser.is_logged_in().await);
    pending.verify(&authenticator.code(world.now())).await.expect(200);
}

#[tokio::test]
async fn the_open_resource_falls_back_to_a_limiter_of_this_process() {
    let world = World::new().await;
    let mut browser = world.browser();
    world.recorder.cut_off(true);
    let mut statuses = Vec::new();
    for _ in 0..12 {
        statuses.push(browser.get("/api/resource").await.status.as_u16());
    }
    assert_eq!(statuses, [[200; 10].as_slice(), &[429; 2]].concat());
    world.recorder.cut_off(false);
}

#[tokio::test]
async fn a_second_factor_that_cant_be_read_is_not_taken_for_none() {
    let world = World::new().await;
    let (name, mut browser, ..) = world.somebody_with_totp().await;
    let id = browser.get("/session").await.expect(200).value()["user"]["id"].as_str().unwrap().to_owned();
    let unreadable = AttributeValue::S("not what was written".to_owned());
    let update = world.client().update_item().table_name(world.table("users"));
    let update = update.key("id", AttributeValue::S(format!("user#{id}")));
    let update = update.update_expression("SET totp_secret = :unreadable");
    update.expression_attribute_values(":unreadable", unreadable).send().boxed().await.unwrap();

    let answer = world.browser().log_in_with(&name, PASSWORD).await;
    answer.expect_problem(503, "unavailable");
}
