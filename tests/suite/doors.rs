//! After a change of credentials all other devices and half-finished logins pass nowhere: not at our own API, not at the
//! guard of other APIs, not at the authorizer of API Gateway (attacks 5.14, 5.15).

use hallpass_tests::{Authenticator, Browser, PASSWORD, World};
use serde_json::{Value, json};

use crate::authorizer::asked_by_both;

/// Whatever lets a session pass.
pub(crate) const ALL: [&str; 3] = ["/session", "/api/authz/forward-auth", "the authorizer"];

/// The doors at which what this browser holds passes. It keeps nothing of the answers.
pub(crate) async fn open_to(browser: &Browser, world: &World) -> Vec<&'static str> {
    let mut open = Vec::new();
    for door in ALL {
        let passes = if door.starts_with('/') {
            match browser.clone().get(door).await.status.as_u16() {
                200 => true,
                401 => false,
                other => panic!("{door}: {other}"),
            }
        } else {
            let [event, _] = asked_by_both(browser, "GET");
            world.authorize(event).await.unwrap()["isAuthorized"] == true
        };
        open.extend(passes.then_some(door));
    }
    open
}

/// A user on several devices, before one of them changes a credential.
struct Scene {
    owner: Browser,
    devices: Vec<Browser>,
    /// Has given the password, and not the second step.
    half: Option<Browser>,
    authenticator: Option<Authenticator>,
}

impl Scene {
    async fn without_a_second_step(world: &World) -> Self {
        let (name, owner) = world.somebody().await;
        let mut devices = vec![world.browser(), world.browser()];
        for device in &mut devices {
            device.log_in(&name).await;
        }
        Self { owner, devices, half: None, authenticator: None }
    }

    async fn with_a_second_step(world: &World) -> Self {
        let (name, owner, authenticator, _) = world.somebody_with_totp().await;
        let mut devices = vec![world.browser(), world.browser()];
        for device in &mut devices {
            device.log_in(&name).await;
            device.verify(&authenticator.code(world.now())).await.expect(200);
            world.pass(30);
        }
        let mut half = world.browser();
        half.log_in(&name).await;
        Self { owner, devices, half: Some(half), authenticator: Some(authenticator) }
    }

    /// The half-finished login as what it is, and in place of the session that it is not.
    fn halves(&self) -> Vec<Browser> {
        let Some(half) = &self.half else { return Vec::new() };
        let mut as_session = half.clone();
        as_session.cookies = [("__Host-session".to_owned(), half.cookies["__Host-login"].clone())].into();
        vec![half.clone(), as_session]
    }

    fn code(&self, world: &World) -> String {
        self.authenticator.as_ref().unwrap().code(world.now())
    }
}

/// Every instance that sessions may be asked of: one that reads the store each time, and one that remembers them.
async fn worlds() -> Vec<World> {
    let mut worlds = vec![World::new().await];
    worlds.extend(World::remembering().await);
    worlds
}

/// Two devices are asked before and after, at all doors, and after it a login that waited for its second step.
async fn assert_ends_all_others(mut scene: Scene, world: &World, path: &str, body: Value) {
    for device in &scene.devices {
        assert_eq!(open_to(device, world).await, ALL, "{path}");
    }
    let answer = scene.owner.post(path, body).await;
    assert!(answer.status.is_success(), "{path}: {}", answer.text());
    for other in scene.devices.iter().chain(&scene.halves()) {
        assert!(open_to(other, world).await.is_empty(), "{path}");
    }
    if let Some(half) = &mut scene.half {
        world.pass(30);
        let code = scene.authenticator.as_ref().unwrap().code(world.now());
        half.verify(&code).await.expect_problem(401, "login-expired");
    }
    assert_eq!(open_to(&scene.owner, world).await, ALL, "{path}");
}

#[tokio::test]
async fn after_a_change_of_password_other_devices_and_half_logins_pass_no_door() {
    for world in worlds().await {
        for scene in [Scene::without_a_second_step(&world).await, Scene::with_a_second_step(&world).await] {
            let body = json!({ "current_password": PASSWORD, "new_password": "another good password" });
            assert_ends_all_others(scene, &world, "/password", body).await;
        }
    }
}

#[tokio::test]
async fn after_two_step_verification_is_turned_on_other_devices_pass_no_door() {
    for world in worlds().await {
        let mut scene = Scene::without_a_second_step(&world).await;
        let started = scene.owner.post("/totp", json!({ "password": PASSWORD })).await.expect(200).value();
        let code = Authenticator::scan(started["secret"].as_str().unwrap()).code(world.now());
        assert_ends_all_others(scene, &world, "/totp/confirm", json!({ "code": code })).await;
    }
}

#[tokio::test]
async fn after_two_step_verification_is_turned_off_other_devices_and_half_logins_pass_no_door() {
    for world in worlds().await {
        let scene = Scene::with_a_second_step(&world).await;
        let body = json!({ "password": PASSWORD, "code": scene.code(&world) });
        assert_ends_all_others(scene, &world, "/totp/disable", body).await;
    }
}

/// The contract ends no session here: old codes are dead, which is what whoever replaces them wants.
#[tokio::test]
async fn after_recovery_codes_are_replaced_other_devices_pass_every_door_and_half_logins_none() {
    for world in worlds().await {
        let mut scene = Scene::with_a_second_step(&world).await;
        let body = json!({ "password": PASSWORD, "code": scene.code(&world) });
        scene.owner.post("/recovery-codes", body).await.expect(200);
        for device in scene.devices.iter().chain([&scene.owner]) {
            assert_eq!(open_to(device, &world).await, ALL);
        }
        for half in scene.halves() {
            assert!(open_to(&half, &world).await.is_empty());
        }
    }
}
