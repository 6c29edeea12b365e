//! One request is held back just before it is sent to the store, and what it was decided on changes meanwhile.

use futures_util::FutureExt;
use hallpass_tests::{Answer, Browser, PASSWORD, World};
use serde_json::{Value, json};

/// What `request` does while one of its calls is held back, `meanwhile` having happened in between.
async fn held_at<T: Send + 'static>(
    world: &World,
    operation: &'static str,
    request: impl Future<Output = T> + Send + 'static,
    meanwhile: impl Future<Output = ()>,
) -> T {
    let held = world.recorder.hold_next(operation);
    let mut request = tokio::spawn(request);
    tokio::select! {
        () = held.arrived() => {}
        _ = &mut request => panic!("{operation} was never called"),
    }
    meanwhile.await;
    held.let_go();
    request.await.unwrap()
}

#[tokio::test]
async fn a_right_code_that_commits_after_five_wrong_ones_is_refused() {
    let world = World::new().await;
    let (name, _, authenticator, _) = world.somebody_with_totp().await;
    let mut browser = world.browser();
    browser.log_in(&name).await;
    let (mut right, mut wrong) = (browser.clone(), browser);
    let (code, wrong_code) = (authenticator.code(world.now()), authenticator.wrong_code(world.now()));
    let meanwhile = async {
        for _ in 0..5 {
            wrong.verify(&wrong_code).await.expect_problem(401, "invalid-code");
        }
    };
    let answer = held_at(&world, "TransactWriteItems", async move { right.verify(&code).await }, meanwhile).await;
    answer.expect_problem(401, "login-expired");
}

#[tokio::test]
async fn a_right_password_that_commits_after_ten_wrong_ones_is_answered_like_them() {
    let world = World::new().await;
    let (by_one_step, _) = world.somebody().await;
    let (by_two_steps, ..) = world.somebody_with_totp().await;
    for name in [by_one_step, by_two_steps] {
        let (mut right, wrong_name) = (world.browser(), name.clone());
        let guess = async || world.browser().log_in_with(&wrong_name, "not the password").await.expect(401);
        for _ in 0..9 {
            guess().await;
        }
        let meanwhile = async {
            guess().await;
        };
        let login = async move { right.log_in_with(&name, PASSWORD).await };
        held_at(&world, "TransactWriteItems", login, meanwhile).await.expect_problem(429, "rate-limited");
    }
}

#[tokio::test]
async fn a_login_that_commits_after_a_password_change_is_refused() {
    let world = World::new().await;
    let (name, mut owner) = world.somebody().await;
    let mut late = world.browser();
    let meanwhile = async {
        let body = json!({ "current_password": PASSWORD, "new_password": "another good password" });
        owner.post("/password", body).await.expect(204);
    };
    let login = async move { late.log_in_with(&name, PASSWORD).await };
    held_at(&world, "TransactWriteItems", login, meanwhile).await.expect_problem(401, "invalid-credentials");
}

/// The answer to a right code whose commit comes after what the account's owner does.
async fn second_step_after(owners: impl AsyncFnOnce(&mut Browser)) -> Answer {
    let world = World::new().await;
    let (name, mut owner, authenticator, _) = world.somebody_with_totp().await;
    let mut late = world.browser();
    late.log_in(&name).await;
    let code = authenticator.code(world.now());
    held_at(&world, "TransactWriteItems", async move { late.verify(&code).await }, owners(&mut owner)).await
}

#[tokio::test]
async fn a_second_step_that_commits_after_a_password_change_is_refused() {
    let answer = second_step_after(async |owner| {
        let body = json!({ "current_password": PASSWORD, "new_password": "another good password" });
        owner.post("/password", body).await.expect(204);
    });
    answer.await.expect_problem(401, "login-expired");
}

#[tokio::test]
async fn a_second_step_that_commits_after_all_other_sessions_were_ended_is_refused() {
    let answer = second_step_after(async |owner| {
        owner.delete("/sessions", Value::Null).await.expect(200);
    });
    answer.await.expect_problem(401, "login-expired");
}

#[tokio::test]
async fn a_login_that_is_completed_while_all_others_are_being_ended_ends_with_them() {
    let world = World::new().await;
    let (name, mut owner, authenticator, _) = world.somebody_with_totp().await;
    let mut early = world.browser();
    early.log_in(&name).await;
    let code = authenticator.code(world.now());
    let meanwhile = async {
        early.verify(&code).await.expect(200);
    };
    let ending = async move { owner.delete("/sessions", Value::Null).await };
    let answer = held_at(&world, "TransactWriteItems", ending, meanwhile).await;
    assert_eq!(answer.expect(200).value(), json!({ "revoked": 1 }));
    assert!(!early.is_logged_in().await);
}

