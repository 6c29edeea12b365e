//! TOTP, set up and spent.

use axum::http::Method;
use data_encoding::BASE64URL_NOPAD;
use hallpass_tests::{Authenticator, Browser, PASSWORD, World, contract};
use serde_json::{Value, json};

use crate::pages::PRIVATE;

#[tokio::test]
async fn the_secret_comes_as_text_link_and_pictures_and_nothing_is_on_yet() {
    let world = World::with([("HALLPASS_ISSUER", "UniversityApp")]).await;
    let (name, mut browser) = world.somebody().await;
    let started = browser.post("/totp", json!({ "password": PASSWORD })).await.expect(200).value();
    let secret = started["secret"].as_str().unwrap();
    assert_eq!(secret.len(), 32, "160 bits in Base32");
    let url = url::Url::parse(started["otpauth_url"].as_str().unwrap()).unwrap();
    assert_eq!(
        (url.scheme(), url.host_str(), url.path()),
        ("otpauth", Some("totp"), format!("/UniversityApp:{name}").as_str())
    );
    let pairs: std::collections::HashMap<_, _> = url.query_pairs().into_owned().collect();
    assert_eq!((pairs["secret"].as_str(), pairs["issuer"].as_str()), (secret, "UniversityApp"));
    assert!(started["qr_svg"].as_str().unwrap().contains("<svg"));
    let png = data_encoding::BASE64.decode(started["qr_png_base64"].as_str().unwrap().as_bytes()).unwrap();
    assert!(png.starts_with(b"\x89PNG"));
    assert!(world.browser().log_in(&name).await.value().get("user").is_some());
}

#[tokio::test]
async fn a_login_with_a_code_makes_an_aal2_session() {
    let world = World::new().await;
    let (name, _, authenticator, _) = world.somebody_with_totp().await;
    let mut browser = world.browser();
    let due = browser.log_in(&name).await.value();
    assert_eq!((&due["next"], &due["methods"]), (&json!("verify"), &json!(["totp", "recovery_code"])));
    assert!(due["expires_at"].is_string() && due.get("user").is_none() && due.get("login_token").is_none());
    assert!(browser.cookies.contains_key("__Host-login") && !browser.cookies.contains_key("__Host-session"));
    let answer = browser.verify(&authenticator.code(world.now())).await.expect(200).value();
    assert_eq!(
        (&answer["session"]["level"], &answer["session"]["methods"], &answer["user"]["totp_enabled"]),
        (&json!("aal2"), &json!(["pwd", "otp"]), &json!(true))
    );
    assert!(!browser.cookies.contains_key("__Host-login"));
    assert!(browser.is_logged_in().await);
}

#[tokio::test]
async fn tokens_carry_both_steps_for_clients_without_cookies() {
    let world = World::new().await;
    let (name, _, authenticator, _) = world.somebody_with_totp().await;
    let mut client = world.browser();
    let due = client
        .post("/login", json!({ "username": name, "password": PASSWORD, "delivery": "token" }))
        .await
        .expect(200)
        .value();
    let body =
        json!({ "code": authenticator.code(world.now()), "login_token": due["login_token"], "delivery": "token" });
    let answer = client.post("/login/verify", body).await.expect(200).value();
    assert!(client.cookies.is_empty());
    let mut client = client.header("authorization", &format!("Bearer {}", answer["token"].as_str().unwrap()));
    assert!(client.is_logged_in().await);
}

#[tokio::test]
async fn a_pending_login_opens_nothing_else() {
    let world = World::new().await;
    let (name, _, authenticator, _) = world.somebody_with_totp().await;
    let mut browser = world.browser();
    browser.log_in(&name).await;
    let code = authenticator.code(world.now());
    for mut half in ways_to_send_a_pending_login(&world, &browser) {
        for (method, path) in operations_that_need_a_session() {
            let answer = half.ask(method.clone(), &path).await;
            // So it is told wherever there is no session, and nowhere else.
            assert_eq!((answer.status.as_u16(), answer.header("www-authenticate")), (401, "Bearer"), "{method} {path}");
        }
        for (path, body) in [
            ("/totp", json!({ "password": PASSWORD })),
            ("/totp/confirm", json!({ "code": code })),
            ("/totp/disable", json!({ "password": PASSWORD, "code": code })),
            ("/recovery-codes", json!({ "password": PASSWORD, "code": code })),
            ("/password", json!({ "current_password": PASSWORD, "new_password": "another good one" })),
        ] {
            half.post(path, body).await.expect_problem(401, "session-required");
        }
    }
    browser.verify(&code).await.expect(200);
}

