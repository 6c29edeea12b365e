//! What lies in the store in a form that we did not write, or by half, is no answer: nobody gets in by it, and nothing is
//! said to be over that may live.

use std::collections::HashMap;

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use futures_util::FutureExt;
use hallpass_tests::{Authenticator, Browser, PASSWORD, World};
use serde_json::json;

#[tokio::test]
async fn a_second_factor_that_cant_be_read_or_is_there_by_half_is_not_taken_for_none() {
    let world = World::new().await;
    for damage in [
        "SET totp_secret = :text",
        "SET recovery_digests = :text",
        "SET enrolment_secret = :text",
        "SET enrolment_secret = :binary",
        "SET totp_secret = :null",
        "SET last_time_step = :null",
        "REMOVE totp_secret",
        "REMOVE totp_secret, last_time_step",
        "REMOVE last_time_step",
    ] {
        let (name, mut browser, ..) = world.somebody_with_totp().await;
        damaged(&world, &mut browser, Item::User, damage).await;
        let answer = world.browser().log_in_with(&name, PASSWORD).await.expect_problem(503, "unavailable");
        assert!(!answer.headers.contains_key("set-cookie"), "{damage}");
    }
}

#[tokio::test]
async fn a_wait_or_a_count_of_guesses_that_cant_be_read_is_not_taken_for_none() {
    let world = World::new().await;
    for damage in [
        "SET password_retry_at = :null",
        "SET password_retry_at = :text",
        "SET password_retry_at_known = :null",
        "SET password_failures = :text",
        "SET code_failures_known = :null",
    ] {
        let (name, mut browser) = world.somebody().await;
        damaged(&world, &mut browser, Item::User, damage).await;
        world.browser().log_in_with(&name, PASSWORD).await.expect_problem(503, "unavailable");
    }
}

#[tokio::test]
async fn a_second_factor_that_we_did_not_seal_is_no_wrong_code() {
    let world = World::new().await;
    let (name, mut owner, authenticator, _) = world.somebody_with_totp().await;
    damaged(&world, &mut owner, Item::User, "SET totp_secret = :binary").await;
    let mut browser = world.browser();
    browser.log_in(&name).await;
    browser.verify(&authenticator.code(world.now())).await.expect_problem(503, "unavailable");
    let proof = json!({ "password": PASSWORD, "code": authenticator.code(world.now()) });
    for path in ["/totp/disable", "/recovery-codes"] {
        owner.post(path, proof.clone()).await.expect_problem(503, "unavailable");
    }
}

#[tokio::test]
async fn an_enrolment_that_we_did_not_seal_is_no_wrong_code() {
    let world = World::new().await;
    let (_, mut browser) = world.somebody().await;
    browser.post("/totp", json!({ "password": PASSWORD })).await.expect(200);
    damaged(&world, &mut browser, Item::User, "SET enrolment_secret = :binary").await;
    browser.post("/totp/confirm", json!({ "code": "123456" })).await.expect_problem(503, "unavailable");
}

/// As an operator deletes it, between two of the items that go.
#[tokio::test]
async fn where_the_user_is_deleted_an_open_session_enrols_nothing() {
    let world = World::new().await;
    let (_, mut browser) = world.somebody().await;
    let started = browser.post("/totp", json!({ "password": PASSWORD })).await.expect(200).value();
    let authenticator = Authenticator::scan(started["secret"].as_str().unwrap());
    let (client, table, key) = (world.client(), world.table("users"), user_key(&mut browser).await);
    client.delete_item().table_name(&table).key("id", key.clone()).send().boxed().await.unwrap();
    let confirmed = browser.post("/totp/confirm", json!({ "code": authenticator.code(world.now()) })).await;
    confirmed.expect_problem(409, "totp-not-started");
    assert_eq!(client.get_item().table_name(table).key("id", key).send().boxed().await.unwrap().item, None);
}

/// Of which recovery codes are the way out.
#[tokio::test]
async fn a_recovery_code_gets_in_where_the_totp_secret_is_not_one_that_we_sealed() {
    let world = World::new().await;
    let (name, mut owner, _, codes) = world.somebody_with_totp().await;
    damaged(&world, &mut owner, Item::User, "SET totp_secret = :binary").await;
    let mut browser = world.browser();
    browser.log_in(&name).await;
    browser.post("/login/verify", json!({ "recovery_code": codes[0] })).await.expect(200);
}

