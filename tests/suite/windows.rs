//! What is said of a window, and when it opens, to the millisecond.

use hallpass_tests::Browser;

use crate::waits::{RESOURCE, admitted, told_to_wait, world};

/// What is said of the window that refuses.
async fn refused(browser: &mut Browser) -> String {
    browser.get(RESOURCE).await.expect(429).header("ratelimit").to_owned()
}

#[tokio::test]
async fn the_time_until_a_window_admits_one_more_is_told_to_the_millisecond_in_whole_seconds() {
    for is_away in [false, true] {
        for (passed_millis, reset_seconds) in [(999, 60), (1000, 59)] {
            let world = world("10 per minute", is_away).await;
            let mut browser = world.browser();
            admitted(&mut browser, RESOURCE, 1).await;
            world.pass_millis(passed_millis);
            let answer = browser.get(RESOURCE).await.expect(200);
            assert_eq!(answer.header("ratelimit"), format!(r#""resource";r=8;t={reset_seconds}"#), "{is_away}");
            admitted(&mut browser, RESOURCE, 8).await;
            for _ in 0..2 {
                assert_eq!(refused(&mut browser).await, format!(r#""resource";r=0;t={reset_seconds}"#), "{is_away}");
            }
        }
    }
}

#[tokio::test]
async fn a_refusal_that_is_first_told_in_its_last_millisecond_is_remembered_too() {
    let world = world("10 per minute", false).await;
    let mut browser = world.browser();
    admitted(&mut browser, RESOURCE, 10).await;
    world.pass_millis(59_999);
    world.recorder.clear();
    for _ in 0..2 {
        assert_eq!(told_to_wait(&mut browser, RESOURCE).await, 1);
    }
    assert_eq!(world.recorder.operations(), ["UpdateItem"]);
    world.pass_millis(1);
    admitted(&mut browser, RESOURCE, 1).await;
}

#[tokio::test]
async fn of_windows_that_are_full_the_one_is_told_that_opens_last() {
    for is_away in [false, true] {
        let world = world("2 per minute; 4 per 2 minutes", is_away).await;
        let mut browser = world.browser();
        for pause in [50, 30, 30, 0] {
            admitted(&mut browser, RESOURCE, 1).await;
            world.pass(pause);
        }
        assert_eq!(refused(&mut browser).await, r#""resource-minute";r=0;t=30"#, "{is_away}");
    }
}

#[tokio::test]
async fn a_window_that_opens_leaves_no_refusal_behind() {
    let world = world("1 per minute; 2 per 3 minutes", false).await;
    let mut browser = world.browser();
    admitted(&mut browser, RESOURCE, 1).await;
    assert_eq!(refused(&mut browser).await, r#""resource-minute";r=0;t=60"#);
    world.pass(60);
    admitted(&mut browser, RESOURCE, 1).await;
    assert_eq!(refused(&mut browser).await, r#""resource-180s";r=0;t=120"#);
}

#[tokio::test]
async fn a_window_that_opens_in_the_store_leaves_no_refusal_behind() {
    let world = world("200 per 5 seconds; 202 per minute", false).await;
    let mut here = world.browser();
    let mut there = world.another_instance().in_process().browser_at(here.address());
    admitted(&mut here, RESOURCE, 200).await;
    world.pass(5);
    admitted(&mut here, RESOURCE, 2).await;
    assert_eq!(refused(&mut here).await, r#""resource-minute";r=0;t=56"#);
    // The first pairs count as spent when they lapsed, after 594 ms, and leave the window now.
    world.pass_millis(55_594);
    admitted(&mut there, RESOURCE, 200).await;
    assert_eq!(refused(&mut here).await, r#""resource-5s";r=0;t=5"#);
}

/// So far may requests overtake each other before the newest entry is taken for the time.
#[tokio::test]
async fn a_clock_that_is_up_to_50_ms_behind_costs_no_second_try() {
    for (behind_millis, tries) in [(50, 1), (51, 2)] {
        let world = world("3 per minute", false).await;
        let mut browser = world.browser();
        admitted(&mut browser, RESOURCE, 1).await;
        world.pass_millis(-behind_millis);
        world.recorder.clear();
        admitted(&mut browser, RESOURCE, 1).await;
        assert_eq!(world.recorder.operations(), vec!["UpdateItem"; tries]);
    }
}

#[tokio::test]
async fn where_a_clock_was_set_back_a_window_that_refuses_has_nothing_left_until_it_opens() {
    // Of the two that were admitted, the second leaves the window first, or both are in it.
    for (is_away, back_millis, passed_millis, reset_seconds) in
        [(false, 50, 60_010, 1), (true, 30_000, 70_000, 20), (true, 30_000, 10_000, 60)]
    {
        let world = world("2 per minute", is_away).await;
        let mut browser = world.browser();
        admitted(&mut browser, RESOURCE, 1).await;
        world.pass_millis(-back_millis);
        admitted(&mut browser, RESOURCE, 1).await;
        world.pass_millis(passed_millis);
        assert_eq!(refused(&mut browser).await, format!(r#""resource";r=0;t={reset_seconds}"#), "{passed_millis}");
    }
}
