//! For every call to the store of every journey, everything that can go wrong with it: nobody gets in by it, nothing
//! happens twice or by half, whoever asked is told, and afterwards all goes on without a restart.
//!
//! Of the ways to go wrong each call meets a few, in turn; all of them with `HALLPASS_TEST_FAULTS=all`. What was done is
//! told with `--nocapture`.

mod aftermath;
mod journey;
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
    journey::Journey,
    report::{Shown, tell},
    scene::Scene,
};

/// One way to go wrong.
#[derive(Debug, Clone, Copy)]
struct Way {
    fault: Fault,
    /// For good, or for one try.
    lasts: bool,
    place: Place,
}

/// Where the store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In the process, where nothing is tried again.
    Inside,
    /// The same, with a memory of sessions: the container's own mode.
    InsideWithMemory,
    /// Over a network, where the SDK tries again.
    OverANetwork,
}

impl Place {
    const ALL: [Self; 3] = [Self::Inside, Self::InsideWithMemory, Self::OverANetwork];

    /// A world whose store is there.
    async fn world(self, faults: &Faults) -> Option<World> {
        let world = scene::world(faults, self == Self::OverANetwork).await?;
        Some(if self == Self::InsideWithMemory { world.with_memory() } else { world })
    }
}

impl Way {
    /// Every way that such a call can go wrong.
    fn all(call: &Call) -> Vec<Self> {
        // What can come of a call inside of the process.
        let inside =
            [Fault::LostBefore, Fault::LostAfter, Fault::Hangs, Fault::Page, Fault::Truncated, Fault::OtherTypes];
        let inside = |place| inside.map(|fault| Self { fault, lasts: false, place });
        let over_a_network = |lasts| Fault::ALL.map(|fault| Self { fault, lasts, place: Place::OverANetwork });
        let mut ways = inside(Place::Inside).to_vec();
        ways.extend(inside(Place::InsideWithMemory));
        ways.extend(over_a_network(false));
        // What one try doesn't overcome, more don't.
        ways.extend(over_a_network(true).into_iter().filter(|way| way.fault.is_overcome(false, true)));
        ways.retain(|way| way.fault.is_possible(call));
        ways
    }

    /// Whether whoever asks gets the right answer all the same where such a call goes wrong.
    fn is_overcome(self, call: &Call) -> bool {
        // Nobody tries again to delete what a transaction is at.
        let is_final = self.fault == Fault::Conflict && call.operation == "DeleteItem";
        self.fault.is_overcome(self.lasts, self.place == Place::OverANetwork) && !is_final
    }
}

/// Ways that a call meets where not all are asked for.
const DRAWN: usize = 3;

/// Sends the journey into faults at every call.
async fn whatever_goes_wrong(journey: Journey) {
    goes_wrong(journey, |number, call| {
        let ways = Way::all(call);
        let drawn = if is_everything() { ways.len() } else { DRAWN };
        // From all over the list, which begins with what nothing overcomes and ends with what lasts.
        let (first, step) = (number + journey as usize, ways.len() / drawn);
        (0..drawn).map(|draw| ways[(first + draw * step) % ways.len()]).collect()
    })
    .await;
}

/// Sends the journey into faults, those that are given for each call.
async fn goes_wrong(journey: Journey, ways: impl Fn(usize, &Call) -> Vec<Way>) {
    let (mut most_calls, mut struck) = (0, 0);
    for place in Place::ALL {
        let faults = Faults::default();
        let Some(world) = Box::pin(place.world(&faults)).await else { return };
        let calls = Box::pin(calls_of(journey, &world, &faults)).await;
        most_calls = most_calls.max(calls.len());
        for (number, call) in calls.iter().enumerate() {
            for way in ways(number, call).into_iter().filter(|way| way.place == place) {
                struck += Box::pin(meets(journey, &world, &faults, &calls[..=number], way)).await;
            }
        }
    }
    assert!(struck > 0, "{journey:?} met nothing");
    tell(&format!("{journey:?}: {most_calls} calls to the store"), struck);
}

/// What the journey asks the store when all is well.
async fn calls_of(journey: Journey, world: &World, faults: &Faults) -> Vec<Call> {
    let mut scene = Scene::set(world, journey).await;
    faults.heal();
    let answer = scene.go(journey).await;
    let calls = faults.calls();
    assert!(!calls.is_empty(), "{journey:?} asks the store for nothing");
    assert_eq!(answer.status, journey.status(), "{journey:?}: {}", answer.text());
    aftermath::is_whole(journey, scene, true, &answer).await;
    calls
}

