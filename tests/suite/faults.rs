//! For every call to the store of every journey, everything that can go wrong with it: nobody gets in by it, nothing
//! happens twice or by half, whoever asked is told, and afterwards all goes on without a restart.
//!
//! Of the ways to go wrong each call meets a few, in turn; all of them with `HALLPASS_TEST_FAULTS=all`. What was done is
//! told with `--nocapture`.

mod aftermath;
mod mixture;
mod report;
mod scene;

use std::{convert::Infallible, time::Duration};

use hallpass_core::http::shell::REQUEST_DEADLINE;
use hallpass_tests::{
    Answer, World,
    faults::{Call, Fault, Faults},
};
use tokio::time::{self, timeout};

use self::{
    report::{Shown, tell},
    scene::{Journey, Scene},
};

/// One way to go wrong.
#[derive(Debug, Clone, Copy)]
struct Way {
    fault: Fault,
    /// For good, or for one try.
    lasts: bool,
    /// Whether the SDK tries again, as it does over a network.
    retries: bool,
}

impl Way {
    fn all() -> Vec<Self> {
        // What can come of a call inside of the process, where nothing is tried again.
        let inside =
            [Fault::LostBefore, Fault::LostAfter, Fault::Hangs, Fault::Page, Fault::Truncated, Fault::OtherTypes];
        let over_a_network = |lasts| Fault::ALL.map(|fault| Self { fault, lasts, retries: true });
        let mut ways = inside.map(|fault| Self { fault, lasts: false, retries: false }).to_vec();
        ways.extend(over_a_network(false));
        // What one try doesn't overcome, more don't.
        ways.extend(over_a_network(true).into_iter().filter(|way| way.fault.is_overcome(false, true)));
        ways
    }

    fn is_overcome(self) -> bool {
        self.fault.is_overcome(self.lasts, self.retries)
    }
}

/// Ways that a call meets where not all are asked for.
const DRAWN: usize = 3;

/// Sends the journey into faults at every call.
async fn whatever_goes_wrong(journey: Journey) {
    let ways = Way::all();
    let drawn = if is_everything() { ways.len() } else { DRAWN };
    // From all over the list, which begins with what nothing overcomes and ends with what lasts.
    let step = ways.len() / drawn;
    goes_wrong(journey, |call| {
        let first = call + journey as usize;
        (0..drawn).map(|number| ways[(first + number * step) % ways.len()]).collect()
    })
    .await;
}

/// Sends the journey into faults, those that are given for each call.
async fn goes_wrong(journey: Journey, ways: impl Fn(usize) -> Vec<Way>) {
    let (mut calls, mut struck) = (0, 0);
    for retries in [false, true] {
        let faults = Faults::default();
        let Some(world) = scene::world(&faults, retries).await else { return };
        calls = calls_of(journey, &world, &faults).await;
        assert!(calls > 0, "{journey:?} asks the store for nothing");
        for call in 0..calls {
            for way in ways(call).into_iter().filter(|way| way.retries == retries) {
                struck += Box::pin(meets(journey, &world, &faults, call, way)).await;
            }
        }
    }
    assert!(struck >= calls, "{journey:?}: {struck} faults at {calls} calls");
    tell(&format!("{journey:?}: {calls} calls to the store"), struck);
}

/// How often the journey asks the store when all is well.
async fn calls_of(journey: Journey, world: &World, faults: &Faults) -> usize {
    let mut scene = Scene::set(world, journey).await;
    faults.heal();
    let answer = scene.go(journey).await;
    let calls = faults.calls();
    assert_eq!(answer.status, journey.status(), "{journey:?}: {}", answer.text());
    aftermath::is_whole(journey, scene, true, &answer).await;
    calls
}

/// How many calls went wrong.
async fn meets(journey: Journey, world: &World, faults: &Faults, call: usize, way: Way) -> usize {
    let mut scene = Scene::set(world, journey).await;
    faults.strike(call, way.fault, way.lasts);
    let what = format!("{journey:?}: {way:?} at call {call}");
    let _shown = Shown::if_anything_fails(what.clone());
    let answer = answered(&mut scene, journey, faults).await;
    let struck = faults.heal();
    let Some(first) = struck.first() else {
        assert!(!way.fault.is_of_every_call(), "{what}: it never struck");
        return 0;
    };
    let is_done = told(journey, &answer, way.is_overcome() || is_spared(journey, first), &what);
    assert!(is_done || !way.is_overcome(), "{what}");
    aftermath::is_whole(journey, scene, is_done, &answer).await;
    struck.len()
}

/// What is answered, and sooner than a request is cut off: by the deadlines of the store. Nobody sits them out.
async fn answered(scene: &mut Scene<'_>, journey: Journey, faults: &Faults) -> Answer {
    let in_time = REQUEST_DEADLINE - Duration::from_secs(1);
    tokio::select! {
        biased;
        answer = timeout(in_time, scene.go(journey)) => answer.expect("an answer in time"),
        never = hasten(faults) => match never {},
    }
}

/// While a call hangs, time goes on at once to the deadline that ends it.
async fn hasten(faults: &Faults) -> Infallible {
    let mut hanging = faults.hanging();
    loop {
        hanging.wait_for(|calls| *calls > 0).await.unwrap();
        let _until_it_ends = Hastened::begin();
        hanging.wait_for(|calls| *calls == 0).await.unwrap();
    }
}

struct Hastened;

impl Hastened {
    fn begin() -> Self {
        time::pause();
        Self
    }
}

impl Drop for Hastened {
    fn drop(&mut self) {
        time::resume();
    }
}

