//! Guessing is counted on the account, and a stranger can't lock the owner out (attacks 5.4, 5.5, 5.20, 5.21).

use hallpass_tests::{Authenticator, Browser, PASSWORD, World, world::fresh_name};
use serde_json::json;

/// A stranger with a fresh address for each guess: limits by address don't hold them.
async fn guess(world: &World, name: &str) -> u16 {
    world.browser().log_in_with(name, "not the password").await.status.as_u16()
}

async fn guess_often(world: &World, name: &str, times: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..times {
        statuses.push(guess(world, name).await);
    }
    statuses
}

#[tokio::test]
async fn ten_wrong_passwords_are_answered_and_the_next_must_wait() {
    let world = World::new().await;
    let (name, _) = world.somebody().await;
    assert_eq!(guess_often(&world, &name, 10).await, [401; 10]);
    let answer = world.browser().log_in_with(&name, "not the password").await.expect_problem(429, "rate-limited");
    assert_eq!(answer.header("retry-after"), "1");
    world.pass(1);
    assert_eq!(guess(&world, &name).await, 401);
    assert_eq!(world.browser().log_in_with(&name, "not the password").await.header("retry-after"), "2");
}

#[tokio::test]
async fn a_held_guess_is_told_a_wait_after_which_its_address_is_admitted_too() {
    let world = World::with([("HALLPASS_LIMITS__LOGIN", "11 per minute")]).await;
    let (name, _) = world.somebody().await;
    let mut guesser = world.browser();
    for _ in 0..10 {
        guesser.log_in_with(&name, "not the password").await.expect(401);
    }
    let held = guesser.log_in_with(&name, "not the password").await.expect_problem(429, "rate-limited");
    assert_eq!(held.header("retry-after"), "60");
    assert_eq!(held.header("ratelimit"), r#""login";r=0;t=60"#);
    assert!(held.value()["detail"].as_str().unwrap().contains("60 s"));
    world.pass(60);
    guesser.log_in_with(&name, "not the password").await.expect(401);
}

#[tokio::test]
async fn a_held_guess_is_told_the_wait_for_its_address_to_the_millisecond() {
    let world = World::with([("HALLPASS_LIMITS__LOGIN", "11 per 2 seconds")]).await.in_process();
    let (name, _) = world.somebody().await;
    let mut guesser = world.browser();
    for _ in 0..10 {
        guesser.log_in_with(&name, "not the password").await.expect(401);
    }
    // The account's wait is a millisecond from now; the address is admitted after 1,001.
    world.pass_millis(999);
    let held = guesser.log_in_with(&name, "not the password").await.expect_problem(429, "rate-limited");
    assert_eq!(held.header("retry-after"), "2");
}

#[tokio::test]
async fn while_guesses_are_held_a_right_one_gets_the_same_answer_as_a_wrong_one() {
    let world = World::new().await;
    let (name, _) = world.somebody().await;
    guess_often(&world, &name, 10).await;
    let wrong = world.browser().log_in_with(&name, "not the password").await.expect(429);
    let right = world.browser().log_in_with(&name, PASSWORD).await.expect(429);
    assert_eq!(right.told(), wrong.told());
}

#[tokio::test]
async fn names_that_nobody_has_are_held_in_the_same_way() {
    let world = World::new().await;
    let (known, _) = world.somebody().await;
    let unknown = fresh_name();
    for _ in 0..3 {
        let mut held = 0;
        for _ in 0..11 {
            let of_the_known = world.browser().log_in_with(&known, "not the password").await;
            let of_the_unknown = world.browser().log_in_with(&unknown, "not the password").await;
            held += usize::from(of_the_known.status == 429);
            assert_eq!(of_the_unknown.told(), of_the_known.told());
        }
        assert!(held > 0);
        world.pass(3600);
    }
}

#[tokio::test]
async fn a_right_password_clears_the_count() {
    let world = World::new().await;
    let (name, _) = world.somebody().await;
    for _ in 0..3 {
        assert_eq!(guess_often(&world, &name, 9).await, [401; 9]);
        world.browser().log_in(&name).await;
    }
}

/// Wrong passwords until the strangers' lane is closed for good.
async fn close_lane(world: &World, name: &str) {
    for _ in 0..100 {
        assert_eq!(guess(world, name).await, 401);
        world.pass(3600);
    }
}

#[tokio::test]
async fn a_stranger_cannot_lock_the_owner_out() {
    let world = World::with([("HALLPASS_SESSION__IDLE", "30d"), ("HALLPASS_SESSION__LIFETIME", "30d")]).await;
    let (name, mut owner) = world.somebody().await;
    close_lane(&world, &name).await;
    world.browser().log_in_with(&name, hallpass_tests::PASSWORD).await.expect_problem(401, "invalid-credentials");
    assert!(owner.is_logged_in().await, "running sessions go on");
    owner.post("/logout", json!({})).await.expect(204);
    owner.log_in(&name).await;
    world.browser().log_in(&name).await;
}

#[tokio::test]
async fn a_known_device_is_known_at_its_own_account_only() {
    let world = World::new().await;
    let (name, _) = world.somebody().await;
    let (_, mut other) = world.somebody().await;
    guess_often(&world, &name, 10).await;
    other.log_in_with(&name, hallpass_tests::PASSWORD).await.expect(429);
}

#[tokio::test]
async fn a_known_device_has_a_count_of_its_own() {
    let world = World::new().await;
    let (name, owner) = world.somebody().await;
    for _ in 0..10 {
        let mut device = world.browser();
        device.cookies = owner.cookies.clone();
        device.log_in_with(&name, "not the password").await.expect(401);
    }
    let mut device = world.browser();
    device.cookies = owner.cookies.clone();
    device.log_in_with(&name, hallpass_tests::PASSWORD).await.expect(429);
    world.browser().log_in(&name).await;
}

#[tokio::test]
async fn twenty_right_passwords_at_once_all_get_in() {
    let world = World::new().await;
    let (name, _) = world.somebody().await;
    let logins = (0..20).map(|_| {
        let (mut browser, name) = (world.browser(), name.clone());
        tokio::spawn(async move { browser.log_in_with(&name, hallpass_tests::PASSWORD).await.status.as_u16() })
    });
    for login in futures_util::future::join_all(logins).await {
        assert_eq!(login.unwrap(), 200);
    }
}

#[tokio::test]
async fn a_wrong_password_inside_a_session_is_counted_too() {
    let world = World::new().await;
    let (_, mut browser) = world.somebody().await;
    let body = json!({ "current_password": "not the password", "new_password": "another good password" });
    for _ in 0..10 {
        browser.post("/password", body.clone()).await.expect_problem(401, "invalid-credentials");
    }
    for (path, body) in [("/password", body), ("/totp", json!({ "password": PASSWORD }))] {
        browser.post(path, body).await.expect_problem(429, "rate-limited");
    }
}

#[tokio::test]
async fn while_strangers_guess_a_running_session_confirms_what_it_changes() {
    let world = World::new().await;
    let (name, mut owner, authenticator, _) = world.somebody_with_totp().await;
    guess_often(&world, &name, 10).await;
    let body = json!({ "current_password": PASSWORD, "new_password": PASSWORD });
    owner.post("/password", body).await.expect(204);
    close_factor(&world, &name, &authenticator).await;
    let body = json!({ "password": PASSWORD, "code": authenticator.code(world.now()) });
    owner.post("/recovery-codes", body).await.expect(200);
}

#[tokio::test]
async fn counts_at_an_account_stay_and_those_at_names_that_nobody_has_expire_after_their_waits() {
    let world = World::new().await;
    // Where no other test's counts are.
    world.pass(200 * 24 * 3600);
    let (name, _) = world.somebody().await;
    guess(&world, &name).await;
    guess(&world, &fresh_name()).await;
    let mut items = world.client().scan().table_name(world.table("users")).into_paginator().items().send();
    let (mut accounts, mut shadows) = (Vec::new(), Vec::new());
    while let Some(item) = items.next().await {
        let item = item.unwrap();
        let ttl = item.get("ttl").map(|ttl| ttl.as_n().unwrap().parse::<i64>().unwrap());
        match item.get("username").map(|name| name.as_s().unwrap()) {
            Some(of) => accounts.extend(Some(ttl).filter(|_| *of == name && item.contains_key("password_failures"))),
            None => shadows.extend(ttl.filter(|_| item.contains_key("password_failures"))),
        }
    }
    assert_eq!(accounts, [None]);
    // As long as the longest wait, at least.
    let day_after = world.now().as_second() + 24 * 3600;
    assert_eq!(shadows.iter().filter(|ttl| **ttl > day_after).count(), 1, "{shadows:?}");
}

#[tokio::test]
async fn wrong_codes_inside_a_session_are_counted_too() {
    let world = World::with([("HALLPASS_LIMITS__DEFAULT", "off")]).await;
    let (_, mut owner, authenticator, _) = world.somebody_with_totp().await;
    let with_code = |code: String| json!({ "password": PASSWORD, "code": code });
    let wrong = with_code(authenticator.wrong_code(world.now()));
    for _ in 0..50 {
        owner.post("/recovery-codes", wrong.clone()).await.expect_problem(401, "invalid-code");
        owner.delete("/totp", wrong.clone()).await.expect_problem(401, "invalid-code");
    }
    let right = with_code(authenticator.code(world.now()));
    owner.post("/recovery-codes", right.clone()).await.expect_problem(401, "invalid-code");
    owner.delete("/totp", right).await.expect_problem(401, "invalid-code");
}

async fn pending(world: &World, name: &str) -> Browser {
    let mut browser = world.browser();
    browser.log_in(name).await;
    browser
}

/// Wrong codes, five to a pending login, until the factor is closed to strangers.
async fn close_factor(world: &World, name: &str, authenticator: &Authenticator) {
    for _ in 0..20 {
        let mut browser = pending(world, name).await;
        for _ in 0..5 {
            browser.verify(&authenticator.wrong_code(world.now())).await.expect_problem(401, "invalid-code");
        }
    }
}

#[tokio::test]
async fn a_right_password_does_not_clear_failures_of_the_second_step() {
    let world = World::new().await;
    let (name, _, authenticator, codes) = world.somebody_with_totp().await;
    close_factor(&world, &name, &authenticator).await;
    let mut browser = pending(&world, &name).await;
    browser.verify(&authenticator.code(world.now())).await.expect_problem(401, "invalid-code");
    browser.post("/login/verify", json!({ "recovery_code": codes[0] })).await.expect(200);
    world.pass(30);
    pending(&world, &name).await.verify(&authenticator.code(world.now())).await.expect(200);
}

#[tokio::test]
async fn neither_a_new_login_nor_an_old_cookie_takes_anything_from_the_count() {
    let world = World::with([("HALLPASS_LIMITS__DEFAULT", "off")]).await;
    let (name, _, authenticator, _) = world.somebody_with_totp().await;
    let wrong = authenticator.wrong_code(world.now());
    let mut counted = 0;
    while counted < 100 {
        let old = pending(&world, &name).await;
        let new = pending(&world, &name).await;
        for mut tried in [old.clone(), new, old.clone(), pending(&world, &name).await, old] {
            tried.verify(&wrong).await.expect_problem(401, "invalid-code");
            counted += 1;
        }
    }
    let mut last = pending(&world, &name).await;
    last.verify(&authenticator.code(world.now())).await.expect_problem(401, "invalid-code");
}

#[tokio::test]
async fn a_closed_factor_still_answers_to_a_known_device_and_sessions_go_on() {
    let world = World::new().await;
    let (name, mut owner, authenticator, _) = world.somebody_with_totp().await;
    close_factor(&world, &name, &authenticator).await;
    assert!(owner.is_logged_in().await);
    owner.log_in(&name).await;
    owner.verify(&authenticator.code(world.now())).await.expect(200);
    world.pass(30);
    pending(&world, &name).await.verify(&authenticator.code(world.now())).await.expect(200);
}
