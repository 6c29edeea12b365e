//! Many at once, on several threads and instances: one success each (attacks 5.3, 5.18, 5.22).

mod held;

use std::time::Duration;

use hallpass_core::accounts::hasher::Hasher;
use hallpass_tests::{Answer, Browser, PASSWORD, World, crowds::at_once, world::fresh_name};
use serde_json::{Value, json};
use tokio::time::timeout;

/// Sends the same thing from every browser at once; what came back.
async fn race(browsers: Vec<Browser>, path: &'static str, body: Value) -> Vec<(Answer, Browser)> {
    race_of(browsers.into_iter().map(|browser| (browser, body.clone())).collect(), path).await
}

/// Sends something from every browser at once; what came back, in their order.
async fn race_of(bodies: Vec<(Browser, Value)>, path: &'static str) -> Vec<(Answer, Browser)> {
    at_once(bodies.into_iter().map(|(mut browser, body)| async move { (browser.post(path, body).await, browser) }))
        .await
}

fn count(outcomes: &[(Answer, Browser)], status: u16) -> usize {
    outcomes.iter().filter(|(answer, _)| answer.status == status).count()
}

fn count_problems(outcomes: &[(Answer, Browser)], slug: &str) -> usize {
    outcomes.iter().filter(|(answer, _)| answer.problem().as_deref() == Some(slug)).count()
}

