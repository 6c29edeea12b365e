//! Items of the store that somebody altered who knows no key: nobody gets in by it, and whoever asks gets an answer.

use std::{collections::HashMap, sync::OnceLock};

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use futures_util::FutureExt;
use hallpass_tests::{Answer, Browser, PASSWORD, World};
use proptest::{
    collection::{hash_map, vec},
    option,
    prelude::*,
    sample::Index,
};
use tokio::runtime::Runtime;

use crate::{config_for_requests, text_of};

const TEXTS: &[&str] =
    &["", "aal2", "pwd", "otp", "true", "epoch", "1800000000", "2026-01-01T00:00:00Z", "$argon2id$", "x"];

fn value() -> impl Strategy<Value = AttributeValue> {
    let single = prop_oneof![
        text_of(TEXTS).prop_map(AttributeValue::S),
        "-?[1-9][0-9]{0,19}|0".prop_map(AttributeValue::N),
        vec(any::<u8>(), 0..70).prop_map(|bytes| AttributeValue::B(Blob::new(bytes))),
        any::<bool>().prop_map(AttributeValue::Bool),
        Just(AttributeValue::Null(true)),
    ];
    let list = vec(single.clone(), 0..3);
    let map = hash_map("[a-z]{1,4}", single.clone(), 0..3);
    prop_oneof![5 => single, 1 => list.prop_map(AttributeValue::L), 1 => map.prop_map(AttributeValue::M)]
}

/// A world of its own: its clock goes on.
fn world() -> &'static (Runtime, World) {
    static WORLD: OnceLock<(Runtime, World)> = OnceLock::new();
    WORLD.get_or_init(|| {
        let runtime = Runtime::new().unwrap();
        let vars = [("HALLPASS_LIMITS__PAGES", "1 per hour")];
        let world = runtime.block_on(World::with(vars)).in_process();
        (runtime, world)
    })
}

type Item = HashMap<String, AttributeValue>;

fn key<const N: usize>(parts: [(&str, &str); N]) -> Item {
    parts.into_iter().map(|(name, value)| (name.to_owned(), AttributeValue::S(value.to_owned()))).collect()
}

/// Puts this value, if any, in place of one of the item's attributes, and tells which.
async fn altered(world: &World, table: &str, key: Item, which: Index, value: Option<AttributeValue>) -> String {
    let (client, table) = (world.client(), world.table(table));
    let found = client.get_item().table_name(&table).set_key(Some(key.clone())).send().boxed().await.unwrap();
    let mut item = found.item.unwrap();
    let mut names: Vec<String> = item.keys().filter(|name| !key.contains_key(*name)).cloned().collect();
    names.sort_unstable();
    let name = which.get(&names).clone();
    item.extend(value.map(|value| (name.clone(), value)));
    client.put_item().table_name(&table).set_item(Some(item)).send().boxed().await.unwrap();
    name
}

/// The ids of the user and of the session that this browser has.
async fn ids(browser: &mut Browser) -> (String, String) {
    let session = browser.get("/session").await.expect(200).value();
    let text = |what: &str| session[what]["id"].as_str().unwrap().to_owned();
    (text("user"), text("session"))
}

/// Answered, or told that it can't be for now.
fn is_told(answer: &Answer, what: &str) -> Result<(), TestCaseError> {
    let is_unavailable = || answer.text().contains("urn:hallpass:problem:unavailable");
    prop_assert!(answer.status.as_u16() < 500 || is_unavailable(), "{}: {} {}", what, answer.status, answer.text());
    Ok(())
}

/// A login, which must not end in a session.
async fn stays_out(browser: &mut Browser, name: &str, password: &str, what: &str) -> Result<Answer, TestCaseError> {
    let answer = browser.log_in_with(name, password).await;
    is_told(&answer, what)?;
    prop_assert!(!browser.cookies.contains_key("__Host-session"), "{}: {}", what, answer.text());
    Ok(answer)
}

properties! {
    config_for_requests(), trial;

    #[test]
    fn an_altered_user_lets_nobody_in_without_the_password_or_without_the_second_step(
        which in any::<Index>(),
        value in option::weighted(0.7, value()),
    ) {
        let (runtime, world) = world();
        runtime.block_on(async {
            let (name, mut owner, authenticator, _) = world.somebody_with_totp().await;
            let (user, _) = ids(&mut owner).await;
            let what = altered(world, "users", key([("id", &format!("user#{user}"))]), which, value).await;
            stays_out(&mut world.browser(), &name, "not the password", &what).await?;
            let mut halfway = world.browser();
            let answer = stays_out(&mut halfway, &name, PASSWORD, &what).await?;
            if answer.status == 200 {
                trial.accept();
            }
            for code in [authenticator.wrong_code(world.now()), "x".to_owned()] {
                is_told(&halfway.verify(&code).await, &what)?;
                prop_assert!(!halfway.cookies.contains_key("__Host-session"), "{}", what);
            }
            is_told(&owner.get("/session").await, &what)
        })?;
    }

    #[test]
    fn an_altered_session_or_epoch_brings_no_session_back_and_lets_no_other_in(
        is_epoch in any::<bool>(),
        which in any::<Index>(),
        value in option::weighted(0.7, value()),
    ) {
        let (runtime, world) = world();
        runtime.block_on(async {
            let (name, mut owner) = world.somebody().await;
            let mut ended = world.browser();
            ended.log_in(&name).await;
            let cookies = ended.cookies.clone();
            ended.post("/logout", serde_json::json!({})).await.expect(204);
            ended.cookies = cookies;
            let (user, session) = ids(&mut owner).await;
            let sid = if is_epoch { "epoch" } else { &session };
            let what = altered(world, "sessions", key([("user_id", &user), ("sid", sid)]), which, value).await;
            stays_out(&mut world.browser(), &name, "not the password", &what).await?;
            for path in ["/session", "/sessions", "/api/authz/forward-auth"] {
                let answer = ended.get(path).await;
                is_told(&answer, &what)?;
                prop_assert!(!answer.status.is_success(), "{}: {}", what, answer.text());
                is_told(&owner.get(path).await, &what)?;
            }
            if owner.get("/session").await.status == 200 {
                trial.accept();
            }
            Ok::<(), TestCaseError>(())
        })?;
    }

    #[test]
    fn an_altered_log_of_a_limit_that_holds_no_time_lets_nobody_pass(which in any::<Index>(), value in value()) {
        let (runtime, world) = world();
        // A time that may have left the window: whoever writes that needs no more to pass.
        let is_time = value.as_l().is_ok_and(|log| log.first().is_some_and(AttributeValue::is_n));
        runtime.block_on(async {
            let mut browser = world.browser();
            browser.get("/login").await.expect(200);
            let address = browser.address().to_string();
            let log = format!("pages,1/3600,{}::/64", address.trim_end_matches("::1"));
            let what = altered(world, "counters", key([("key", &log)]), which, Some(value)).await;
            let answer = browser.get("/login").await;
            is_told(&answer, &what)?;
            let status = answer.status.as_u16();
            prop_assert!([429, 503].contains(&status) || (what == "log" && is_time), "{}: {}", what, status);
            if status == 429 {
                trial.accept();
            }
            Ok::<(), TestCaseError>(())
        })?;
    }
}
