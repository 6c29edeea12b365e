//! Keys are rotated while people log in (ASVS 5.0 11.2.2).

use hallpass_tests::{PASSWORD, World, world::TEST_KEY};
use serde_json::json;

const NEW_KEY: [u8; 32] = [8; 32];

#[tokio::test]
async fn whoever_has_logged_in_under_a_new_key_needs_the_old_one_no_more() {
    let world = World::new().await;
    let (both, new) = (world.instance_with_keys([NEW_KEY, TEST_KEY]), world.instance_with_keys([NEW_KEY]));
    for by_code in [true, false] {
        let (name, _, authenticator, codes) = world.somebody_with_totp().await;
        let mut browser = both.browser();
        browser.log_in(&name).await.expect(200);
        let proof = match by_code {
            true => json!({ "code": authenticator.code(world.now()) }),
            false => json!({ "recovery_code": codes[0] }),
        };
        browser.post("/login/verify", proof).await.expect(200);
        world.pass(30);
        let mut browser = new.browser();
        browser.log_in(&name).await.expect(200);
        browser.verify(&authenticator.code(world.now())).await.expect(200);
    }
}

#[tokio::test]
async fn whoever_has_not_gets_no_verdict_without_the_old_key() {
    let world = World::new().await;
    let (name, _, _, _) = world.somebody_with_totp().await;
    let mut browser = world.instance_with_keys([NEW_KEY]).browser();
    browser.log_in_with(&name, PASSWORD).await.expect_problem(503, "unavailable");
}
