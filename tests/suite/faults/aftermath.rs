//! What may have come of a journey that met a fault, once the fault is over: all of it or nothing, and nothing twice.

use hallpass_tests::{
    Answer, Browser, PASSWORD,
    world::{TEST_KEY, fresh_name},
};
use serde_json::{Value, json};

use super::{
    journey::Journey,
    scene::{GUARDED_BY_A_LIMIT, NEW_PASSWORD, ORDERS_PER_MINUTE, SESSIONS_MAX, Scene},
};

/// Looks at everything that could be half done. `is_done` is what the traveller was told, by `answer`.
pub(super) async fn is_whole(journey: Journey, scene: Scene<'_>, is_done: bool, answer: &Answer) {
    use Journey::*;
    match journey {
        Register => registered_without_address(scene, is_done).await,
        RegisterWithAddress => registered_with_address(scene, is_done).await,
        LogIn | LogInByForm => logged_in(scene, is_done).await,
        LogInAgain => replaced(scene, is_done).await,
        LogInAtTheCap => made_room(scene, is_done).await,
        LogInAtAnOlderCost => hashed_anew(scene, is_done).await,
        LogInHalfway => halfway(scene, is_done).await,
        VerifyByCode => spent_once(scene, |scene| json!({ "code": scene.code() }), is_done).await,
        VerifyUnderANewKey => sealed_anew(scene, is_done).await,
        VerifyByRecoveryCode => spent_once(scene, |scene| json!({ "recovery_code": scene.codes[0] }), is_done).await,
        LogOut => logged_out(scene, is_done).await,
        LogOutHalfway => logged_out_halfway(scene, is_done).await,
        RevokeMany => revoked_many(scene, is_done).await,
        RevokeOne | RevokeOthers => revoked(scene, journey, is_done).await,
        ChangePassword => password_changed(scene, is_done).await,
        StartTotp => started(scene).await,
        ConfirmTotp => confirmed(scene, is_done).await,
        TurnOffTotp => turned_off(scene, |scene| scene.both(), is_done).await,
        // What was not turned off has cost no recovery code.
        TurnOffTotpByRecoveryCode => turned_off(scene, |scene| scene.recovery(), is_done).await,
        ReplaceRecoveryCodes => codes_replaced(scene, is_done.then(|| answer.value())).await,
        GuardedByALimit => charged(scene, is_done).await,
        Session | Sessions | Page | ForwardAuth | AuthRequest | ExtAuthz | Authorizer | Resource => {
            still_logged_in(scene).await;
        }
        UnknownName => refused(scene, 0).await,
        WrongPassword => refused_and_counted(scene, "password_failures", is_done).await,
        WrongCode | UsedCode => refused_and_counted(scene, "code_failures", is_done).await,
        WrongPasswordAgain => refused_again(scene, "password_failures_known", is_done).await,
        WrongCodeAgain => refused_again(scene, "code_failures_known", is_done).await,
        WrongEnrolmentCode => enrolment_goes_on(scene, is_done).await,
        HeldPassword => refused(scene, 1).await,
        OverALimit => over_the_limit(scene, is_done.then_some(answer)).await,
        NameTaken => name_is_its_owners(scene).await,
        AddressTaken => address_is_its_owners(scene).await,
        EndedSession | EndedSessionAtTheGuard | EndedSessionAtTheAuthorizer => still_over(scene).await,
    }
}

async fn registered_without_address(mut scene: Scene<'_>, is_done: bool) {
    let registration = json!({ "username": scene.name, "password": PASSWORD });
    registered(&mut scene, registration, is_done).await;
}

/// The name belongs to whoever asked for it with its password, or to nobody.
async fn registered(scene: &mut Scene<'_>, registration: Value, is_done: bool) {
    assert_eq!(scene.traveller.is_logged_in().await, is_done);
    if !is_done {
        let again = scene.traveller.post("/register", registration).await;
        assert!([201, 409].contains(&again.status.as_u16()), "{}", again.text());
    }
    scene.other = scene.logged_in(PASSWORD).await;
    assert!(scene.other.is_logged_in().await);
}

