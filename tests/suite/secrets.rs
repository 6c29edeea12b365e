//! No secret is in the store in a readable form (attack 5.36); the process tests look at files and logs.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::{Client, primitives::Blob, types::AttributeValue};
use futures_util::FutureExt;
use hallpass_core::{
    sessions::token::{LoginToken, SessionToken},
    store::StoreError,
};
use hallpass_tests::{
    PASSWORD, World,
    faults::{Fault, Faults},
};
use serde_json::json;

/// Everything in one table as bytes, text and numbers end to end.
async fn dump(client: &Client, table: &str) -> Vec<u8> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the enum can grow, and whatever it grows must fail this test")]
    fn append(value: &AttributeValue, bytes: &mut Vec<u8>) {
        match value {
            AttributeValue::S(text) | AttributeValue::N(text) => bytes.extend(text.as_bytes()),
            AttributeValue::B(blob) => bytes.extend(blob.as_ref()),
            AttributeValue::Bs(blobs) => blobs.iter().map(Blob::as_ref).for_each(|blob| bytes.extend(blob)),
            AttributeValue::L(list) => list.iter().for_each(|value| append(value, bytes)),
            AttributeValue::M(map) => map.iter().for_each(|(name, value)| {
                bytes.extend(name.as_bytes());
                append(value, bytes);
            }),
            AttributeValue::Bool(_) | AttributeValue::Null(_) => {}
            other => panic!("an attribute of a type that we don't write: {other:?}"),
        }
        bytes.push(b'\n');
    }
    let mut bytes = Vec::new();
    let mut items = client.scan().table_name(table).into_paginator().items().send();
    while let Some(item) = items.next().await {
        item.unwrap().values().for_each(|value| append(value, &mut bytes));
    }
    bytes
}

#[tokio::test]
async fn no_password_token_code_or_secret_is_readable_in_any_table() {
    let world = World::new().await;
    let (name, mut browser) = world.somebody().await;
    let started = browser.post("/totp", json!({ "password": PASSWORD })).await.value();
    let secret = started["secret"].as_str().unwrap().to_owned();
    let authenticator = hallpass_tests::Authenticator::scan(&secret);
    let confirmed = browser.post("/totp/confirm", json!({ "code": authenticator.code(world.now()) })).await.value();
    let mut pending = world.browser();
    pending.log_in(&name).await;

    let mut needles: Vec<(&str, Vec<u8>)> = vec![
        ("password", PASSWORD.into()),
        ("secret", secret.clone().into()),
        ("raw secret", data_encoding::BASE32_NOPAD.decode(secret.as_bytes()).unwrap()),
    ];
    for code in confirmed["recovery_codes"].as_array().unwrap() {
        let code = code.as_str().unwrap();
        needles.push(("recovery code", code.into()));
        needles.push((
            "raw recovery code",
            data_encoding::BASE32_NOPAD.decode(code.replace('-', "").to_uppercase().as_bytes()).unwrap(),
        ));
    }
    for cookies in [&browser.cookies, &pending.cookies] {
        for token in cookies.values() {
            needles.push(("token", token.clone().into()));
            // A user id is in front.
            let secret = data_encoding::BASE64URL_NOPAD.decode(token.as_bytes()).unwrap()[16..].to_vec();
            needles.push(("token's secret", data_encoding::BASE64URL_NOPAD.encode(&secret).into()));
            needles.push(("raw token", secret));
        }
    }
    for table in ["users", "sessions", "counters"] {
        let dump = dump(world.client(), &world.table(table)).await;
        assert!(!dump.is_empty());
        for (what, needle) in &needles {
            assert!(!dump.windows(needle.len()).any(|window| window == needle.as_slice()), "{what} in {table}");
        }
    }
}

/// Ids are digests: a test beside them has a known one.
#[tokio::test]
async fn what_the_store_keeps_of_a_token_is_its_id() {
    let world = World::new().await;
    let (name, mut owner, ..) = world.somebody_with_totp().await;
    let user = owner.get("/session").await.expect(200).value()["user"]["id"].as_str().unwrap().to_owned();
    let mut pending = world.browser();
    pending.log_in(&name).await;
    let of_user =
        world.client().query().table_name(world.table("sessions")).key_condition_expression("user_id = :user");
    let query = of_user.expression_attribute_values(":user", AttributeValue::S(user));
    let items = query.send().boxed().await.unwrap().items.unwrap();
    let kept: BTreeSet<&str> = items.iter().map(|item| item["sid"].as_s().unwrap().as_str()).collect();
    let session = SessionToken::parse(&owner.cookies["__Host-session"]).unwrap().id().to_string();
    let login = format!("login#{}", LoginToken::parse(&pending.cookies["__Host-login"]).unwrap().id());
    assert!(kept.contains(session.as_str()) && kept.contains(login.as_str()), "{kept:?}");
}

#[tokio::test]
async fn an_answer_of_the_store_that_cant_be_read_is_not_quoted() {
    let faults = Faults::default();
    let Some(world) = World::faulty([], &faults, false).await else { return };
    let key = AttributeValue::S("limit|canary".to_owned());
    let put = world.client().put_item().table_name(world.table("counters")).item("key", key.clone());
    put.item("canary", AttributeValue::S("$argon2id$".repeat(100))).send().boxed().await.unwrap();

    faults.strike(0, Fault::Truncated, false);
    let get = world.client().get_item().table_name(world.table("counters")).key("key", key);
    let read = get.send().boxed().await.unwrap_err();
    assert!(format!("{read:?}").contains("$argon2id$"), "the error has nothing to hide");
    let told = StoreError::from(read).to_string();
    assert!(!told.contains("argon2id"), "{told}");
}
