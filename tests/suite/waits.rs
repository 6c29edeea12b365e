//! How long whoever is over a limit is told to wait: a retry after that is admitted, by every log of every limit.

use hallpass_tests::{Browser, World, recorder::Recorder};

pub(crate) const RESOURCE: &str = "/api/resource";
const GUARDED: &str = "/api/authz/forward-auth?limit=orders";
const EXT_AUTHZ: &str = "/api/authz/ext-authz";

/// A world with these limits of a resource, cut off from its store or not. In this process: functions know whole seconds.
pub(crate) async fn world(policy: &str, is_away: bool) -> World {
    let world = World::with([("HALLPASS_LIMITS__RESOURCE", policy)]).await.in_process();
    if is_away {
        world.recorder.cut_off(Recorder::ALL);
    }
    world
}

/// A refusal, and how long to wait after it.
pub(crate) async fn told_to_wait(browser: &mut Browser, path: &str) -> i64 {
    browser.get(path).await.expect(429).header("retry-after").parse().unwrap()
}

pub(crate) async fn admitted(browser: &mut Browser, path: &str, times: usize) {
    for _ in 0..times {
        browser.get(path).await.expect(200);
    }
}

/// What is told twice is longer than a minute, and what is told then is long enough.
async fn held_beyond_a_minute(world: &World, browser: &mut Browser, path: &str) {
    for _ in 0..2 {
        let wait_seconds = told_to_wait(browser, path).await;
        assert!(wait_seconds > 60, "{wait_seconds}");
    }
    world.pass(told_to_wait(browser, path).await);
    admitted(browser, path, 1).await;
}

#[tokio::test]
async fn a_refusal_lasts_until_every_limit_admits_however_often_it_is_told() {
    let limits = |authz| [("HALLPASS_LIMITS__AUTHZ", authz), ("HALLPASS_GUARD__LIMITS__ORDERS", "2 per 5 seconds")];
    // One permit an entry, or two: the last one of all is spent, or left in hand to lapse.
    for (authz, others) in [("3 per minute", 0), ("202 per minute", 199), ("202 per minute", 198)] {
        let world = World::with(limits(authz)).await;
        let (_, mut browser) = world.somebody().await;
        admitted(&mut browser, EXT_AUTHZ, others).await;
        admitted(&mut browser, GUARDED, 2).await;
        let mut wait_seconds = 0;
        for _ in 0..3 {
            wait_seconds = told_to_wait(&mut browser, GUARDED).await;
            assert!(wait_seconds >= 60, "{authz}, {others}: {wait_seconds}");
        }
        world.pass(wait_seconds);
        admitted(&mut browser, GUARDED, 1).await;
    }
}

/// Requests are spent in pairs here; one of the last pair is left in hand, and lapses after 36 seconds.
async fn assert_reckons_with_permits_that_lapse(world: &World) {
    let mut browser = world.browser();
    // Of the 101 pairs of an hour: three a minute, and two in one.
    for requests in [5; 32].into_iter().chain([4]) {
        admitted(&mut browser, RESOURCE, requests).await;
        world.pass(60);
    }
    admitted(&mut browser, RESOURCE, 5).await;
    held_beyond_a_minute(world, &mut browser, RESOURCE).await;
}

#[tokio::test]
async fn a_wait_reckons_with_permits_that_lapse_in_it() {
    let world = World::with([("HALLPASS_LIMITS__RESOURCE", "5 per minute; 202 per hour")]).await;
    assert_reckons_with_permits_that_lapse(&world).await;
}

#[tokio::test]
async fn a_wait_reckons_with_permits_that_lapse_in_it_while_the_store_is_away_too() {
    let world = World::with([("HALLPASS_LIMITS__RESOURCE", "5 per minute; 202 per hour")]).await;
    world.recorder.cut_off(Recorder::ALL);
    assert_reckons_with_permits_that_lapse(&world).await;
    world.recorder.reconnect();
}

#[tokio::test]
async fn a_wait_reckons_with_what_other_instances_have_spent_since() {
    let world = World::with([("HALLPASS_LIMITS__RESOURCE", "4 per minute; 202 per hour")]).await;
    let mut here = world.browser();
    let mut there = world.another_instance().browser_at(here.address());
    // Of the 101 pairs of an hour: two a minute.
    for _ in 0..49 {
        admitted(&mut here, RESOURCE, 4).await;
        world.pass(60);
    }
    admitted(&mut here, RESOURCE, 1).await;
    admitted(&mut there, RESOURCE, 3).await;
    held_beyond_a_minute(&world, &mut here, RESOURCE).await;
}

#[tokio::test]
async fn a_wait_for_one_limit_reckons_with_what_other_instances_have_spent_of_another() {
    let world = World::with([
        ("HALLPASS_LIMITS__AUTHZ", "202 per minute"),
        ("HALLPASS_GUARD__LIMITS__ORDERS", "2 per 5 seconds"),
    ])
    .await;
    let (_, mut here) = world.somebody().await;
    let mut there = world.another_instance().browser_at(here.address());
    // Of the 101 pairs of a minute all but one; half of the last is in hand here.
    admitted(&mut here, EXT_AUTHZ, 197).await;
    admitted(&mut here, GUARDED, 2).await;
    there.get(EXT_AUTHZ).await.expect(401);
    let wait_seconds = told_to_wait(&mut here, GUARDED).await;
    assert!(wait_seconds >= 60, "{wait_seconds}");
    assert_eq!(told_to_wait(&mut here, GUARDED).await, wait_seconds);
    world.pass(wait_seconds);
    admitted(&mut here, GUARDED, 1).await;
}

