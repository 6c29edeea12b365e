//! Ten thousand wrong codes by each route that takes one (attack 5.4): with the limits of an address, a hundred or so are
//! looked at, after which not even the right one is taken.

use axum::http::Method;
use hallpass_tests::{Answer, Authenticator, Browser, PASSWORD, World};
use serde_json::json;

const WRONG_CODES: usize = 10_000;
/// In which logins are flooded.
const MINUTES: usize = 10;

/// A world where a session may be left alone for hours; in this process, whose memory refuses most of a flood.
async fn world() -> World {
    World::with([("HALLPASS_SESSION__IDLE", "12h")]).await.in_process()
}

/// Whether a code was answered as one, right or wrong, and not refused before it.
fn is_answered(answer: &Answer) -> bool {
    match answer.problem().as_deref() {
        Some("rate-limited") => false,
        Some("invalid-code") => true,
        _ => panic!("{}", answer.text()),
    }
}

async fn with_password(browser: &mut Browser, (method, path): (&Method, &str), code: &str) -> Answer {
    let body = json!({ "password": PASSWORD, "code": code });
    browser.json(method.clone(), path, &body).await
}

/// Somebody at a session that isn't theirs, who has come to know the password too.
async fn flood_inside_a_session(method: Method, path: &str) {
    const HOURS: usize = 4;
    let world = world().await;
    let (_, mut thief, authenticator, _) = world.somebody_with_totp().await;
    let mut answered = 0;
    for _ in 0..HOURS {
        for wrong in authenticator.wrong_codes(world.now()).take(WRONG_CODES / HOURS) {
            answered += usize::from(is_answered(&with_password(&mut thief, (&method, path), &wrong).await));
        }
        world.pass(3600);
    }
    assert_eq!(answered, HOURS * 50, "fifty an hour, all of which but the first hundred are wrong unseen");
    let mut elsewhere = world.browser();
    elsewhere.cookies = thief.cookies.clone();
    let right = authenticator.code(world.now());
    with_password(&mut elsewhere, (&method, path), &right).await.expect_problem(401, "invalid-code");
}

#[tokio::test]
async fn after_ten_thousand_wrong_codes_no_right_one_turns_two_step_verification_off() {
    flood_inside_a_session(Method::DELETE, "/totp").await;
}

#[tokio::test]
async fn after_ten_thousand_wrong_codes_no_right_one_turns_two_step_verification_off_by_a_form() {
    flood_inside_a_session(Method::POST, "/totp/disable").await;
}

#[tokio::test]
async fn after_ten_thousand_wrong_codes_no_right_one_replaces_recovery_codes() {
    flood_inside_a_session(Method::POST, "/recovery-codes").await;
}

/// Recovery codes of which twenty letters are right, and the first four are others.
fn near(right: &str) -> impl Iterator<Item = String> {
    let (first, rest) = right.split_at(4);
    let (first, rest) = (first.to_owned(), rest.to_owned());
    let letter = |number: u32| char::from(b'a' + (number % 26) as u8);
    let four = move |number: u32| [1, 26, 676, 17_576].map(|place| letter(number / place)).iter().collect::<String>();
    (0..).map(four).filter(move |four| *four != first).map(move |four| format!("{four}{rest}"))
}

/// Ten a minute are looked at, five to a pending login, and after a hundred no code completes one.
async fn flood_of_logins(field: &str, wrong_ones: impl Fn(&World, &Authenticator, &str) -> Vec<String>) {
    let world = world().await;
    let (name, _, authenticator, codes) = world.somebody_with_totp().await;
    let mut guesser = world.browser();
    let mut answered = 0;
    for _ in 0..MINUTES {
        let mut wrong = wrong_ones(&world, &authenticator, &codes[0]).into_iter();
        for length in [5, WRONG_CODES] {
            guesser.log_in(&name).await;
            for wrong in wrong.by_ref().take(length) {
                answered += usize::from(is_answered(&guesser.post("/login/verify", json!({ field: wrong })).await));
            }
        }
        world.pass(60);
    }
    assert_eq!(answered, 100);
    let mut elsewhere = world.browser();
    elsewhere.log_in(&name).await;
    elsewhere.verify(&authenticator.code(world.now())).await.expect_problem(401, "invalid-code");
    elsewhere.post("/login/verify", json!({ "recovery_code": codes[1] })).await.expect(200);
}

#[tokio::test]
async fn after_ten_thousand_wrong_codes_no_right_one_completes_a_login() {
    let wrong = |world: &World, authenticator: &Authenticator, _: &str| {
        authenticator.wrong_codes(world.now()).take(WRONG_CODES / MINUTES).collect()
    };
    flood_of_logins("code", wrong).await;
}

#[tokio::test]
async fn after_ten_thousand_wrong_recovery_codes_no_right_totp_code_completes_a_login() {
    let wrong = |_: &World, _: &Authenticator, code: &str| near(code).take(WRONG_CODES / MINUTES).collect();
    flood_of_logins("recovery_code", wrong).await;
}

/// An enrolment has a count of its own: there is no factor to close yet.
#[tokio::test]
async fn after_ten_thousand_wrong_codes_no_right_one_confirms_an_enrolment() {
    let world = world().await;
    let (_, mut browser) = world.somebody().await;
    let started = browser.post("/totp", json!({ "password": PASSWORD })).await.expect(200).value();
    let authenticator = Authenticator::scan(started["secret"].as_str().unwrap());
    let mut looked_at = 0;
    for wrong in authenticator.wrong_codes(world.now()).take(WRONG_CODES) {
        let answer = browser.post("/totp/confirm", json!({ "code": wrong })).await;
        looked_at += usize::from(answer.problem().as_deref() == Some("invalid-code"));
    }
    assert_eq!(looked_at, 10);
    let mut elsewhere = world.browser();
    elsewhere.cookies = browser.cookies.clone();
    let right = json!({ "code": authenticator.code(world.now()) });
    elsewhere.post("/totp/confirm", right).await.expect_problem(409, "totp-not-started");
}