/// Browsers in the middle of a login each, spread over two instances.
async fn pending_logins(world: &World, name: &str, number: usize) -> Vec<Browser> {
    let other = world.another_instance();
    let mut browsers: Vec<Browser> =
        (0..number).map(|index| if index % 2 == 0 { world.browser() } else { other.browser() }).collect();
    for browser in &mut browsers {
        browser.log_in(name).await;
    }
    browsers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_totp_code_in_50_parallel_logins_opens_exactly_one_session() {
    let world = World::new().await;
    let (name, mut owner, authenticator, _) = world.somebody_with_totp().await;
    for _ in 0..3 {
        world.pass(30);
        let browsers = pending_logins(&world, &name, 50).await;
        let outcomes = race(browsers, "/login/verify", json!({ "code": authenticator.code(world.now()) })).await;
        assert_eq!((count(&outcomes, 200), count(&outcomes, 401)), (1, 49));
    }
    assert_eq!(owner.get("/sessions").await.value()["sessions"].as_array().unwrap().len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_pending_login_sent_50_times_opens_exactly_one_session() {
    let world = World::with([("HALLPASS_LIMITS__VERIFY", "200 per minute")]).await;
    let (name, _, authenticator, _) = world.somebody_with_totp().await;
    let mut browser = world.browser();
    browser.log_in(&name).await;
    let outcomes = race(vec![browser; 50], "/login/verify", json!({ "code": authenticator.code(world.now()) })).await;
    assert_eq!((count(&outcomes, 200), count(&outcomes, 401)), (1, 49));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_recovery_code_in_50_parallel_logins_opens_exactly_one_session() {
    let world = World::new().await;
    let (name, _, _, codes) = world.somebody_with_totp().await;
    let browsers = pending_logins(&world, &name, 50).await;
    let outcomes = race(browsers, "/login/verify", json!({ "recovery_code": codes[0] })).await;
    assert_eq!((count(&outcomes, 200), count(&outcomes, 401)), (1, 49));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_parallel_wrong_codes_at_one_pending_login_five_are_counted_and_the_right_one_is_refused() {
    let world = World::with([("HALLPASS_LIMITS__VERIFY", "200 per minute")]).await;
    let (name, _, authenticator, _) = world.somebody_with_totp().await;
    let mut browser = world.browser();
    browser.log_in(&name).await;
    let outcomes =
        race(vec![browser.clone(); 40], "/login/verify", json!({ "code": authenticator.wrong_code(world.now()) }))
            .await;
    assert_eq!((count_problems(&outcomes, "invalid-code"), count_problems(&outcomes, "login-expired")), (5, 35));
    browser.verify(&authenticator.code(world.now())).await.expect_problem(401, "login-expired");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_parallel_wrong_passwords_exactly_ten_are_answered() {
    let world = World::new().await;
    let (name, _) = world.somebody().await;
    let browsers = (0..60).map(|_| world.browser()).collect();
    let outcomes = race(browsers, "/login", json!({ "username": name, "password": "not the password" })).await;
    assert_eq!((count(&outcomes, 401), count(&outcomes, 429)), (10, 50));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_parallel_registrations_of_one_name_exactly_one_makes_an_account() {
    let world = World::new().await;
    let name = fresh_name();
    let browsers = (0..50).map(|_| world.browser()).collect();
    let outcomes = race(browsers, "/register", json!({ "username": name, "password": PASSWORD })).await;
    assert_eq!((count(&outcomes, 201), count(&outcomes, 409)), (1, 49));
    for (refusal, _) in outcomes.iter().filter(|(answer, _)| answer.status == 409) {
        assert_eq!(refusal.value()["errors"][0]["field"], "username");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn logins_that_race_a_password_change_leave_no_session_of_the_old_password() {
    let world = World::new().await;
    for _ in 0..5 {
        let (name, mut owner) = world.somebody().await;
        let browsers: Vec<Browser> = (0..20).map(|_| world.browser()).collect();
        let change = async {
            tokio::task::yield_now().await;
            owner
                .post("/password", json!({ "current_password": PASSWORD, "new_password": "another good password" }))
                .await
                .expect(204);
        };
        let (outcomes, ()) = futures_util::future::join(
            race(browsers, "/login", json!({ "username": name, "password": PASSWORD })),
            change,
        )
        .await;
        for (_, mut browser) in outcomes {
            assert!(!browser.is_logged_in().await);
        }
        assert!(owner.is_logged_in().await);
        assert_eq!(owner.get("/sessions").await.value()["sessions"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_logins_never_exceed_the_number_of_sessions_allowed() {
    let world = World::with([("HALLPASS_SESSION__MAX_PER_USER", "5")]).await;
    let (name, _) = world.somebody().await;
    let browsers = (0..30).map(|_| world.browser()).collect();
    let outcomes = race(browsers, "/login", json!({ "username": name, "password": PASSWORD })).await;
    for (answer, _) in &outcomes {
        assert!(matches!(answer.status.as_u16(), 200 | 503), "{}", answer.text());
    }
    let mut alive = 0;
    for (_, mut browser) in outcomes {
        alive += usize::from(browser.is_logged_in().await);
    }
    assert_eq!(alive, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_password_changes_by_one_session_change_it_once() {
    let world = World::new().await;
    let (_, owner) = world.somebody().await;
    let outcomes = race(
        vec![owner; 8],
        "/password",
        json!({ "current_password": PASSWORD, "new_password": "another good password" }),
    )
    .await;
    assert_eq!(count(&outcomes, 204), 1);
    assert_eq!(count(&outcomes, 401), 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_revocations_count_each_session_once() {
    let world = World::new().await;
    let (name, owner) = world.somebody().await;
    for _ in 0..4 {
        world.browser().log_in(&name).await;
    }
    let revoke = |mut browser: Browser| async move {
        browser.delete("/sessions", Value::Null).await.expect(200).value()["revoked"].as_u64().unwrap()
    };
    let revoked = at_once(vec![owner; 6].into_iter().map(revoke));
    assert_eq!(revoked.await.into_iter().sum::<u64>(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_right_password_among_many_wrong_ones_tells_nothing_once_guesses_are_held() {
    let world =
        World::with([("HALLPASS_LIMITS__DEFAULT", "off"), ("HALLPASS_LIMITS__PASSWORD", "1000 per hour")]).await;
    for (path, field, more, when_right) in [
        ("/totp/disable", "password", json!({ "code": "123456" }), 409),
        ("/recovery-codes", "password", json!({ "code": "123456" }), 409),
        ("/password", "current_password", json!({ "new_password": "another good password" }), 204),
        ("/totp", "password", json!({}), 200),
    ] {
        let (_, mut owner) = world.somebody().await;
        let body = |password: &str| {
            let mut body = more.clone();
            body[field] = json!(password);
            body
        };
        let mut bodies = vec![(owner.clone(), body("not the password")); 60];
        bodies.insert(20, (owner.clone(), body(PASSWORD)));
        let outcomes = tokio::spawn(race_of(bodies, path)).await.unwrap();
        let wrong = count_problems(&outcomes, "invalid-credentials");
        if outcomes[20].0.status == when_right {
            // It has cleared the count, once.
            assert!(wrong < 20, "{path}: {wrong}");
        } else {
            assert_eq!((wrong, count(&outcomes, 429)), (10, 51), "{path}");
            owner.post(path, body(PASSWORD)).await.expect_problem(429, "rate-limited");
            assert!(owner.is_logged_in().await);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_parallel_wrong_codes_at_an_enrolment_ten_are_answered_and_the_right_one_is_refused() {
    let world = World::with([("HALLPASS_LIMITS__DEFAULT", "off")]).await;
    let (_, mut owner) = world.somebody().await;
    let started = owner.post("/totp", json!({ "password": PASSWORD })).await.expect(200).value();
    let authenticator = hallpass_tests::Authenticator::scan(started["secret"].as_str().unwrap());
    let wrong = json!({ "code": authenticator.wrong_code(world.now()) });
    let outcomes = race(vec![owner.clone(); 60], "/totp/confirm", wrong).await;
    assert_eq!((count(&outcomes, 401), count(&outcomes, 409)), (10, 50));
    let right = json!({ "code": authenticator.code(world.now()) });
    owner.post("/totp/confirm", right).await.expect_problem(409, "totp-not-started");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn right_logins_far_beyond_the_number_of_sessions_allowed_all_get_in() {
    let world = World::with([("HALLPASS_SESSION__MAX_PER_USER", "3")]).await;
    let (name, _) = world.somebody().await;
    let browsers = (0..100).map(|_| world.browser()).collect();
    let outcomes = race(browsers, "/login", json!({ "username": name, "password": PASSWORD })).await;
    assert_eq!(count(&outcomes, 200), 100);
}

/// More than wait already are refused at once; whoever waits gets in once those before have left.
#[tokio::test]
async fn beyond_the_queue_of_hashes_a_login_is_refused_with_a_wait_and_those_within_get_in() {
    let world = World::new().await.in_process();
    let (name, _) = world.somebody().await;
    // Some have a turn at once; the others wait.
    let more_than_fit = Hasher::QUEUE_MAX + 16;
    let mut logins: Vec<_> = (0..more_than_fit)
        .map(|_| {
            let (mut browser, name) = (world.browser(), name.clone());
            Box::pin(async move { browser.log_in_with(&name, PASSWORD).await })
        })
        .collect();
    for login in &mut logins {
        assert!(futures_util::poll!(login).is_pending(), "asks for its turn, and no more yet");
    }
    let (last, waiting) = (logins.pop().unwrap(), logins.swap_remove(Hasher::QUEUE_MAX - 1));
    // The others stand still meanwhile, so that one that is not refused is not answered either.
    let refused = timeout(Duration::from_secs(10), last).await.expect("an answer without a turn");
    let refused = refused.expect_problem(503, "unavailable");
    assert!(refused.header("retry-after").parse::<u32>().unwrap() >= 1);
    drop(logins);
    waiting.await.expect(200);
    world.browser().log_in(&name).await;
}