#[tokio::test]
async fn an_epoch_that_cant_be_read_lets_nobody_pass_and_is_no_wrong_password() {
    let world = World::new().await;
    for damage in ["SET epoch = :text", "REMOVE epoch"] {
        let (name, mut browser) = world.somebody().await;
        damaged(&world, &mut browser, Item::Epoch, damage).await;
        for path in ["/session", "/sessions", "/api/authz/forward-auth"] {
            browser.get(path).await.expect_problem(503, "unavailable");
        }
        world.browser().log_in_with(&name, PASSWORD).await.expect_problem(503, "unavailable");
    }
}

#[tokio::test]
async fn a_session_whose_list_cant_be_read_is_not_said_to_be_over() {
    let world = World::new().await;
    for damage in ["SET #open = :text", "REMOVE #open", "SET #open = :binary"] {
        let (_, mut browser) = world.somebody().await;
        let session = browser.get("/session").await.expect(200).value();
        let id = session["session"]["id"].as_str().unwrap();
        damaged(&world, &mut browser, Item::Epoch, damage).await;
        browser.post("/logout", json!({})).await.expect_problem(503, "unavailable");
        browser.delete(&format!("/sessions/{id}"), json!({})).await.expect_problem(503, "unavailable");
        browser.delete("/sessions", json!({})).await.expect_problem(503, "unavailable");
        assert!(browser.is_logged_in().await);
    }
}

/// As between the two halves of an ending that a read sees, where it lasts.
#[tokio::test]
async fn a_session_that_is_not_listed_ends_no_others() {
    let world = World::new().await;
    let (name, mut browser) = world.somebody().await;
    let mut other = world.browser();
    other.log_in(&name).await;
    damaged(&world, &mut browser, Item::Epoch, "SET #open = :nobody").await;
    browser.delete("/sessions", json!({})).await.expect_problem(503, "unavailable");
    assert!(other.is_logged_in().await && browser.is_logged_in().await);
}

#[tokio::test]
async fn what_is_listed_beside_sessions_and_is_none_does_not_keep_others_from_ending() {
    let world = World::new().await;
    let (name, mut browser) = world.somebody().await;
    let mut other = world.browser();
    other.log_in(&name).await;
    damaged(&world, &mut browser, Item::Epoch, "SET #open.stranger = :huge").await;
    browser.delete("/sessions", json!({})).await.expect(200);
    assert!(browser.is_logged_in().await && !other.is_logged_in().await);
}

#[tokio::test]
async fn a_session_of_unknown_age_makes_room_before_all_others() {
    let world = World::with([("HALLPASS_SESSION__MAX_PER_USER", "2")]).await;
    for damage in ["SET #open.#id = :text", "SET #open.#id = :huge"] {
        let (name, mut oldest) = world.somebody().await;
        world.pass(1);
        let mut second = world.browser();
        second.log_in(&name).await;
        damaged(&world, &mut second, Item::Epoch, damage).await;
        world.browser().log_in(&name).await;
        assert!(oldest.is_logged_in().await && !second.is_logged_in().await, "{damage}");
    }
}

#[tokio::test]
async fn a_session_that_cant_be_read_is_not_said_to_be_none() {
    let world = World::new().await;
    for damage in ["SET idle_expires_at = :text", "REMOVE expires_at", "REMOVE epoch", "REMOVE methods"] {
        let (_, mut browser) = world.somebody().await;
        damaged(&world, &mut browser, Item::Session, damage).await;
        for path in ["/session", "/sessions", "/api/authz/forward-auth", "/api/authz/auth-request"] {
            let answer = browser.get(path).await.expect_problem(503, "unavailable");
            assert!(!answer.headers.contains_key("set-cookie"), "{damage}");
        }
    }
}

