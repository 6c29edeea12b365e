//! Codes, clocks that are set and clocks that differ (attacks 5.1, 5.40): what was accepted at one time is dead at any other.

use hallpass_tests::{Browser, PASSWORD, World};
use serde_json::json;

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

/// The same cookies at another instance.
fn taken_to(instance: &World, browser: &Browser) -> Browser {
    let mut there = instance.browser();
    there.cookies.clone_from(&browser.cookies);
    there
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
        let mut again = taken_to(&behind, &browser);
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

/// A world where nothing but sessions is written when one is asked for.
async fn world_of_sessions() -> World {
    let [idle, lifetime] = AN_HOUR;
    World::with([idle, lifetime, ("HALLPASS_LIMITS__SESSION", "off")]).await
}

/// Asks with this browser's cookies, until the write that comes of it is on its way to the store; then does what it is
/// told to, lets the write go, and says whether somebody was logged in.
async fn overtaken(world: &World, browser: &Browser, meanwhile: impl AsyncFnOnce()) -> bool {
    let mut asking = taken_to(world, browser);
    let write = world.recorder.hold_next("UpdateItem");
    let mut asked = tokio::spawn(async move { asking.is_logged_in().await });
    tokio::select! { () = write.arrived() => {}, _ = &mut asked => panic!("nothing was written") }
    meanwhile().await;
    write.let_go();
    asked.await.unwrap()
}

#[tokio::test]
async fn a_use_that_is_noted_after_a_session_was_seen_to_be_over_does_not_bring_it_back() {
    let world = world_of_sessions().await;
    let (_, mut browser) = world.somebody().await;
    let behind = world.instance_off_by(29 * 60);
    let used = browser.clone();
    let is_logged_in = overtaken(&behind, &used, async || {
        world.pass(30 * 60);
        assert!(!browser.is_logged_in().await);
    })
    .await;
    assert!(!is_logged_in);
    assert!(!taken_to(&behind, &used).is_logged_in().await);
}

/// A session that an instance ahead by so many minutes takes to be over, while it is used some minutes on.
async fn goes_on_if_used_meanwhile(world: &World, mut browser: Browser, ahead_minutes: i64, minutes: i64) {
    let ahead = world.instance_off_by(ahead_minutes * 60);
    let used = browser.clone();
    let is_logged_in = overtaken(&ahead, &used, async || {
        world.pass(minutes * 60);
        assert!(browser.is_logged_in().await);
    })
    .await;
    assert!(!is_logged_in);
    assert!(browser.is_logged_in().await);
}

#[tokio::test]
async fn a_session_that_is_used_while_a_clock_that_is_ahead_takes_it_to_be_over_goes_on() {
    let world = world_of_sessions().await;
    let (_, browser) = world.somebody().await;
    goes_on_if_used_meanwhile(&world, browser, 30, 2).await;
}

/// Close to its end, when a use no longer moves its idle expiry.
#[tokio::test]
async fn a_session_in_its_last_part_that_is_used_while_a_clock_that_is_ahead_takes_it_to_be_over_goes_on() {
    let world = world_of_sessions().await;
    let (_, mut browser) = world.somebody().await;
    for _ in 0..2 {
        world.pass(20 * 60);
        assert!(browser.is_logged_in().await);
    }
    goes_on_if_used_meanwhile(&world, browser, 25, 5).await;
}

#[tokio::test]
async fn of_a_session_that_ends_while_it_is_taken_to_be_over_nothing_is_left() {
    let world = world_of_sessions().await;
    let (name, mut browser) = world.somebody().await;
    let ahead = world.instance_off_by(30 * 60);
    let used = browser.clone();
    overtaken(&ahead, &used, async || drop(browser.post("/logout", json!({})).await.expect(204))).await;
    let mut next = world.browser();
    next.log_in(&name).await;
    assert_eq!(next.get("/sessions").await.expect(200).value()["sessions"].as_array().unwrap().len(), 1);
}

/// What it asks for is done for a session that lives, or not at all.
#[tokio::test]
async fn a_session_that_is_taken_to_be_over_while_its_password_is_verified_begins_no_enrolment() {
    let world = world_of_sessions().await;
    let (_, browser) = world.somebody().await;
    let ahead = world.instance_off_by(30 * 60);
    let mut enrolling = browser.clone();
    let commit = world.recorder.hold_next("TransactWriteItems");
    let enrolled = tokio::spawn(async move { enrolling.post("/totp", json!({ "password": PASSWORD })).await });
    commit.arrived().await;
    assert!(!taken_to(&ahead, &browser).is_logged_in().await);
    commit.let_go();
    enrolled.await.unwrap().expect_problem(401, "session-required");
}

#[tokio::test]
async fn whoever_logs_out_where_the_clock_is_ahead_is_logged_out_everywhere() {
    let world = world_of_sessions().await;
    let (_, mut browser) = world.somebody().await;
    let ahead = world.instance_off_by(30 * 60);
    taken_to(&ahead, &browser).post("/logout", json!({})).await.expect(204);
    assert!(!browser.is_logged_in().await);
}

#[tokio::test]
async fn a_session_that_is_revoked_where_the_clock_is_ahead_is_over_everywhere() {
    let world = world_of_sessions().await;
    let (name, mut browser) = world.somebody().await;
    let id = browser.get("/session").await.expect(200).value()["session"]["id"].clone();
    let ahead = world.instance_off_by(30 * 60);
    let mut owner = ahead.browser();
    owner.log_in(&name).await;
    let path = format!("/sessions/{}", id.as_str().unwrap());
    owner.delete(&path, json!({})).await.expect_problem(404, "not-found");
    assert!(!browser.is_logged_in().await);
}

#[tokio::test]
async fn that_a_session_is_over_is_written_once() {
    let world = world_of_sessions().await;
    let (_, mut browser) = world.somebody().await;
    world.pass(30 * 60);
    world.recorder.clear();
    for _ in 0..3 {
        assert!(!browser.is_logged_in().await);
    }
    assert_eq!(world.recorder.operations(), ["BatchGetItem", "UpdateItem", "BatchGetItem", "BatchGetItem"]);
}

#[tokio::test]
async fn a_session_that_is_over_opens_nothing_where_that_can_not_be_written() {
    let world = world_of_sessions().await;
    let (_, mut browser) = world.somebody().await;
    world.pass(30 * 60);
    world.recorder.cut_off(&["UpdateItem"]);
    browser.get("/session").await.expect_problem(401, "session-required");
    world.recorder.reconnect();
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