/// Whoever has the name has the address too, and nobody else.
async fn registered_with_address(mut scene: Scene<'_>, is_done: bool) {
    let registration = scene.registration();
    registered(&mut scene, registration.clone(), is_done).await;
    assert_eq!(scene.other.get("/session").await.value()["user"]["email"], registration["email"]);
    let somebody_else = json!({ "username": fresh_name(), "password": PASSWORD, "email": registration["email"] });
    scene.world.browser().post("/register", somebody_else).await.expect_problem(409, "username-taken");
}

async fn logged_in(mut scene: Scene<'_>, is_done: bool) {
    assert_eq!(scene.traveller.is_logged_in().await, is_done);
    scene.logged_in(PASSWORD).await;
    assert!(scene.other.is_logged_in().await);
}

/// The password still counts, and no other does.
async fn hashed_anew(scene: Scene<'_>, is_done: bool) {
    scene.world.browser().log_in_with(&scene.name, "not the password").await.expect(401);
    scene.logged_in(PASSWORD).await;
    logged_in(scene, is_done).await;
}

async fn logged_out(mut scene: Scene<'_>, is_done: bool) {
    if !is_done {
        scene.traveller.post("/logout", json!({})).await.expect(204);
    }
    assert!(!scene.traveller.is_logged_in().await);
}

/// Neither the session nor the login that was under way opens anything.
async fn logged_out_halfway(mut scene: Scene<'_>, is_done: bool) {
    let (mut former, code) = (scene.former.take().unwrap(), scene.code());
    logged_out(scene, is_done).await;
    assert!(!former.is_logged_in().await);
    former.verify(&code).await.expect_problem(401, "login-expired");
}

/// However many there were, none is left.
async fn revoked_many(mut scene: Scene<'_>, is_done: bool) {
    if !is_done {
        scene.go(Journey::RevokeMany).await.expect(200);
    }
    assert!(scene.pending_logins().await.is_empty());
    assert!(!scene.other.is_logged_in().await);
}

/// Whoever has logged in needs the older key no more.
async fn sealed_anew(mut scene: Scene<'_>, is_done: bool) {
    assert_eq!(scene.traveller.is_logged_in().await, is_done);
    scene.world.pass(30);
    if !is_done {
        scene.logged_in(PASSWORD).await;
    }
    scene.logged_in_at(&scene.world.instance_with_keys([TEST_KEY]), PASSWORD).await;
}

/// Told only once it was counted; nothing else has changed.
async fn refused_again(mut scene: Scene<'_>, count: &str, is_told: bool) {
    assert!(scene.failures(count).await >= u32::from(is_told));
    assert!(scene.traveller.is_logged_in().await && scene.other.is_logged_in().await);
    assert_eq!(is_second_step_due(&scene).await, scene.authenticator.is_some());
    scene.logged_in(PASSWORD).await;
}

/// The wrong code is told only once it was counted, and the right one still turns it on.
async fn enrolment_goes_on(mut scene: Scene<'_>, is_told: bool) {
    assert!(scene.failures("enrolment_failures").await >= u32::from(is_told));
    assert!(!is_second_step_due(&scene).await);
    confirmed(scene, false).await;
}

/// Whoever waits as long as they are told to gets in, and nobody before.
async fn over_the_limit(mut scene: Scene<'_>, told: Option<&Answer>) {
    let again = scene.go(Journey::OverALimit).await.expect(429);
    let seconds = told.unwrap_or(&again).header("retry-after").parse().unwrap();
    scene.world.pass(seconds);
    scene.go(Journey::OverALimit).await.expect(200);
}

async fn name_is_its_owners(mut scene: Scene<'_>) {
    assert!(!scene.traveller.is_logged_in().await);
    assert!(!is_password(&scene, NEW_PASSWORD).await);
    scene.logged_in(PASSWORD).await;
}

