//! Without an answer of the store nobody is authenticated, and nothing needs a restart afterwards.

use hallpass_tests::{
    PASSWORD, World,
    faults::{Fault, Faults},
    recorder::Recorder,
    world::fresh_name,
};
use serde_json::json;

#[tokio::test]
async fn while_the_store_is_away_authentication_answers_503() {
    // The limits, which would refuse by themselves, are there.
    let all_but_limits: &[_] = &["GetItem", "BatchGetItem", "Query", "DeleteItem", "TransactWriteItems"];
    for operations in [Recorder::ALL, all_but_limits] {
        nobody_gets_in_without(operations).await;
    }
}

async fn nobody_gets_in_without(operations: &'static [&'static str]) {
    let world = World::new().await;
    let (name, mut browser, authenticator, codes) = world.somebody_with_totp().await;
    let mut pending = world.browser();
    pending.log_in(&name).await;
    world.recorder.cut_off(operations);
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
    world.recorder.reconnect();
    assert!(browser.is_logged_in().await);
    pending.verify(&authenticator.code(world.now())).await.expect(200);
}

#[tokio::test]
async fn the_open_resource_falls_back_to_a_limiter_of_this_process() {
    let world = World::new().await;
    let mut browser = world.browser();
    world.recorder.cut_off(Recorder::ALL);
    let mut statuses = Vec::new();
    for _ in 0..12 {
        statuses.push(browser.get("/api/resource").await.status.as_u16());
    }
    assert_eq!(statuses, [[200; 10].as_slice(), &[429; 2]].concat());
    world.recorder.reconnect();
}

#[tokio::test]
async fn a_store_that_goes_away_in_the_middle_of_a_refusal_does_not_open_the_limit() {
    let world = World::with([("HALLPASS_LIMITS__RESOURCE", "10 per minute; 300 per hour")]).await;
    let mut browser = world.browser();
    for _ in 0..10 {
        browser.get("/api/resource").await.expect(200);
    }
    // The first window's log is written to, and the other one's read.
    world.recorder.cut_off(&["GetItem"]);
    browser.get("/api/resource").await.expect_problem(429, "rate-limited");
}

#[tokio::test]
async fn while_the_store_is_away_every_window_of_the_open_resource_counts() {
    let world = World::with([("HALLPASS_LIMITS__RESOURCE", "100 per minute; 201 per hour")]).await;
    let mut browser = world.browser();
    world.recorder.cut_off(Recorder::ALL);
    let mut admitted = [0; 3];
    let mut waits_seconds = [0; 3];
    for (minute, wait_seconds) in admitted.iter_mut().zip(&mut waits_seconds) {
        for _ in 0..110 {
            let answer = browser.get("/api/resource").await;
            *minute += usize::from(answer.status == 200);
            if answer.status == 429 {
                *wait_seconds = answer.header("retry-after").parse().unwrap();
            }
        }
        world.pass(60);
    }
    world.recorder.reconnect();
    // Permits of a quota above 200 come by two here.
    assert_eq!(admitted, [100, 100, 0]);
    // Until all windows admit; a lease of the hour's is 36 seconds long.
    assert_eq!(waits_seconds, [60, 3600 - 60 + 36, 3600 - 120 + 36]);
}

#[tokio::test]
async fn whom_a_read_did_not_find_keeps_the_account() {
    let faults = Faults::default();
    let Some(world) = World::faulty([], &faults, false).await else { return };
    let (mut names, mut struck) = (Vec::new(), Vec::new());
    for call in 0..6 {
        let (name, _) = world.somebody().await;
        faults.strike(call, Fault::FindsNothing, false);
        world.browser().log_in_with(&name, "not the password").await;
        struck.extend(faults.heal());
        names.push(name);
    }
    let reads_of_users = struck.iter().filter(|call| call.operation == "GetItem" && call.table == "users");
    assert_eq!(reads_of_users.count(), 2, "the name's and the account's: {struck:?}");
    let mut users = world.client().scan().table_name(world.table("users")).into_paginator().items().send();
    while let Some(item) = users.next().await {
        let item = item.unwrap();
        assert!(!item.contains_key("username") || !item.contains_key("ttl"), "{item:?}");
    }
    for name in names {
        world.browser().log_in(&name).await;
    }
}