#[tokio::test]
async fn a_pending_login_opens_no_private_page() {
    let world = World::new().await;
    let (name, ..) = world.somebody_with_totp().await;
    let mut browser = world.browser();
    browser.log_in(&name).await;
    for mut half in ways_to_send_a_pending_login(&world, &browser) {
        for path in PRIVATE {
            let answer = half.get(path).await.expect(303);
            assert!(answer.header("location").starts_with("/login?next="), "{path}");
        }
    }
}

/// As what it is, as a bearer token, and as a session.
fn ways_to_send_a_pending_login(world: &World, browser: &Browser) -> [Browser; 3] {
    let pending = &browser.cookies["__Host-login"];
    [
        browser.clone(),
        world.browser().header("authorization", &format!("Bearer {pending}")),
        world.browser().header("cookie", &format!("__Host-session={pending}")),
    ]
}

/// All of the contract but those that anybody may ask.
fn operations_that_need_a_session() -> Vec<(Method, String)> {
    const OPEN: [&str; 7] = [
        "GET /api/resource",
        "GET /docs",
        "GET /openapi.json",
        "POST /login",
        "POST /login/verify",
        "POST /logout",
        "POST /register",
    ];
    let operations = contract::operations(&contract::of_the_code());
    let closed = operations.iter().filter(|operation| !OPEN.contains(&operation.as_str()));
    let closed = closed.map(|operation| operation.split_once(' ').unwrap());
    closed.map(|(method, path)| (method.parse().unwrap(), path.replace("{id}", "x"))).collect()
}

/// What an attacker has planted is the attacker's: it is neither completed by the victim nor kept.
#[tokio::test]
async fn a_planted_pending_login_is_never_taken_over() {
    let world = World::new().await;
    let (attacker, _, attackers_app, _) = world.somebody_with_totp().await;
    let (victim, _, victims_app, _) = world.somebody_with_totp().await;
    let (without_a_second_step, _) = world.somebody().await;
    let mut planted = world.browser();
    planted.log_in(&attacker).await;

    planted.clone().verify(&victims_app.code(world.now())).await.expect_problem(401, "invalid-code");
    let mut browser = planted.clone();
    browser.log_in(&victim).await;
    assert_ne!(browser.cookies["__Host-login"], planted.cookies["__Host-login"]);
    let answer = browser.verify(&victims_app.code(world.now())).await.expect(200).value();
    assert_eq!(answer["user"]["username"], victim);

    let mut browser = planted.clone();
    assert_eq!(browser.log_in(&without_a_second_step).await.value()["user"]["username"], without_a_second_step);
    assert!(!browser.cookies.contains_key("__Host-login"));
    let answer = planted.verify(&attackers_app.code(world.now())).await.expect(200).value();
    assert_eq!(answer["user"]["username"], attacker, "what was planted still leads where it led");
}

#[tokio::test]
async fn a_session_token_is_no_pending_login() {
    let world = World::new().await;
    let (_, owner, authenticator, _) = world.somebody_with_totp().await;
    let mut browser = world.browser();
    let body = json!({ "code": authenticator.code(world.now()), "login_token": owner.cookies["__Host-session"] });
    browser.post("/login/verify", body).await.expect_problem(401, "login-expired");
}

#[tokio::test]
async fn a_second_step_without_a_first_is_refused() {
    let world = World::new().await;
    let (_, _, authenticator, codes) = world.somebody_with_totp().await;
    let mut browser = world.browser();
    browser.verify(&authenticator.code(world.now())).await.expect_problem(401, "login-expired");
    browser.post("/login/verify", json!({ "recovery_code": codes[0] })).await.expect_problem(401, "login-expired");
}

#[tokio::test]
async fn a_wrong_password_makes_no_pending_login() {
    let world = World::new().await;
    let (name, _, authenticator, _) = world.somebody_with_totp().await;
    let mut browser = world.browser();
    browser.log_in_with(&name, "not the password").await.expect_problem(401, "invalid-credentials");
    assert!(!browser.cookies.contains_key("__Host-login"));
    browser.verify(&authenticator.code(world.now())).await.expect_problem(401, "login-expired");
}

#[tokio::test]
async fn a_made_up_pending_login_of_the_right_user_is_refused() {
    let world = World::new().await;
    let (name, _, authenticator, _) = world.somebody_with_totp().await;
    let mut real = world.browser();
    real.log_in(&name).await;
    let mut token = BASE64URL_NOPAD.decode(real.cookies["__Host-login"].as_bytes()).unwrap();
    // The user's id stays; the secret is another.
    token[16..].reverse();
    let code = authenticator.code(world.now());
    let body = json!({ "code": code, "login_token": BASE64URL_NOPAD.encode(&token) });
    world.browser().post("/login/verify", body).await.expect_problem(401, "login-expired");
    real.verify(&code).await.expect(200);
}

