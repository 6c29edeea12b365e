use std::iter;

use proptest::prelude::*;

use super::{super::policy::Policy, *};

fn per_second(quota: u32) -> LogShape {
    LogShape::of(&format!("{quota} per second").parse().unwrap()).remove(0)
}

fn spend(memory: &Memory, client: &str, shape: &LogShape) -> bool {
    memory.spend(iter::once((client, shape)), 1000).is_ok()
}

#[test]
fn no_more_than_so_many_clients_are_remembered() {
    let (memory, shape) = (Memory::default(), per_second(1));
    for client in 0..REMEMBERED_MAX.get() + 100 {
        memory.remember(&client.to_string(), Known::refused(NOTHING, i64::MAX), 0);
        assert!(spend(&memory, &client.to_string(), &shape));
    }
    assert_eq!(lock(&memory.known).logs.len(), REMEMBERED_MAX.get());
    assert_eq!(lock(&memory.quotas).len(), LOGS_MAX.get());
    let newest = (REMEMBERED_MAX.get() + 99).to_string();
    assert!(memory.refusal(&newest, 0).is_some(), "the newest is kept");
}

/// A flood of others makes room for itself, and nobody is admitted by that (attack 5.19).
#[test]
fn whom_a_flood_made_it_forget_it_does_not_admit() {
    let memory = Memory::default();
    let refused = Known::refused(NOTHING, i64::MAX);
    for client in 0..2 * REMEMBERED_MAX.get() {
        memory.remember(&client.to_string(), refused, 0);
    }
    let recalled: Vec<_> = (0..2 * REMEMBERED_MAX.get()).map(|client| memory.recall(&client.to_string(), 0)).collect();
    assert!(recalled.iter().flatten().all(Result::is_err));
    assert_eq!(recalled.iter().filter(|known| known.is_none()).count(), REMEMBERED_MAX.get());
}

/// Or its permits, bought in bulk, would lapse unused, and soon there were none to buy (attack 5.19).
#[test]
fn who_comes_meanwhile_loses_nothing_to_a_flood_of_a_million_others() {
    let (memory, shape) = (Memory::default(), per_second(64));
    memory.remember("victim", Known::bought(64, NOTHING, 0, i64::MAX, 0), 0);
    for others in 0..64 {
        for other in 0..REMEMBERED_MAX.get() - 1 {
            memory.remember(&format!("{others} {other}"), Known::refused(NOTHING, i64::MAX), 0);
        }
        assert!(memory.recall("victim", 0).unwrap().is_ok());
        for other in 0..LOGS_MAX.get() - 1 {
            spend(&memory, &format!("{others} {other}"), &shape);
        }
        assert!(spend(&memory, "victim", &shape));
    }
    assert!(memory.recall("victim", 0).is_none(), "each permit was spent once");
    assert!(!spend(&memory, "victim", &shape));
}

/// However seldom they come whose permits last.
#[test]
fn where_there_is_no_room_what_is_over_is_forgotten_first() {
    let memory = Memory::default();
    let refused_until = |until_millis| Known::refused(NOTHING, until_millis);
    for client in 0..REMEMBERED_MAX.get() {
        memory.remember(&client.to_string(), refused_until(if client == 7 { 2000 } else { 1000 }), 0);
    }
    memory.remember("one more", refused_until(3000), 1000);
    assert_eq!(lock(&memory.known).logs.len(), 2);
    assert!(memory.refusal("7", 1000).is_some());
}

#[test]
fn a_flood_while_the_store_is_away_takes_no_log_of_a_quota_from_the_others() {
    let memory = Memory::default();
    let policy = "1 per second; 201 per minute".parse().unwrap();
    for other in 0..LOGS_MAX.get() {
        spend(&memory, &other.to_string(), &per_second(1));
    }
    assert_eq!(burst(&memory, &policy, 3, 1_000_000), (1, Some(1000)));
}

#[test]
fn of_quotas_with_several_logs_fewer_are_kept() {
    let memory = Memory::default();
    let shapes = LogShape::of(&"201 per second; 202 per minute; 203 per hour".parse().unwrap());
    for client in 0..LOGS_MAX.get() {
        let key = client.to_string();
        assert!(memory.spend(shapes.iter().map(|shape| (key.as_str(), shape)), 1_000_000_000).is_ok());
    }
    assert_eq!(lock(&memory.quotas).len(), LOGS_MAX.get() / 3);
}