/// Who was refused for the address has not got the name either.
async fn address_is_its_owners(mut scene: Scene<'_>) {
    assert!(!scene.traveller.is_logged_in().await);
    assert_eq!(scene.other.get("/session").await.value()["user"]["email"], scene.address());
    let newcomer = json!({ "username": scene.newcomer(), "password": PASSWORD });
    scene.traveller.post("/register", newcomer).await.expect(201);
}

async fn still_logged_in(mut scene: Scene<'_>) {
    assert!(scene.traveller.is_logged_in().await);
    scene.traveller.get("/api/authz/forward-auth").await.expect(200);
}

/// Who was refused is not in; the right proof is welcome, after so many seconds.
async fn refused(mut scene: Scene<'_>, seconds: i64) {
    assert!(!scene.traveller.is_logged_in().await);
    scene.world.pass(seconds);
    scene.logged_in(PASSWORD).await;
}

/// Told only once it was counted.
async fn refused_and_counted(mut scene: Scene<'_>, count: &str, is_told: bool) {
    assert!(scene.failures(count).await >= u32::from(is_told));
    refused(scene, 60).await;
}

async fn still_over(mut scene: Scene<'_>) {
    assert!(!scene.traveller.is_logged_in().await);
    assert!(scene.other.is_logged_in().await);
}

/// One of the two sessions is there, the former or the one that took its place.
async fn replaced(mut scene: Scene<'_>, is_done: bool) {
    let mut former = scene.former.take().unwrap();
    assert_eq!(scene.sessions().await, 2);
    let is_over = !former.is_logged_in().await;
    assert!(is_over || !is_done);
    assert_eq!(scene.traveller.is_logged_in().await, is_done || !is_over);
    scene.traveller.log_in(&scene.name.clone()).await;
    assert!(scene.traveller.is_logged_in().await && !former.is_logged_in().await);
}

/// The oldest session has made room for another, or is there still; no other session is touched.
async fn made_room(mut scene: Scene<'_>, is_done: bool) {
    let mut former = scene.former.take().unwrap();
    assert_eq!(scene.sessions().await, SESSIONS_MAX);
    assert!(!former.is_logged_in().await || !is_done);
    logged_in(scene, is_done).await;
    assert!(!former.is_logged_in().await);
}

/// A request that nobody was told the end of may have been charged; one that was not charged has not passed.
async fn charged(mut scene: Scene<'_>, is_done: bool) {
    let mut passed = usize::from(is_done);
    let mut status = 200;
    while status == 200 && passed <= ORDERS_PER_MINUTE {
        status = scene.traveller.get(GUARDED_BY_A_LIMIT).await.status.as_u16();
        passed += usize::from(status == 200);
    }
    assert_eq!(status, 429);
    assert!(passed <= ORDERS_PER_MINUTE, "{passed}");
    scene.world.pass(60);
    scene.traveller.get(GUARDED_BY_A_LIMIT).await.expect(200);
}

async fn halfway(mut scene: Scene<'_>, is_done: bool) {
    assert!(!scene.traveller.is_logged_in().await);
    let expected = if is_done { 200 } else { 401 };
    let code = scene.code();
    scene.traveller.verify(&code).await.expect(expected);
    scene.world.pass(30);
    scene.logged_in(PASSWORD).await;
}

/// However often it is sent again, the proof has opened one session at most; the next proof opens another.
async fn spent_once(mut scene: Scene<'_>, proof: impl Fn(&Scene<'_>) -> Value, is_done: bool) {
    assert_eq!(scene.traveller.is_logged_in().await, is_done);
    let mut wins = usize::from(is_done);
    for _ in 0..2 {
        let mut browser = scene.halfway().await;
        let again = browser.post("/login/verify", proof(&scene)).await;
        assert!([200, 401].contains(&again.status.as_u16()), "{}", again.text());
        wins += usize::from(again.status == 200);
    }
    assert!(wins <= 1, "{wins} sessions by one proof");
    scene.world.pass(30);
    scene.logged_in(PASSWORD).await;
    // The two that were there, one by the proof at most, and the last.
    let count = scene.sessions().await;
    assert!((3..=4).contains(&count), "{count}");
}