#[tokio::test]
async fn a_right_code_that_commits_after_a_hundred_wrong_ones_elsewhere_is_refused() {
    let world = World::new().await;
    let (name, _, authenticator, _) = world.somebody_with_totp().await;
    let mut right = world.browser();
    right.log_in(&name).await;
    let (code, wrong_code) = (authenticator.code(world.now()), authenticator.wrong_code(world.now()));
    let mut wrong = world.browser();
    for number in 0..99 {
        if number % 5 == 0 {
            // A login has five tries, and an address ten.
            wrong = world.browser();
            wrong.log_in(&name).await;
        }
        wrong.verify(&wrong_code).await.expect_problem(401, "invalid-code");
    }
    let meanwhile = async {
        wrong.verify(&wrong_code).await.expect_problem(401, "invalid-code");
    };
    let verifying = async move { right.verify(&code).await };
    held_at(&world, "TransactWriteItems", verifying, meanwhile).await.expect_problem(401, "invalid-code");
}

/// Somebody's running session, a login of theirs that waits for its second step, and a code that is good for either.
async fn with_one_code(world: &World) -> (Browser, Browser, String) {
    let (name, owner, authenticator, _) = world.somebody_with_totp().await;
    let mut login = world.browser();
    login.log_in(&name).await;
    (owner, login, authenticator.code(world.now()))
}

#[tokio::test]
async fn a_code_spent_on_two_things_at_once_is_spent_on_one_of_them_and_ends_no_session() {
    let world = World::new().await;
    for path in ["/recovery-codes", "/totp/disable"] {
        let (mut owner, mut login, code) = with_one_code(&world).await;
        let (mut late, body) = (owner.clone(), json!({ "password": PASSWORD, "code": code }));
        let change = async move { late.post(path, body).await };
        let meanwhile = async {
            login.verify(&code).await.expect(200);
        };
        held_at(&world, "TransactWriteItems", change, meanwhile).await.expect_problem(401, "invalid-code");
        assert!(owner.is_logged_in().await);

        let (mut owner, mut late, code) = with_one_code(&world).await;
        let body = json!({ "password": PASSWORD, "code": code });
        let verifying = async move { late.verify(&code).await };
        let meanwhile = async {
            assert!(owner.post(path, body).await.status.is_success());
        };
        held_at(&world, "TransactWriteItems", verifying, meanwhile).await.expect(401);
        assert!(owner.is_logged_in().await);
    }
}

#[tokio::test]
async fn a_right_password_inside_a_session_that_commits_after_ten_wrong_ones_is_refused() {
    let world = World::new().await;
    let (_, browser) = world.somebody().await;
    let (mut right, mut wrong) = (browser.clone(), browser);
    let change = |current: &str| json!({ "current_password": current, "new_password": "another good password" });
    let mut guess = async || {
        wrong.post("/password", change("not the password")).await.expect_problem(401, "invalid-credentials");
    };
    for _ in 0..9 {
        guess().await;
    }
    let meanwhile = guess();
    let body = change(PASSWORD);
    let changing = async move { right.post("/password", body).await };
    held_at(&world, "TransactWriteItems", changing, meanwhile).await.expect_problem(429, "rate-limited");
}

#[tokio::test]
async fn while_a_charge_is_under_way_no_credential_is_spent() {
    let world = World::new().await;
    let (name, _, authenticator, _) = world.somebody_with_totp().await;
    let (mut logs_in, mut verifies) = (world.browser(), world.browser());
    verifies.log_in(&name).await;
    let code = authenticator.code(world.now());
    let login = async move { logs_in.log_in(&name).await };
    let verifying = async move { verifies.verify(&code).await };
    for request in [login.boxed(), verifying.boxed()] {
        let meanwhile = async {
            world.recorder.clear();
            // Long enough for the one that is held back, were it not to wait.
            for _ in 0..2 {
                world.somebody().await;
            }
            let operations = world.recorder.operations();
            let commits = operations.iter().filter(|operation| *operation == "TransactWriteItems");
            assert_eq!(commits.count(), 2);
        };
        held_at(&world, "UpdateItem", request, meanwhile).await.expect(200);
    }
}

