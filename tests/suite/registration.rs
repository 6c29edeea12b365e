//! An account is made, or a name is taken.

use hallpass_tests::{PASSWORD, World, world::fresh_name};
use serde_json::json;

#[tokio::test]
async fn registering_makes_an_account_and_logs_in_to_it() {
    let world = World::new().await;
    let mut browser = world.browser();
    let name = fresh_name();
    let answer = browser.post("/register", json!({ "username": format!("  {} ", name.to_uppercase()), "password": PASSWORD, "email": format!("{name}@example.org") })).await.expect(201).value();
    assert_eq!(answer["user"]["username"], name.to_uppercase());
    assert_eq!(answer["user"]["email"], format!("{name}@example.org"));
    assert_eq!(answer["user"]["totp_enabled"], false);
    assert_eq!((&answer["session"]["level"], &answer["session"]["methods"]), (&json!("aal1"), &json!(["pwd"])));
    assert!(answer.get("token").is_none());
    assert!(browser.is_logged_in().await);
}

#[tokio::test]
async fn a_token_is_handed_out_only_where_one_was_asked_for() {
    let world = World::new().await;
    let mut browser = world.browser();
    let answer = browser
        .post("/register", json!({ "username": fresh_name(), "password": PASSWORD, "delivery": "token" }))
        .await
        .expect(201);
    assert!(browser.cookies.is_empty());
    let token = answer.value()["token"].as_str().unwrap().to_owned();
    assert!(browser.header("authorization", &format!("Bearer {token}")).is_logged_in().await);
}

#[tokio::test]
async fn all_spellings_of_a_taken_name_are_taken() {
    let world = World::new().await;
    let (name, _) = world.somebody().await;
    for spelling in [name.clone(), name.to_uppercase(), format!(" {name} "), name.replace('u', "\u{ff55}")] {
        world
            .browser()
            .post("/register", json!({ "username": spelling, "password": PASSWORD }))
            .await
            .expect_problem(409, "username-taken");
    }
}

#[tokio::test]
async fn a_taken_address_is_refused_and_leaves_no_half_made_account() {
    let world = World::new().await;
    let (first, second) = (fresh_name(), fresh_name());
    let address = format!("{first}@example.org");
    world
        .browser()
        .post("/register", json!({ "username": first, "password": PASSWORD, "email": address }))
        .await
        .expect(201);
    let answer = world
        .browser()
        .post("/register", json!({ "username": second, "password": PASSWORD, "email": address.to_uppercase() }))
        .await;
    assert_eq!(answer.expect_problem(409, "username-taken").value()["errors"][0]["field"], "email");
    world.browser().post("/register", json!({ "username": second, "password": PASSWORD })).await.expect(201);
}

/// By neither a taken name nor a taken address, and by neither way to be handed a session.
#[tokio::test]
async fn a_refused_registration_opens_nothing_at_the_account_that_was_there_first() {
    let world = World::new().await;
    let (name, address) = (fresh_name(), format!("{}@example.org", fresh_name()));
    let mut owner = world.browser();
    let body = json!({ "username": name, "password": PASSWORD, "email": address });
    owner.post("/register", body).await.expect(201);
    for (username, email) in [(name.clone(), format!("{}@example.org", fresh_name())), (fresh_name(), address)] {
        for delivery in ["cookie", "token"] {
            let mut thief = world.browser();
            let body = json!({ "username": username, "password": "a password of the thief's", "email": email, "delivery": delivery });
            let answer = thief.post("/register", body).await.expect_problem(409, "username-taken");
            assert!(!answer.headers.contains_key("set-cookie") && answer.value().get("token").is_none());
            assert!(!thief.is_logged_in().await);
        }
    }
    assert_eq!(owner.get("/sessions").await.value()["sessions"].as_array().unwrap().len(), 1);
    world.browser().log_in_with(&name, "a password of the thief's").await.expect_problem(401, "invalid-credentials");
}

#[tokio::test]
async fn every_rule_of_names_addresses_and_passwords_is_enforced() {
    let world = World::with([("HALLPASS_LIMITS__REGISTER", "1000 per hour")]).await;
    let mut browser = world.browser();
    for (username, password, email, slug, field) in [
        ("ab", PASSWORD, None, "invalid-input", "username"),
        ("a b c", PASSWORD, None, "invalid-input", "username"),
        ("name#other", PASSWORD, None, "invalid-input", "username"),
        ("zero\0name", PASSWORD, None, "invalid-input", "username"),
        ("bidi\u{202e}name", PASSWORD, None, "invalid-input", "username"),
        ("good.name", PASSWORD, Some("not an address"), "invalid-input", "email"),
        ("good.name", PASSWORD, Some("a@b.example\r\nBcc: c@d.example"), "invalid-input", "email"),
        ("good.name", "short", None, "weak-password", "password"),
        ("good.name", "password123", None, "weak-password", "password"),
        ("good.name", "Good.Name", None, "weak-password", "password"),
    ] {
        let answer =
            browser.post("/register", json!({ "username": username, "password": password, "email": email })).await;
        assert_eq!(
            answer.expect_problem(422, slug).value()["errors"][0]["field"],
            field,
            "{username:?} {password:?} {email:?}"
        );
    }
    let long = "x".repeat(257);
    browser
        .post("/register", json!({ "username": "good.name", "password": long }))
        .await
        .expect_problem(422, "weak-password");
}

#[tokio::test]
async fn the_shortest_and_the_longest_password_log_in() {
    let world = World::new().await;
    for password in
        ["zebra 42".to_owned(), "y".repeat(256), "NUL\0 and 🦀 inside".to_owned(), "        ".to_owned() + "spaces "]
    {
        let name = fresh_name();
        world.browser().post("/register", json!({ "username": name, "password": password })).await.expect(201);
        world.browser().log_in_with(&name, &password).await.expect(200);
        world.browser().log_in_with(&name, password.trim()).await.expect(if password.trim() == password {
            200
        } else {
            401
        });
    }
}

#[tokio::test]
async fn the_shortest_password_can_be_set() {
    let world = World::with([("HALLPASS_PASSWORD__MIN_LENGTH", "15")]).await;
    for (password, status) in [("fourteen chars", 422), ("fifteen chars !", 201)] {
        let _ = world
            .browser()
            .post("/register", json!({ "username": fresh_name(), "password": password }))
            .await
            .expect(status);
    }
}

#[tokio::test]
async fn ones_own_address_is_no_password() {
    let world = World::new().await;
    let email = format!("{}@example.org", fresh_name());
    let body = json!({ "username": fresh_name(), "password": email, "email": email });
    world.browser().post("/register", body).await.expect_problem(422, "weak-password");
}