async fn revoked(mut scene: Scene<'_>, journey: Journey, is_done: bool) {
    if !is_done && scene.other.is_logged_in().await {
        scene.go(journey).await.expect(journey.status());
    }
    assert!(!scene.other.is_logged_in().await);
    assert!(scene.traveller.is_logged_in().await);
}

/// One password counts; with the new one, every session of the old one is over.
async fn password_changed(mut scene: Scene<'_>, is_done: bool) {
    let old = is_password(&scene, PASSWORD).await;
    assert_ne!(old, is_password(&scene, NEW_PASSWORD).await);
    assert!(!is_done || !old);
    assert_eq!(scene.other.is_logged_in().await, old);
    assert_eq!(scene.traveller.is_logged_in().await, old || is_done);
    let (current_password, new_password) = if old { (PASSWORD, NEW_PASSWORD) } else { (NEW_PASSWORD, PASSWORD) };
    let mut browser = scene.logged_in(current_password).await;
    let change = json!({ "current_password": current_password, "new_password": new_password });
    browser.post("/password", change).await.expect(204);
}

async fn is_password(scene: &Scene<'_>, password: &str) -> bool {
    let answer = scene.world.browser().log_in_with(&scene.name, password).await;
    assert!([200, 401].contains(&answer.status.as_u16()), "{}", answer.text());
    answer.status == 200
}

async fn started(mut scene: Scene<'_>) {
    scene.traveller.enable_totp(scene.world.now()).await;
    assert!(is_second_step_due(&scene).await);
}

/// A second step is due and every other session over; or neither, and the set-up can go on.
async fn confirmed(mut scene: Scene<'_>, is_done: bool) {
    let is_on = is_second_step_due(&scene).await;
    assert!(is_on || !is_done);
    assert_eq!(scene.other.is_logged_in().await, !is_on);
    scene.world.pass(30);
    if !is_on {
        let code = scene.code();
        scene.traveller.post("/totp/confirm", json!({ "code": code })).await.expect(200);
        scene.world.pass(30);
    }
    scene.logged_in(PASSWORD).await;
}

async fn turned_off(mut scene: Scene<'_>, proof: impl Fn(&Scene<'_>) -> Value, is_done: bool) {
    let is_on = is_second_step_due(&scene).await;
    assert!(!is_on || !is_done);
    assert_eq!(scene.other.is_logged_in().await, is_on);
    scene.world.pass(30);
    if is_on {
        let proof = proof(&scene);
        scene.traveller.post("/totp/disable", proof).await.expect(204);
    }
    assert!(!is_second_step_due(&scene).await);
}

/// One set of codes counts: the one that was told, or, where none was, the old one, or one that nobody knows.
async fn codes_replaced(mut scene: Scene<'_>, told: Option<Value>) {
    assert_eq!(scene.recovery_codes_left().await, scene.codes.len());
    scene.world.pass(30);
    let mut browser = scene.halfway().await;
    let old = browser.post("/login/verify", json!({ "recovery_code": scene.codes[0] })).await;
    match told {
        Some(told) => {
            old.expect_problem(401, "invalid-code");
            browser.post("/login/verify", json!({ "recovery_code": told["recovery_codes"][0] })).await.expect(200);
        }
        None if old.status == 200 => {}
        None => {
            old.expect_problem(401, "invalid-code");
            scene.go(Journey::ReplaceRecoveryCodes).await.expect(200);
        }
    }
}

async fn is_second_step_due(scene: &Scene<'_>) -> bool {
    let mut browser: Browser = scene.world.browser();
    browser.log_in(&scene.name).await.value()["next"] == "verify"
}