/// The answer to a request of another session than the owner's, who ends all others while its call is held.
async fn held_while_others_are_ended(
    world: &World,
    operation: &'static str,
    request: impl Future<Output = Answer> + Send + 'static,
    owner: &mut Browser,
) -> Answer {
    let ending = async {
        owner.delete("/sessions", Value::Null).await.expect(200);
    };
    held_at(world, operation, request, ending).await
}

#[tokio::test]
async fn recovery_codes_are_not_replaced_by_a_session_that_was_revoked_meanwhile() {
    let world = World::new().await;
    let (name, mut owner, authenticator, codes) = world.somebody_with_totp().await;
    let mut thief = world.browser();
    thief.log_in(&name).await;
    thief.verify(&authenticator.code(world.now())).await.expect(200);
    world.pass(30);
    let body = json!({ "password": PASSWORD, "code": authenticator.code(world.now()) });
    let replacing = async move { thief.post("/recovery-codes", body).await };
    let answer = held_while_others_are_ended(&world, "TransactWriteItems", replacing, &mut owner).await;
    answer.expect_problem(401, "session-required");
    let mut phone = world.browser();
    phone.log_in(&name).await;
    phone.post("/login/verify", json!({ "recovery_code": codes[0] })).await.expect(200);
}

#[tokio::test]
async fn a_session_that_was_ended_while_it_ended_all_others_ends_none() {
    let world = World::new().await;
    let (name, mut owner) = world.somebody().await;
    let mut thief = world.browser();
    thief.log_in(&name).await;
    let ending = async move { thief.delete("/sessions", Value::Null).await };
    let answer = held_while_others_are_ended(&world, "TransactWriteItems", ending, &mut owner).await;
    answer.expect_problem(401, "session-required");
    assert!(owner.is_logged_in().await);
}

#[tokio::test]
async fn a_login_while_all_others_are_being_ended_ends_with_them() {
    let world = World::new().await;
    let (name, mut owner) = world.somebody().await;
    let mut early = world.browser();
    let meanwhile = async {
        early.log_in(&name).await;
    };
    let ending = async move { owner.delete("/sessions", Value::Null).await };
    let answer = held_at(&world, "TransactWriteItems", ending, meanwhile).await;
    assert_eq!(answer.expect(200).value(), json!({ "revoked": 1 }));
    assert!(!early.is_logged_in().await);
}

#[tokio::test]
async fn a_password_change_by_a_session_that_was_revoked_meanwhile_is_refused() {
    let world = World::new().await;
    let (name, mut owner) = world.somebody().await;
    let mut thief = world.browser();
    thief.log_in(&name).await;
    let body = json!({ "current_password": PASSWORD, "new_password": "another good password" });
    let change = async move { thief.post("/password", body).await };
    let answer = held_while_others_are_ended(&world, "TransactWriteItems", change, &mut owner).await;
    answer.expect_problem(401, "session-required");
    world.browser().log_in(&name).await;
}

#[tokio::test]
async fn a_touch_does_not_bring_a_revoked_session_back() {
    let world = World::with([("HALLPASS_LIMITS__SESSION", "off")]).await;
    let (name, mut owner) = world.somebody().await;
    let mut other = world.browser();
    other.log_in(&name).await;
    world.pass(600);
    owner.get("/session").await.expect(200);
    let kept = other.clone();
    let checking = async move { other.get("/session").await };
    held_while_others_are_ended(&world, "UpdateItem", checking, &mut owner).await.expect(401);
    assert!(!kept.clone().is_logged_in().await);
}

#[tokio::test]
async fn all_others_are_not_said_to_be_ended_while_more_and_more_log_in() {
    let world = World::new().await;
    let (name, mut owner) = world.somebody().await;
    let hold = || world.recorder.hold_next("TransactWriteItems");
    let mut held = hold();
    let mut ending = tokio::spawn(async move { owner.delete("/sessions", json!({})).await });
    for round in 1..=8 {
        tokio::select! {
            () = held.arrived() => {}
            answer = &mut ending => panic!("told in round {round}: {}", answer.unwrap().status),
        }
        world.browser().log_in(&name).await;
        let next = (round < 8).then(hold);
        held.let_go();
        let Some(next) = next else { break };
        held = next;
    }
    ending.await.unwrap().expect_problem(503, "unavailable");
}