#[tokio::test]
async fn a_totp_code_works_once() {
    let world = World::new().await;
    let (name, _, authenticator, _) = world.somebody_with_totp().await;
    let (mut first, mut second) = (world.browser(), world.browser());
    first.log_in(&name).await;
    second.log_in(&name).await;
    let code = authenticator.code(world.now());
    first.verify(&code).await.expect(200);
    second.verify(&code).await.expect_problem(401, "invalid-code");
    for spelling in [format!(" {code}"), format!("{} {}", &code[..3], &code[3..])] {
        second.verify(&spelling).await.expect_problem(401, "invalid-code");
    }
}

#[tokio::test]
async fn the_code_that_confirmed_the_enrolment_is_burnt() {
    let world = World::new().await;
    let (name, mut browser) = world.somebody().await;
    let (authenticator, _) = browser.enable_totp(world.now()).await;
    let mut other = world.browser();
    other.log_in(&name).await;
    other.verify(&authenticator.code(world.now())).await.expect_problem(401, "invalid-code");
    world.pass(30);
    other.verify(&authenticator.code(world.now())).await.expect(200);
}

#[tokio::test]
async fn one_step_of_drift_is_accepted_each_way_and_can_be_set_to_none() {
    let world = World::new().await;
    for (offset, status) in [(-60, 401), (-30, 200), (30, 200), (60, 401)] {
        let (name, _, authenticator, _) = world.somebody_with_totp().await;
        // Far enough from the enrolment that no step is burnt.
        world.pass(120);
        let mut browser = world.browser();
        browser.log_in(&name).await;
        let code = authenticator.code(world.now() + jiff::SignedDuration::from_secs(offset));
        assert_eq!(browser.verify(&code).await.status, status, "{offset}");
    }
    let strict = world.instance_with_settings(|settings| settings.totp.drift_steps = 0);
    let (name, _, authenticator, _) = strict.somebody_with_totp().await;
    strict.pass(120);
    let mut browser = strict.browser();
    browser.log_in(&name).await;
    browser
        .verify(&authenticator.code(strict.now() - jiff::SignedDuration::from_secs(30)))
        .await
        .expect_problem(401, "invalid-code");
    browser.verify(&authenticator.code(strict.now())).await.expect(200);
}

#[tokio::test]
async fn a_login_that_nobody_completes_is_taken_away_by_the_store() {
    let world = World::new().await;
    let (name, ..) = world.somebody_with_totp().await;
    world.browser().log_in(&name).await;
    let mut items = world.client().scan().table_name(world.table("sessions")).into_paginator().items().send();
    let mut pending = 0;
    while let Some(item) = items.next().await {
        let item = item.unwrap();
        if item["sid"].as_s().unwrap().starts_with("login#") {
            let ttl: i64 = item["ttl"].as_n().unwrap().parse().unwrap();
            pending += usize::from(ttl >= world.now().as_second() + 300);
        }
    }
    assert!(pending > 0);
}

#[tokio::test]
async fn five_wrong_codes_end_a_pending_login() {
    let world = World::new().await;
    let (name, _, authenticator, _) = world.somebody_with_totp().await;
    let mut browser = world.browser();
    browser.log_in(&name).await;
    let kept = browser.cookies["__Host-login"].clone();
    for _ in 0..5 {
        browser.verify(&authenticator.wrong_code(world.now())).await.expect_problem(401, "invalid-code");
    }
    browser.cookies.insert("__Host-login".to_owned(), kept);
    browser.verify(&authenticator.code(world.now())).await.expect_problem(401, "login-expired");
    browser.log_in(&name).await;
    browser.verify(&authenticator.code(world.now())).await.expect(200);
}

#[tokio::test]
async fn a_pending_login_ends_after_five_minutes() {
    let world = World::new().await;
    let (name, _, authenticator, _) = world.somebody_with_totp().await;
    let (mut in_time, mut late) = (world.browser(), world.browser());
    in_time.log_in(&name).await;
    late.log_in(&name).await;
    world.pass(299);
    in_time.verify(&authenticator.code(world.now())).await.expect(200);
    world.pass(1);
    late.verify(&authenticator.code(world.now() + jiff::SignedDuration::from_secs(30)))
        .await
        .expect_problem(401, "login-expired");
}

