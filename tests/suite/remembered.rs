//! A process that remembers sessions is never behind the store (attack 5.39).

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures_util::future::join_all;
use hallpass_tests::{Browser, PASSWORD, World};
use serde_json::json;

use crate::doors;

/// Two instances that remember, over one store; nothing where the store isn't ours.
async fn two_instances() -> Option<(World, World)> {
    // However often they are asked.
    let limits = [("HALLPASS_LIMITS__SESSION", "off"), ("HALLPASS_LIMITS__AUTHZ", "off")];
    let world = World::remembering_with(limits).await?;
    let other = world.another_instance();
    Some((world, other))
}

/// Another session of this account, as one instance sees it and as the other does.
async fn another_session(name: &str, world: &World, other: &World) -> [Browser; 2] {
    let (mut here, mut there) = (world.browser(), other.browser());
    here.log_in(name).await;
    there.cookies = here.cookies.clone();
    for browser in [&mut here, &mut there] {
        browser.get("/session").await.expect(200);
    }
    [here, there]
}

#[tokio::test]
async fn a_session_that_was_read_once_is_not_read_again() {
    let Some((world, _)) = two_instances().await else { return };
    let (_, mut browser) = world.somebody().await;
    browser.get("/session").await.expect(200);
    world.recorder.clear();
    browser.get("/session").await.expect(200);
    assert!(!world.recorder.operations().contains(&"BatchGetItem".to_owned()));
}

#[tokio::test]
async fn what_ends_a_session_anywhere_ends_it_at_once_where_it_is_remembered() {
    let Some((world, other)) = two_instances().await else { return };
    let change = json!({ "current_password": PASSWORD, "new_password": "another good password" });
    for (path, body) in [("/logout", json!({})), ("/sessions/revoke-others", json!({})), ("/password", change)] {
        let (name, mut owner) = world.somebody().await;
        let [mut here, mut there] = another_session(&name, &world, &other).await;
        let mut ender = if path == "/logout" { here.clone() } else { owner.clone() };
        ender.post(path, body).await;
        here.get("/session").await.expect_problem(401, "session-required");
        there.get("/session").await.expect_problem(401, "session-required");
        assert_eq!(owner.is_logged_in().await, path != "/password");
    }
}

#[tokio::test]
async fn a_remembered_session_ends_of_idleness_and_of_age_to_the_second() {
    let Some((world, _)) = two_instances().await else { return };
    let (_, mut browser) = world.somebody().await;
    browser.get("/session").await.expect(200);
    world.pass(3599);
    assert!(browser.is_logged_in().await);
    world.pass(3600);
    assert!(!browser.is_logged_in().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_who_asks_after_a_revocation_was_acknowledged_passes() {
    let Some((world, other)) = two_instances().await else { return };
    let (world, other) = (Arc::new(world), Arc::new(other));
    for _ in 0..20 {
        let (name, mut owner) = world.somebody().await;
        let [here, there] = another_session(&name, &world, &other).await;
        let is_over = Arc::new(AtomicBool::new(false));
        let askers = [(&here, &world), (&there, &other), (&here, &world), (&there, &other)].map(|(asker, instance)| {
            let (asker, instance, is_over) = (asker.clone(), Arc::clone(instance), Arc::clone(&is_over));
            tokio::spawn(async move {
                loop {
                    let was_over = is_over.load(Ordering::SeqCst);
                    match doors::open_to(&asker, &instance).await {
                        // Some of them may have been asked before it was over.
                        open if open.is_empty() => return true,
                        _ if was_over => return false,
                        _ => {}
                    }
                }
            })
        });
        owner.post("/sessions/revoke-others", json!({})).await;
        is_over.store(true, Ordering::SeqCst);
        assert!(join_all(askers).await.into_iter().all(Result::unwrap));
    }
}
