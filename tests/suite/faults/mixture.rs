//! Several calls of one journey go wrong, each in a way of its own, drawn by a seed; `HALLPASS_TEST_SEED` draws it again.

use fastrand::Rng;
use hallpass_tests::faults::{Call, Fault, Faults};

use super::{
    Place, aftermath, answered, is_everything,
    journey::Journey,
    report::{Shown, announce, tell},
    scene::Scene,
    told,
};

/// More than a journey makes, with every try.
const CALLS: usize = 12;

#[expect(clippy::disallowed_methods, reason = "tests are told by the environment which seed to run again")]
fn seeds() -> Vec<u64> {
    match std::env::var("HALLPASS_TEST_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => {
            let (first, count) = (Rng::new().u32(..), if is_everything() { 300 } else { 40 });
            // Told before anything can hang; whatever is cut off is one of them.
            announce(&format!("seeds of this run: {first} and the {} after it", count - 1));
            (0..count).map(|number| u64::from(first) + number).collect()
        }
    }
}

/// Each call goes wrong or not.
fn drawn(random: &mut Rng) -> Vec<(usize, Fault)> {
    let share = random.f64();
    let calls: Vec<usize> = (0..CALLS).filter(|_| random.f64() < share).collect();
    calls.into_iter().map(|call| (call, *random.choice(&Fault::ALL).unwrap())).collect()
}

/// How many of the strikes must have gone home at these calls.
fn certain(strikes: &[(usize, Fault)], calls: &[Call]) -> usize {
    let is_transaction = |call: &Call| call.operation == "TransactWriteItems";
    let may_pass =
        |call: &Call, fault: Fault| fault == Fault::OtherTypes || (fault == Fault::Conflict && is_transaction(call));
    let is_certain = |call: &Call, fault: Fault| !may_pass(call, fault) && fault.is_possible(call);
    strikes.iter().filter(|(number, fault)| calls.get(*number).is_some_and(|call| is_certain(call, *fault))).count()
}

#[tokio::test]
async fn no_mixture_of_faults_does_anything_by_half() {
    let faults = [Faults::default(), Faults::default()];
    let (Some(inside), Some(over_a_network)) =
        (Place::InsideWithMemory.world(&faults[0]).await, Place::OverANetwork.world(&faults[1]).await)
    else {
        return;
    };
    let seeds = seeds();
    let mut struck = 0;
    for seed in &seeds {
        let mut random = Rng::with_seed(*seed);
        let journey = *random.choice(&Journey::ALL).unwrap();
        let (world, faults) = if random.bool() { (&inside, &faults[0]) } else { (&over_a_network, &faults[1]) };
        let strikes = drawn(&mut random);
        let what = format!("HALLPASS_TEST_SEED={seed}: {journey:?} with {strikes:?}");
        let _shown = Shown::if_anything_fails(what.clone());
        let mut scene = Scene::set(world, journey).await;
        faults.strike_each(strikes.clone());
        let answer = Box::pin(answered(&mut scene, journey, faults)).await;
        let (calls, met) = (faults.calls(), faults.heal().len());
        assert!(met >= certain(&strikes, &calls), "{what}: {met} struck");
        struck += met;
        // Whether it could be well is what the aftermath tells.
        let is_done = told(journey, &answer, true, &what);
        aftermath::is_whole(journey, scene, is_done, &answer).await;
    }
    tell(&format!("{} journeys by seeds", seeds.len()), struck);
}