#[tokio::test]
async fn a_wait_is_told_to_the_millisecond_in_whole_seconds() {
    for (passed_millis, wait_seconds) in [(998, 60), (999, 60), (1000, 59)] {
        let world = World::new().await;
        let mut browser = world.browser();
        admitted(&mut browser, RESOURCE, 10).await;
        world.pass_millis(passed_millis);
        for _ in 0..2 {
            assert_eq!(told_to_wait(&mut browser, RESOURCE).await, wait_seconds);
        }
    }
}

#[tokio::test]
async fn a_wait_for_permits_that_lapse_is_told_to_the_millisecond() {
    for is_away in [false, true] {
        for (passed_millis, wait_seconds) in [(1593, 60), (1594, 59)] {
            let world = world("200 per 5 seconds; 202 per minute", is_away).await;
            let mut browser = world.browser();
            // Of 101 pairs, each of which counts as spent when it lapses, after 594 ms; of the last, one permit is left.
            admitted(&mut browser, RESOURCE, 199).await;
            world.pass_millis(passed_millis);
            admitted(&mut browser, RESOURCE, 1).await;
            assert_eq!(told_to_wait(&mut browser, RESOURCE).await, wait_seconds, "{is_away}, {passed_millis}");
        }
    }
}

#[tokio::test]
async fn a_wait_for_what_another_instance_has_spent_is_told_to_the_millisecond() {
    for (passed_millis, wait_seconds) in [(1593, 60), (1594, 59)] {
        let world = World::with([
            ("HALLPASS_LIMITS__AUTHZ", "202 per minute"),
            ("HALLPASS_GUARD__LIMITS__ORDERS", "2 per 5 seconds"),
        ])
        .await
        .in_process();
        let (_, mut here) = world.somebody().await;
        let mut there = world.another_instance().in_process().browser_at(here.address());
        // Of 101 pairs, each of which counts as spent when it lapses, after 594 ms, the last is bought there.
        admitted(&mut here, EXT_AUTHZ, 197).await;
        world.pass_millis(passed_millis);
        admitted(&mut here, GUARDED, 2).await;
        there.get(EXT_AUTHZ).await.expect(401);
        assert_eq!(told_to_wait(&mut here, GUARDED).await, wait_seconds, "{passed_millis}");
    }
}

/// `t` is the named window's own; the wait may be another limit's.
#[tokio::test]
async fn a_window_is_told_its_own_time_and_the_wait_is_for_all_limits() {
    let world = World::with([
        ("HALLPASS_LIMITS__AUTHZ", "3 per 200 seconds"),
        ("HALLPASS_GUARD__LIMITS__ORDERS", "2 per 100 seconds"),
    ])
    .await;
    let (_, mut browser) = world.somebody().await;
    admitted(&mut browser, GUARDED, 2).await;
    for _ in 0..2 {
        let refusal = browser.get(GUARDED).await.expect(429);
        assert_eq!(refusal.header("ratelimit"), r#""orders";r=0;t=100"#);
        assert_eq!(refusal.header("retry-after"), "200");
    }
}

#[tokio::test]
async fn a_wait_for_one_limit_reckons_with_all_logs_of_another() {
    let world = World::with([
        ("HALLPASS_LIMITS__AUTHZ", "4 per minute"),
        ("HALLPASS_GUARD__LIMITS__ORDERS", "2 per 5 seconds; 201 per hour"),
    ])
    .await;
    let (_, mut browser) = world.somebody().await;
    // Of the 100 pairs of an hour 98, two a minute.
    for _ in 0..49 {
        for pause in [5, 55] {
            admitted(&mut browser, GUARDED, 2).await;
            world.pass(pause);
        }
    }
    // And one and a half.
    admitted(&mut browser, GUARDED, 1).await;
    world.pass(5);
    admitted(&mut browser, GUARDED, 2).await;
    // The last of the minute's.
    let first = told_to_wait(&mut browser, GUARDED).await;
    assert!(first > 60, "{first}");
    assert_eq!(told_to_wait(&mut browser, GUARDED).await, first);
    world.pass(first);
    admitted(&mut browser, GUARDED, 1).await;
}

#[tokio::test]
async fn a_wait_reckons_with_what_is_spent_elsewhere_after_a_refusal_that_is_over() {
    let world = World::with([("HALLPASS_LIMITS__RESOURCE", "200 per 5 seconds; 202 per minute")]).await;
    let mut here = world.browser();
    let mut there = world.another_instance().browser_at(here.address());
    admitted(&mut here, RESOURCE, 200).await;
    world.pass(5);
    admitted(&mut here, RESOURCE, 2).await;
    assert_eq!(told_to_wait(&mut here, RESOURCE).await, 56);
    // All 101 pairs of a minute again, the first of which counts as spent when it lapses, after 594 ms.
    world.pass(61);
    admitted(&mut there, RESOURCE, 2).await;
    world.pass(5);
    admitted(&mut there, RESOURCE, 200).await;
    assert_eq!(told_to_wait(&mut here, RESOURCE).await, 56);
}

#[tokio::test]
async fn a_wait_does_not_reckon_with_permits_that_are_still_there_when_the_client_is_back() {
    let world = World::with([("HALLPASS_LIMITS__RESOURCE", "200 per 4 seconds; 400 per 1000 seconds")]).await;
    let mut browser = world.browser();
    // Two permits an entry; of the last one, one is left until 5 seconds have passed: a second more than the wait.
    admitted(&mut browser, RESOURCE, 199).await;
    world.pass(4);
    admitted(&mut browser, RESOURCE, 200).await;
    assert_eq!(told_to_wait(&mut browser, RESOURCE).await, 4);
}