/// Whether the answer is the one of a day when all is well; if not, it must be an honest 503.
#[track_caller]
fn told(journey: Journey, answer: &Answer, may_be_well: bool, what: &str) -> bool {
    let status = answer.status.as_u16();
    if status == journey.status() {
        assert!(may_be_well, "{what}: {status} without the store");
        return true;
    }
    assert_eq!(status, 503, "{what}");
    assert_ne!(journey, Journey::Resource, "{what}: it is open, whatever the store does");
    if journey != Journey::Authorizer {
        assert!(answer.header("retry-after").parse::<u32>().unwrap() >= 1, "{what}");
        let told = if journey.is_by_a_person() { "<!doctype html>" } else { "urn:hallpass:problem:unavailable" };
        assert!(answer.text().contains(told), "{what}: {}", answer.text());
        assert!(!answer.headers.contains_key("set-cookie"), "{what}");
    }
    false
}

/// What may fail without anybody's noticing: the note that a session was used, and the count of the open resource,
/// which the process keeps meanwhile.
fn is_spared(journey: Journey, struck: &Call) -> bool {
    let is_touch = struck.operation == "UpdateItem" && struck.table == "sessions";
    (journey.reads_a_session() && is_touch) || journey == Journey::Resource
}

#[expect(clippy::disallowed_methods, reason = "tests are told by the environment how much to do")]
fn is_everything() -> bool {
    std::env::var("HALLPASS_TEST_FAULTS").is_ok_and(|amount| amount == "all")
}

#[tokio::test]
async fn no_fault_makes_half_an_account() {
    for journey in [Journey::Register, Journey::RegisterWithAddress] {
        whatever_goes_wrong(journey).await;
    }
}

#[tokio::test]
async fn no_fault_logs_anybody_in_by_half() {
    for journey in [Journey::LogIn, Journey::LogInHalfway] {
        whatever_goes_wrong(journey).await;
    }
}

#[tokio::test]
async fn no_fault_leaves_both_a_session_and_the_one_in_its_place() {
    for journey in [Journey::LogInAgain, Journey::LogInAtTheCap] {
        whatever_goes_wrong(journey).await;
    }
}

#[tokio::test]
async fn no_fault_loses_a_password_that_is_hashed_anew() {
    whatever_goes_wrong(Journey::LogInAtAnOlderCost).await;
}

#[tokio::test]
async fn no_fault_shows_anybody_a_wrong_page() {
    for journey in [Journey::LogInByForm, Journey::Page] {
        whatever_goes_wrong(journey).await;
    }
}

#[tokio::test]
async fn no_fault_lets_a_code_be_used_twice() {
    whatever_goes_wrong(Journey::VerifyByCode).await;
}

#[tokio::test]
async fn no_fault_lets_a_recovery_code_be_used_twice() {
    whatever_goes_wrong(Journey::VerifyByRecoveryCode).await;
}

#[tokio::test]
async fn no_fault_keeps_a_session_that_was_told_to_be_over() {
    for journey in [Journey::LogOut, Journey::RevokeOne, Journey::RevokeOthers] {
        whatever_goes_wrong(journey).await;
    }
}

#[tokio::test]
async fn no_fault_leaves_two_passwords_or_none() {
    whatever_goes_wrong(Journey::ChangePassword).await;
}

#[tokio::test]
async fn no_fault_leaves_two_step_verification_half_on() {
    for journey in [Journey::StartTotp, Journey::ConfirmTotp] {
        whatever_goes_wrong(journey).await;
    }
}

#[tokio::test]
async fn no_fault_leaves_two_step_verification_half_off() {
    for journey in [Journey::TurnOffTotp, Journey::TurnOffTotpByRecoveryCode] {
        whatever_goes_wrong(journey).await;
    }
}

#[tokio::test]
async fn no_fault_leaves_two_sets_of_recovery_codes() {
    whatever_goes_wrong(Journey::ReplaceRecoveryCodes).await;
}

#[tokio::test]
async fn no_fault_makes_a_session_check_lie() {
    for journey in [Journey::Session, Journey::Sessions, Journey::EndedSession] {
        whatever_goes_wrong(journey).await;
    }
}

#[tokio::test]
async fn no_fault_lets_anybody_pass_the_guard() {
    for journey in [Journey::ForwardAuth, Journey::AuthRequest, Journey::ExtAuthz, Journey::EndedSessionAtTheGuard] {
        whatever_goes_wrong(journey).await;
    }
}

#[tokio::test]
async fn no_fault_lets_anybody_pass_a_limit_of_the_guarded_api() {
    whatever_goes_wrong(Journey::GuardedByALimit).await;
}

#[tokio::test]
async fn no_fault_lets_anybody_pass_the_authorizer() {
    whatever_goes_wrong(Journey::Authorizer).await;
}

#[tokio::test]
async fn a_store_that_hangs_is_told_as_a_503_within_the_deadline() {
    let for_good = |retries| Way { fault: Fault::Hangs, lasts: true, retries };
    for journey in [Journey::LogIn, Journey::Session, Journey::GuardedByALimit] {
        goes_wrong(journey, |_| vec![for_good(false), for_good(true)]).await;
    }
}

#[tokio::test]
async fn no_fault_hides_a_wrong_password() {
    for journey in [Journey::WrongPassword, Journey::UnknownName] {
        whatever_goes_wrong(journey).await;
    }
}

#[tokio::test]
async fn no_fault_hides_a_wrong_code() {
    whatever_goes_wrong(Journey::WrongCode).await;
}

#[tokio::test]
async fn no_fault_revives_a_used_code() {
    whatever_goes_wrong(Journey::UsedCode).await;
}

#[tokio::test]
async fn no_fault_closes_the_open_resource() {
    whatever_goes_wrong(Journey::Resource).await;
}
