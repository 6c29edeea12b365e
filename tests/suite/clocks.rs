//! Codes, clocks that are set and clocks that differ (attacks 5.1, 5.40): what was accepted at one time is dead at any other.

use hallpass_tests::{Browser, World};

#[tokio::test]
async fn a_used_code_is_dead_in_the_next_step_and_with_the_clock_set_back() {
    let world = World::new().await;
    let (name, _, authenticator, _) = world.somebody_with_totp().await;
    let code = authenticator.code(world.now());
    let earlier = authenticator.code(world.now() - jiff::SignedDuration::from_secs(30));
    let mut browser = world.browser();
    browser.log_in(&name).await;
    browser.verify(&code).await.expect(200);
    for seconds in [0, 29, 30, -60, -30] {
        world.pass(seconds);
        let mut again = world.browser();
        again.log_in(&name).await;
        again.verify(&code).await.expect_problem(401, "invalid-code");
        again.verify(&earlier).await.expect_problem(401, "invalid-code");
    }
}

#[tokio::test]
async fn a_code_accepted_by_one_instance_is_dead_on_another_whose_clock_is_off() {
    let world = World::new().await;
    let (name, _, authenticator, _) = world.somebody_with_totp().await;
    let code = authenticator.code(world.now());
    let mut browser = world.browser();
    browser.log_in(&name).await;
    browser.verify(&code).await.expect(200);
    // On steps before, on the same one at another moment, and on steps after.
    for seconds in [-120, -90, -30, -20, 0, 20, 30, 90, 120] {
        let other = world.instance_off_by(seconds);
        let mut again = other.browser();
        again.log_in(&name).await;
        again.verify(&code).await.expect_problem(401, "invalid-code");
    }
}

/// Somebody whose session, in use until just before, is over for its age; where it was seen to be.
async fn seen_to_be_over(world: &World) -> Browser {
    let (_, mut browser) = world.somebody().await;
    for _ in 0..2 {
        world.pass(29 * 60);
        assert!(browser.is_logged_in().await);
    }
    world.pass(2 * 60);
    assert!(!browser.is_logged_in().await);
    browser
}

const AN_HOUR: [(&str, &str); 2] = [("HALLPASS_SESSION__IDLE", "30m"), ("HALLPASS_SESSION__LIFETIME", "1h")];

#[tokio::test]
async fn a_session_that_one_instance_saw_to_be_over_is_over_by_a_clock_that_is_behind() {
    let world = World::with(AN_HOUR).await;
    let browser = seen_to_be_over(&world).await;
    for seconds in [-1, -90, -120] {
        let behind = world.instance_off_by(seconds);
        let mut again = behind.browser();
        again.cookies = browser.cookies.clone();
        assert!(!again.is_logged_in().await, "{seconds}");
        again.get("/api/authz/forward-auth").await.expect(401);
    }
}

#[tokio::test]
async fn a_session_that_was_seen_to_be_over_stays_over_with_the_clock_set_back() {
    for world in [Some(World::with(AN_HOUR).await), World::remembering_with(AN_HOUR).await].into_iter().flatten() {
        let mut browser = seen_to_be_over(&world).await;
        world.pass(-90);
        assert!(!browser.is_logged_in().await);
    }
}

/// By an instance that had read it before.
#[tokio::test]
async fn a_use_that_is_noted_after_a_session_was_seen_to_be_over_does_not_bring_it_back() {
    let [idle, lifetime] = AN_HOUR;
    let world = World::with([idle, lifetime, ("HALLPASS_LIMITS__SESSION", "off")]).await;
    let (_, mut browser) = world.somebody().await;
    let behind = world.instance_off_by(0);
    let mut late = behind.browser();
    late.cookies = browser.cookies.clone();
    behind.pass(29 * 60);
    let touch = behind.recorder.hold_next("UpdateItem");
    let asked = tokio::spawn(async move {
        let is_logged_in = late.is_logged_in().await;
        (late, is_logged_in)
    });
    touch.arrived().await;
    world.pass(30 * 60);
    assert!(!browser.is_logged_in().await);
    touch.let_go();
    let (mut late, is_logged_in) = asked.await.unwrap();
    assert!(!is_logged_in && !late.is_logged_in().await);
}

/// Or whoever saw it typed could use it when the others' clocks have come to its time.
#[tokio::test]
async fn a_code_accepted_by_an_instance_whose_clock_is_ahead_is_dead_when_the_others_get_there() {
    for seconds in [90, 120] {
        let world = World::new().await;
        let (name, _, authenticator, _) = world.somebody_with_totp().await;
        let ahead = world.instance_off_by(seconds);
        let (code, present) = (authenticator.code(ahead.now()), authenticator.code(world.now()));
        let mut browser = ahead.browser();
        browser.log_in(&name).await;
        browser.verify(&code).await.expect(200);
        // Nor is there a way back to what was shown before it.
        let mut behind = world.browser();
        behind.log_in(&name).await;
        behind.verify(&present).await.expect_problem(401, "invalid-code");
        for pause in [seconds - 30, 30, 30] {
            world.pass(pause);
            let mut again = world.browser();
            again.log_in(&name).await;
            again.verify(&code).await.expect_problem(401, "invalid-code");
        }
        world.pass(30);
        let mut later = world.browser();
        later.log_in(&name).await;
        later.verify(&authenticator.code(world.now())).await.expect(200);
    }
}
