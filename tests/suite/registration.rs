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

/// What Django and others took for one name in one place and for two in another (attack 5.23): each is one name everywhere.
#[tokio::test]
async fn no_two_accounts_have_names_that_are_spellings_of_one() {
    let world = World::new().await;
    for (name, twins) in [
        ("kelvin", &["\u{212A}elvin", "KELVIN", "\u{ff2b}elvin", "\u{1d424}elvin", "\u{24da}elvin"][..]),
        ("ross", &["ro\u{17f}s", "ro\u{17f}\u{17f}", "ro\u{df}", "RO\u{1e9e}"]),
        ("\u{e5}sa", &["\u{212B}sa", "a\u{30a}sa", "A\u{30a}SA"]),
        ("ohm.\u{3c9}", &["ohm.\u{2126}", "ohm.\u{3a9}"]),
        (
            "\u{3c3}\u{3af}\u{3c3}\u{3c5}\u{3c6}\u{3bf}\u{3c3}",
            &["\u{3a3}\u{38a}\u{3a3}\u{3a5}\u{3a6}\u{39f}\u{3a3}", "\u{3c3}\u{3af}\u{3c3}\u{3c5}\u{3c6}\u{3bf}\u{3c2}"],
        ),
        ("fisher.iv", &["\u{fb01}sher.iv", "fisher.\u{2173}", "FISHER.\u{2163}"]),
        ("a@b.1", &["a\u{ff20}b.1", "a\u{fe6b}b.1", "a@b.\u{2460}", "\u{aa}@b.1"]),
    ] {
        let prefix = fresh_name();
        let mut owner = world.browser();
        owner.register(&format!("{prefix}{name}")).await;
        for twin in twins {
            let twin = format!("{prefix}{twin}");
            let body = json!({ "username": twin, "password": PASSWORD });
            world.browser().post("/register", body).await.expect_problem(409, "username-taken");
            let found = world.browser().log_in(&twin).await.value();
            assert_eq!(found["user"]["username"], format!("{prefix}{name}"));
        }
    }
}

/// Nothing is in a name that one can't see, or that changes how the rest is shown.
#[tokio::test]
async fn no_account_has_a_name_with_letters_that_one_cannot_see() {
    let world = World::new().await;
    let prefix = fresh_name();
    world.browser().register(&format!("{prefix}ilia")).await;
    for hidden in [
        "\u{ad}",
        "\u{200b}",
        "\u{200c}",
        "\u{200d}",
        "\u{200e}",
        "\u{202e}",
        "\u{2060}",
        "\u{2066}",
        "\u{34f}",
        "\u{61c}",
        "\u{115f}",
        "\u{3164}",
        "\u{180e}",
        "\u{fe0f}",
        "\u{feff}",
        "\u{e0001}",
        "\0",
        "\u{7f}",
    ] {
        for twin in [format!("{prefix}i{hidden}lia"), format!("{prefix}ilia{hidden}"), format!("{hidden}{prefix}ilia")]
        {
            let body = json!({ "username": twin, "password": PASSWORD });
            world.browser().post("/register", body).await.expect_problem(422, "invalid-input");
        }
    }
    // Folds to an i with a dot above it, which is another letter behind it.
    let body = json!({ "username": format!("{prefix}\u{130}lia"), "password": PASSWORD });
    world.browser().post("/register", body).await.expect_problem(422, "invalid-input");
}

/// As SECURITY.md says under "What we don't do"; nothing that is told of the one opens the other.
#[tokio::test]
async fn names_of_letters_that_merely_look_alike_are_different_accounts() {
    let world = World::new().await;
    for (name, twin) in [("ilia", "\u{131}lia"), ("coco", "\u{441}\u{43e}\u{441}\u{43e}"), ("lily", "1i1y")] {
        let prefix = fresh_name();
        let [name, twin] = [name, twin].map(|name| format!("{prefix}{name}"));
        let [mut owner, mut other] = [world.browser(), world.browser()];
        owner.register(&name).await;
        other.register(&twin).await;
        other
            .post("/password", json!({ "current_password": PASSWORD, "new_password": "a password of the twin's" }))
            .await
            .expect(204);
        world.browser().log_in_with(&name, "a password of the twin's").await.expect(401);
        assert_eq!(world.browser().log_in(&name).await.value()["user"]["username"], name);
        assert!(owner.is_logged_in().await);
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