/// How many calls went wrong, of which the first is the last of `calls`.
async fn meets(journey: Journey, world: &World, faults: &Faults, calls: &[Call], way: Way) -> usize {
    let mut scene = Scene::set(world, journey).await;
    let (call, before) = calls.split_last().unwrap();
    let passes = before.iter().filter(|other| *other == call).count();
    faults.strike_one_of(call, passes, way.fault, way.lasts);
    let what = format!("{journey:?}: {way:?} at {call:?}, after {passes} of its kind");
    let _shown = Shown::if_anything_fails(what.clone());
    let answer = answered(&mut scene, journey, faults).await;
    let struck = faults.heal();
    let Some(first) = struck.first() else {
        // Not every answer has something of a type.
        assert_eq!(way.fault, Fault::OtherTypes, "{what}: it never struck");
        return 0;
    };
    let is_overcome = way.is_overcome(first);
    let is_done = told(journey, &answer, is_overcome || is_spared(journey, first), &what);
    assert!(is_done || !is_overcome, "{what}");
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
    if !journey.is_at_the_authorizer() {
        assert!(answer.header("retry-after").parse::<u32>().unwrap() >= 1, "{what}");
        let told = if journey.is_by_a_person() { "<!doctype html>" } else { "urn:hallpass:problem:unavailable" };
        assert!(answer.text().contains(told), "{what}: {}", answer.text());
        assert!(!answer.headers.contains_key("set-cookie"), "{what}");
    }
    false
}

/// What may fail without anybody's noticing: the note that a session was used, the session of whom the limit refuses
/// beside the read of it, and the count of the open resource, which the process keeps meanwhile.
fn is_spared(journey: Journey, struck: &Call) -> bool {
    let is_touch = struck.operation == "UpdateItem" && struck.table == "sessions";
    let is_beside_a_refusal = journey == Journey::OverALimit && struck.table == "sessions";
    (journey.reads_a_session() && is_touch) || is_beside_a_refusal || journey == Journey::Resource
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
async fn no_fault_gives_a_name_or_an_address_to_two() {
    for journey in [Journey::NameTaken, Journey::AddressTaken] {
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
    for journey in [Journey::VerifyByCode, Journey::VerifyUnderANewKey] {
        whatever_goes_wrong(journey).await;
    }
}

#[tokio::test]
async fn no_fault_lets_a_recovery_code_be_used_twice() {
    whatever_goes_wrong(Journey::VerifyByRecoveryCode).await;
}

#[tokio::test]
async fn no_fault_keeps_a_session_that_was_told_to_be_over() {
    for journey in
        [Journey::LogOut, Journey::LogOutHalfway, Journey::RevokeOne, Journey::RevokeOthers, Journey::RevokeMany]
    {
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
    for journey in [Journey::GuardedByALimit, Journey::OverALimit] {
        whatever_goes_wrong(journey).await;
    }
}

#[tokio::test]
async fn no_fault_lets_anybody_pass_the_authorizer() {
    for journey in [Journey::Authorizer, Journey::EndedSessionAtTheAuthorizer] {
        whatever_goes_wrong(journey).await;
    }
}

#[tokio::test]
async fn a_store_that_hangs_is_told_as_a_503_within_the_deadline() {
    let for_good = |place| Way { fault: Fault::Hangs, lasts: true, place };
    for journey in [Journey::LogIn, Journey::Session, Journey::GuardedByALimit] {
        goes_wrong(journey, |_, _| Place::ALL.map(for_good).to_vec()).await;
    }
}

#[tokio::test]
async fn no_transaction_in_the_way_of_a_guess_keeps_it_from_being_counted() {
    let conflict = |lasts| Way { fault: Fault::Conflict, lasts, place: Place::OverANetwork };
    let ways = |call: &Call| match Fault::Conflict.is_possible(call) {
        true => [false, true].map(conflict).to_vec(),
        false => Vec::new(),
    };
    for journey in [Journey::WrongPassword, Journey::WrongPasswordAgain, Journey::WrongCode, Journey::WrongCodeAgain] {
        goes_wrong(journey, |_, call| ways(call)).await;
    }
}

#[tokio::test]
async fn no_fault_hides_a_wrong_password() {
    for journey in [Journey::WrongPassword, Journey::UnknownName, Journey::HeldPassword, Journey::WrongPasswordAgain] {
        whatever_goes_wrong(journey).await;
    }
}

#[tokio::test]
async fn no_fault_hides_a_wrong_code() {
    for journey in [Journey::WrongCode, Journey::WrongCodeAgain, Journey::WrongEnrolmentCode] {
        whatever_goes_wrong(journey).await;
    }
}

#[tokio::test]
async fn no_fault_revives_a_used_code() {
    whatever_goes_wrong(Journey::UsedCode).await;
}

#[tokio::test]
async fn no_fault_closes_the_open_resource() {
    whatever_goes_wrong(Journey::Resource).await;
}