#[tokio::test]
async fn a_pending_login_is_spent_by_its_completion() {
    let world = World::new().await;
    let (name, _, authenticator, _) = world.somebody_with_totp().await;
    let mut browser = world.browser();
    browser.log_in(&name).await;
    let kept = browser.cookies["__Host-login"].clone();
    browser.verify(&authenticator.code(world.now())).await.expect(200);
    world.pass(30);
    let mut again = world.browser();
    again.cookies.insert("__Host-login".to_owned(), kept);
    again.verify(&authenticator.code(world.now())).await.expect_problem(401, "login-expired");
}

#[tokio::test]
async fn logging_out_forgets_a_pending_login() {
    let world = World::new().await;
    let (name, _, authenticator, _) = world.somebody_with_totp().await;
    let mut browser = world.browser();
    browser.log_in(&name).await;
    let kept = browser.clone();
    browser.post("/logout", json!({})).await.expect(204);
    assert!(!browser.cookies.contains_key("__Host-login"));
    kept.clone().verify(&authenticator.code(world.now())).await.expect_problem(401, "login-expired");
}

#[tokio::test]
async fn exactly_one_kind_of_code_must_be_offered() {
    let world = World::new().await;
    let mut browser = world.browser();
    browser.post("/login/verify", json!({})).await.expect_problem(422, "invalid-input");
    browser
        .post("/login/verify", json!({ "code": "123456", "recovery_code": "x" }))
        .await
        .expect_problem(422, "invalid-input");
}

#[tokio::test]
async fn enrolment_goes_step_by_step() {
    let world = World::new().await;
    let (_, mut browser) = world.somebody().await;
    browser.post("/totp/confirm", json!({ "code": "123456" })).await.expect_problem(409, "totp-not-started");
    browser.post("/totp", json!({ "password": "not the password" })).await.expect_problem(401, "invalid-credentials");
    let first = browser.post("/totp", json!({ "password": PASSWORD })).await.expect(200).value();
    let second = browser.post("/totp", json!({ "password": PASSWORD })).await.expect(200).value();
    let app = |started: &Value| Authenticator::scan(started["secret"].as_str().unwrap());
    browser
        .post("/totp/confirm", json!({ "code": app(&first).code(world.now()) }))
        .await
        .expect_problem(401, "invalid-code");
    browser.post("/totp/confirm", json!({ "code": app(&second).code(world.now()) })).await.expect(200);
    world.pass(30);
    browser
        .post("/totp/confirm", json!({ "code": app(&second).code(world.now()) }))
        .await
        .expect_problem(409, "totp-already-enabled");
    browser.post("/totp", json!({ "password": PASSWORD })).await.expect_problem(409, "totp-already-enabled");
}

#[tokio::test]
async fn an_enrolment_is_forgotten_after_ten_minutes_or_ten_wrong_codes() {
    let world = World::new().await;
    let (_, mut browser) = world.somebody().await;
    let start = |answer: hallpass_tests::Answer| Authenticator::scan(answer.value()["secret"].as_str().unwrap());
    let app = start(browser.post("/totp", json!({ "password": PASSWORD })).await.expect(200));
    world.pass(600);
    browser
        .post("/totp/confirm", json!({ "code": app.code(world.now()) }))
        .await
        .expect_problem(409, "totp-not-started");
    let app = start(browser.post("/totp", json!({ "password": PASSWORD })).await.expect(200));
    for _ in 0..10 {
        browser
            .post("/totp/confirm", json!({ "code": app.wrong_code(world.now()) }))
            .await
            .expect_problem(401, "invalid-code");
    }
    browser
        .post("/totp/confirm", json!({ "code": app.code(world.now()) }))
        .await
        .expect_problem(409, "totp-not-started");
}

#[tokio::test]
async fn turning_it_off_takes_password_and_code() {
    let world = World::new().await;
    let (name, mut browser, authenticator, _) = world.somebody_with_totp().await;
    let code = authenticator.code(world.now());
    browser
        .delete("/totp", json!({ "password": "not the password", "code": code }))
        .await
        .expect_problem(401, "invalid-credentials");
    browser
        .delete("/totp", json!({ "password": PASSWORD, "code": authenticator.wrong_code(world.now()) }))
        .await
        .expect_problem(401, "invalid-code");
    browser.delete("/totp", json!({ "password": PASSWORD })).await.expect_problem(422, "invalid-input");
    browser.delete("/totp", json!({ "password": PASSWORD, "code": code })).await.expect(204);
    assert_eq!(browser.get("/session").await.value()["session"]["level"], "aal1");
    assert!(world.browser().log_in(&name).await.value().get("user").is_some());
    browser
        .delete("/totp", json!({ "password": PASSWORD, "code": "123456" }))
        .await
        .expect_problem(409, "totp-not-enabled");
}