/// All are looked at for it, which no flood is to cause with each of its requests.
#[test]
fn what_is_over_is_looked_for_once_a_second_at_most() {
    let memory = Memory::default();
    let remembered = |clients: usize, until_millis, now_millis| {
        for client in 0..clients {
            memory.remember(&format!("{now_millis} {client}"), Known::refused(NOTHING, until_millis), now_millis);
        }
        lock(&memory.known).logs.len()
    };
    let full = REMEMBERED_MAX.get();
    assert_eq!(remembered(full - 1, 5001, 5000), full - 1);
    memory.remember("until a millisecond later", Known::refused(NOTHING, 5002), 5000);
    assert_eq!(remembered(1, 9000, 5001), 2);
    assert_eq!(remembered(full - 2, 5003, 5002), full);
    assert_eq!(remembered(1, 9000, 6000), full);
    assert_eq!(remembered(1, 9000, 6001), 3);
}

#[test]
fn what_is_over_is_forgotten_by_a_clock_that_was_set_back_too() {
    let memory = Memory::default();
    // By an answer that came late it was not.
    for (now_millis, known) in [(1_000_000, 1), (995_000, REMEMBERED_MAX.get()), (1000, 1)] {
        for client in 0..=REMEMBERED_MAX.get() {
            memory.remember(&client.to_string(), Known::refused(NOTHING, now_millis + 1), now_millis);
        }
        memory.remember("one more", Known::refused(NOTHING, i64::MAX), now_millis + SWEEP_PAUSE_MILLIS);
        assert_eq!(lock(&memory.known).logs.len(), known, "{now_millis}");
    }
}

#[test]
fn permits_and_a_refusal_are_kept_whichever_comes_first() {
    let (bought, refused) = (Known::bought(1, NOTHING, 0, 100, 700), Known::refused(NOTHING, 900));
    for order in [[bought, refused], [refused, bought]] {
        let memory = Memory::default();
        for what in order {
            memory.remember("x", what, 0);
        }
        assert_eq!(memory.refusal("x", 0), None, "a permit is in hand");
        assert_eq!(memory.full("x", 0), Some(Full { from_millis: 100, until_millis: 900 }));
        assert!(memory.recall("x", 99).unwrap().is_ok());
        assert_eq!(memory.recall("x", 99).unwrap().unwrap_err().reset_millis, 801);
        assert!(memory.recall("x", 900).is_none());
    }
}

#[test]
fn permits_in_hand_tell_the_reset_as_it_is_when_they_are_spent() {
    let memory = Memory::default();
    let standing = Standing { reset_millis: 60_000, ..NOTHING };
    memory.remember("x", Known::bought(3, standing, 5_000, 90_000, 0), 5_000);
    for (now_millis, reset_millis) in [(5_000, 60_000), (35_000, 30_000), (80_000, 1)] {
        assert_eq!(memory.recall("x", now_millis).unwrap().unwrap().reset_millis, reset_millis);
    }
}

#[test]
fn permits_lapse_to_the_millisecond_whatever_is_learnt_then() {
    // Others were bought that lapse now, which leaves those that were there.
    let memory = Memory::default();
    memory.remember("x", Known::bought(1, NOTHING, 0, 200, 0), 0);
    memory.remember("x", Known::bought(1, NOTHING, 0, 100, 900), 100);
    let spent = memory.recall("x", 100).unwrap().unwrap();
    assert_eq!(spent.full, Full { from_millis: 0, until_millis: 800 });
    // In their last millisecond.
    let memory = Memory::default();
    memory.remember("x", Known::bought(2, NOTHING, 0, 101, 0), 0);
    memory.remember("x", Known::full_until(900), 100);
    let spent = memory.recall("x", 100).unwrap().unwrap();
    assert_eq!(spent.full, Full { from_millis: 1, until_millis: 800 });
    assert!(memory.recall("x", 101).is_none());
}