#[tokio::test]
async fn where_one_session_cant_be_read_none_is_listed_ended_or_makes_room() {
    let world = World::with([("HALLPASS_SESSION__MAX_PER_USER", "3")]).await;
    for damage in ["SET idle_expires_at = :text", "REMOVE expires_at", "REMOVE epoch"] {
        let (name, mut oldest) = world.somebody().await;
        let (mut broken, mut newest) = (world.browser(), world.browser());
        for browser in [&mut broken, &mut newest] {
            world.pass(1);
            browser.log_in(&name).await;
        }
        damaged(&world, &mut broken, Item::Session, damage).await;
        newest.get("/sessions").await.expect_problem(503, "unavailable");
        newest.delete("/sessions", json!({})).await.expect_problem(503, "unavailable");
        world.browser().log_in_with(&name, PASSWORD).await.expect_problem(503, "unavailable");
        assert!(oldest.is_logged_in().await && newest.is_logged_in().await, "{damage}");
    }
}

/// The hash of whoever has logged in, at 4 GiB or four million rounds instead: no login pays for it, and none is told that
/// its password is wrong.
#[tokio::test]
async fn a_hash_of_hostile_cost_gets_no_verdict_and_is_not_computed() {
    let (world, passwords) = World::new().await.with_passwords();
    for (cost, hostile) in [("$m=64,", "$m=4194304,"), (",t=1,", ",t=4000000,")] {
        let (name, mut browser) = world.somebody().await;
        let key = user_key(&mut browser).await;
        let found = world.client().get_item().table_name(world.table("users")).key("id", key.clone());
        let stored =
            found.send().boxed().await.unwrap().item.unwrap()["phc"].as_s().unwrap().replacen(cost, hostile, 1);
        assert!(stored.contains(hostile), "{stored}");
        let update = world.client().update_item().table_name(world.table("users")).key("id", key);
        let update = update.update_expression("SET phc = :stored");
        update.expression_attribute_values(":stored", AttributeValue::S(stored)).send().boxed().await.unwrap();

        let computed = passwords.queue().computed;
        for password in [PASSWORD, "not the password"] {
            let answer = world.browser().log_in_with(&name, password).await.expect_problem(503, "unavailable");
            assert!(!answer.headers.contains_key("set-cookie"));
        }
        browser.post("/totp", json!({ "password": PASSWORD })).await.expect_problem(503, "unavailable");
        assert_eq!(passwords.queue().computed, computed);
        assert!(browser.is_logged_in().await);
    }
}

/// The key of the item of whoever is logged in.
async fn user_key(browser: &mut Browser) -> AttributeValue {
    let session = browser.get("/session").await.expect(200).value();
    AttributeValue::S(format!("user#{}", session["user"]["id"].as_str().unwrap()))
}

/// An item of the store.
#[derive(Clone, Copy)]
enum Item {
    User,
    Session,
    Epoch,
}

/// Alters the item of whoever is logged in, behind everybody's back.
async fn damaged(world: &World, browser: &mut Browser, item: Item, damage: &str) {
    let session = browser.get("/session").await.expect(200).value();
    let (user, id) = (session["user"]["id"].as_str().unwrap(), session["session"]["id"].as_str().unwrap());
    let key = |text: &str| AttributeValue::S(text.to_owned());
    let update = world.client().update_item().update_expression(damage);
    let mut update = match item {
        Item::User => update.table_name(world.table("users")).key("id", key(&format!("user#{user}"))),
        Item::Session => update.table_name(world.table("sessions")).key("user_id", key(user)).key("sid", key(id)),
        Item::Epoch => update.table_name(world.table("sessions")).key("user_id", key(user)).key("sid", key("epoch")),
    };
    if damage.contains("#open") {
        update = update.expression_attribute_names("#open", "open");
    }
    if damage.contains("#id") {
        update = update.expression_attribute_names("#id", id);
    }
    for (placeholder, value) in [
        (":text", AttributeValue::S("not ours".to_owned())),
        (":binary", AttributeValue::B(Blob::new([7; 64]))),
        (":null", AttributeValue::Null(true)),
        (":huge", AttributeValue::N("1e30".to_owned())),
        (":nobody", AttributeValue::M(HashMap::new())),
    ] {
        if damage.contains(placeholder) {
            update = update.expression_attribute_values(placeholder, value);
        }
    }
    update.send().boxed().await.unwrap();
}