#[test]
fn permits_that_lapse_leave_the_refusal_behind_them() {
    let memory = Memory::default();
    memory.remember("x", Known::bought(1, NOTHING, 0, 100, 0), 0);
    memory.remember("x", Known::refused(NOTHING, 900), 0);
    assert_eq!(memory.refusal("x", 100).map(|standing| standing.reset_millis), Some(800));
}

#[test]
fn a_log_that_is_full_refuses_nobody_before_the_store_has() {
    let memory = Memory::default();
    memory.remember("x", Known::full_until(900), 0);
    assert_eq!(memory.full("x", 100), Some(Full { from_millis: 0, until_millis: 800 }));
    assert!(memory.recall("x", 100).is_none());
}

#[test]
fn a_refusal_that_is_over_says_nothing_of_what_is_bought_after_it() {
    let memory = Memory::default();
    memory.remember("x", Known::refused(NOTHING, 900), 0);
    memory.remember("x", Known::bought(0, NOTHING, 900, 0, 1800), 900);
    assert_eq!(memory.refusal("x", 900), None);
}

/// How many of a burst are admitted by this policy, and the wait in milliseconds that the rest is told.
fn burst(memory: &Memory, policy: &Policy, requests: usize, now_millis: i64) -> (usize, Option<i64>) {
    let shapes: Vec<(String, LogShape)> =
        LogShape::of(policy).into_iter().map(|shape| (format!("{shape:?}"), shape)).collect();
    let quota = shapes.iter().map(|(key, shape)| (key.as_str(), shape));
    let outcomes: Vec<_> = (0..requests).map(|_| memory.spend(quota.clone(), now_millis)).collect();
    let waits = outcomes.iter().filter_map(|outcome| Some(outcome.as_ref().err()?.standing.reset_millis));
    (outcomes.iter().filter(|outcome| outcome.is_ok()).count(), waits.max())
}

#[test]
fn a_process_by_itself_admits_as_many_as_all_windows_do_and_tells_when_they_admit_again() {
    let policy = "190 per 10 seconds; 210 per minute".parse().unwrap();
    let memory = Memory::default();
    assert_eq!(burst(&memory, &policy, 300, 1_000_000), (190, Some(10_000)));
    // What the second window refuses is not taken from the first. Its entries are stamped half a second late.
    let lease_millis = 60_000 / 105;
    assert_eq!(burst(&memory, &policy, 300, 1_010_000), (20, Some(50_000 + lease_millis)));
    assert_eq!(burst(&memory, &policy, 1, 1_060_000 + lease_millis), (1, None));
}

#[test]
fn a_process_by_itself_reckons_in_milliseconds() {
    let (memory, shape) = (Memory::default(), per_second(400));
    let spend = |now_millis| memory.spend(iter::once(("x", &shape)), now_millis);
    // Two permits an entry, which lapse after 5 ms; one of the last pair is left.
    assert_eq!(spend(1000).unwrap()[0].reset_millis, 1005);
    for _ in 1..399 {
        spend(1000).unwrap();
    }
    assert_eq!(spend(1004).unwrap()[0].reset_millis, 1001);
    let Refused { standing, full } = spend(1004).unwrap_err();
    assert_eq!((standing.reset_millis, full), (1001, vec![Full { from_millis: 0, until_millis: 1001 }]));
    assert!(spend(2004).is_err() && spend(2005).is_ok());
}

#[test]
fn of_an_entry_that_is_worth_three_permits_all_are_spent() {
    let policy = "600 per minute".parse().unwrap();
    assert_eq!(burst(&Memory::default(), &policy, 700, 1_000_000).0, 600);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn a_process_by_itself_admits_no_more_than_each_window(
        bursts in prop::collection::vec((0..70_000_i64, 1..300_usize), 1..30),
    ) {
        let policy: Policy = "190 per 10 seconds; 210 per minute".parse().unwrap();
        let memory = Memory::default();
        let (mut now_millis, mut admitted): (i64, Vec<(i64, usize)>) = (1_000_000, Vec::new());
        for (pause, requests) in bursts {
            now_millis += pause;
            admitted.push((now_millis, burst(&memory, &policy, requests, now_millis).0));
            for window in policy.windows() {
                let inside = admitted.iter().filter(|(at, _)| at + window.millis() > now_millis);
                prop_assert!(inside.map(|(_, count)| count).sum::<usize>() <= window.quota as usize);
            }
        }
    }
}
