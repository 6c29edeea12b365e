//! The sliding log: the last admissions of one client under one policy, oldest first.
//!
//! A log holds exactly as many entries as the largest quota asks for, filled with zeros at first, so "the n-th
//! newest entry" has a fixed place and one conditional write can ask whether it has left its window.

use super::{
    headers::seconds_up,
    policy::{Policy, Window},
};

/// More entries than this make a write dear; larger quotas make an entry worth several permits.
pub const ENTRIES_MAX: u32 = 200;

/// How one policy is kept as a log: how long it is, and what each window asks of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogShape {
    /// Requests that one entry stands for: 1, or more where a quota is above [`ENTRIES_MAX`].
    pub permits_per_entry: u32,
    /// Entries in the log, oldest first.
    pub length: usize,
    /// How long the permits of an entry may be spent, in milliseconds; 0 where an entry is one permit.
    pub lease_millis: i64,
    windows: Vec<Window>,
}

/// What a log says of one more admission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The window that is nearest to refusing.
    pub window: Window,
    /// Requests that it still admits.
    pub remaining: u32,
    /// Milliseconds until that window admits more than it does now.
    pub reset_millis: i64,
    /// When the log admits nothing more, as far as is known.
    pub full: Full,
}

/// While a log admits nothing, in milliseconds from now: from when the permits in hand have lapsed until an entry has left
/// its window. Never, if both are 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Full {
    /// 0 without permits in hand.
    pub from_millis: i64,
    /// 0 where there is room in the log.
    pub until_millis: i64,
}

impl Full {
    /// A client that was told to wait is back this much later at most; permits in hand that lapse meanwhile are none.
    const WAY_BACK_MILLIS: i64 = 1000;

    /// As seen from `now_millis`: behind permits that lapse then, if any, until there is room in the log.
    pub(super) fn between(lapse_millis: Option<i64>, full_until_millis: i64, now_millis: i64) -> Self {
        let from_now = |millis: i64| millis.saturating_sub(now_millis).max(0);
        Self { from_millis: lapse_millis.map_or(0, from_now), until_millis: from_now(full_until_millis) }
    }

    /// `wait_millis`, or longer where one of these logs would then be full. A client that is told to wait comes back after
    /// whole seconds.
    pub(crate) fn longer_wait_millis(logs: &[Self], mut wait_millis: i64) -> i64 {
        loop {
            let comes_back_millis = seconds_up(wait_millis).saturating_mul(1000);
            let is_full = |log: &&Self| {
                log.from_millis < comes_back_millis.saturating_add(Self::WAY_BACK_MILLIS)
                    && comes_back_millis < log.until_millis
            };
            match logs.iter().filter(is_full).map(|log| log.until_millis).max() {
                Some(until_millis) => wait_millis = until_millis,
                None => return wait_millis,
            }
        }
    }
}

impl LogShape {
    /// The shapes that together enforce `policy`: exact windows share one log, larger ones have one each.
    ///
    /// A permit bought in bulk is stamped with the time until which it may be spent, never earlier than it is, so
    /// a window never admits more than its quota. The lease is as long as the window divided by its entries: a
    /// client that trickles under its quota is never refused.
    #[must_use]
    pub fn of(policy: &Policy) -> Vec<Self> {
        let (exact, large): (Vec<Window>, Vec<Window>) = policy.windows().iter().partition(|w| w.quota <= ENTRIES_MAX);
        let exact_shape = exact.iter().map(|w| w.quota).max().map(|largest| Self {
            permits_per_entry: 1,
            length: largest as usize,
            lease_millis: 0,
            windows: exact,
        });
        // The exact ones are asked first: a refusal by them must not leave bulk permits to lapse unused.
        exact_shape.into_iter().chain(large.into_iter().map(Self::leased)).collect()
    }

    fn leased(window: Window) -> Self {
        let permits_per_entry = window.quota.div_ceil(ENTRIES_MAX);
        let length = window.quota / permits_per_entry;
        let lease_millis = (window.millis() / i64::from(length)).max(1);
        Self { permits_per_entry, length: length as usize, lease_millis, windows: vec![window] }
    }

    /// The windows that this log enforces.
    #[must_use]
    pub fn windows(&self) -> &[Window] {
        &self.windows
    }

    /// For each window, the place of the entry that must have left it, and its length in milliseconds.
    pub fn conditions(&self) -> impl Iterator<Item = (usize, i64)> {
        self.windows.iter().map(|window| (self.length.saturating_sub(self.entries(*window)), window.millis()))
    }

    /// Milliseconds until every window admits one more entry; 0 if they do at `now_millis`.
    #[must_use]
    pub fn wait_millis(&self, log: &[i64], now_millis: i64) -> i64 {
        self.conditions()
            .map(|(place, millis)| {
                log.get(place).map_or(0, |entry| entry.saturating_add(millis).saturating_sub(now_millis))
            })
            .max()
            .unwrap_or(0)
            .max(0)
    }

    /// The window nearest to refusing, given the log after an admission (or at a refusal).
    #[must_use]
    pub fn standing(&self, log: &[i64], now_millis: i64, permits_in_hand: u32) -> Option<Standing> {
        self.windows
            .iter()
            .map(|window| self.standing_of(*window, log, now_millis, permits_in_hand))
            .min_by_key(|standing| (standing.remaining, std::cmp::Reverse(standing.reset_millis)))
    }

    fn standing_of(&self, window: Window, log: &[i64], now_millis: i64, permits_in_hand: u32) -> Standing {
        let inside = |entry: &&i64| entry.saturating_add(window.millis()) > now_millis;
        let used = log.iter().rev().take(self.entries(window)).filter(inside).count();
        let free = self.entries(window).saturating_sub(used);
        let remaining = u32::try_from(free)
            .unwrap_or(u32::MAX)
            .saturating_mul(self.permits_per_entry)
            .saturating_add(permits_in_hand);
        let oldest_inside = log.iter().filter(inside).min();
        let reset_millis = oldest_inside
            .map_or(window.millis(), |entry| entry.saturating_add(window.millis()).saturating_sub(now_millis));
        Standing { window, remaining, reset_millis, full: Full::default() }
    }

    fn entries(&self, window: Window) -> usize {
        (window.quota / self.permits_per_entry) as usize
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    fn shapes(policy: &str) -> Vec<LogShape> {
        LogShape::of(&policy.parse().unwrap())
    }

    #[test]
    fn windows_up_to_200_share_one_log_as_long_as_the_largest() {
        let shapes = shapes("10 per minute; 50 per hour; 200 per day");
        assert_eq!(shapes.len(), 1);
        assert_eq!((shapes[0].length, shapes[0].permits_per_entry), (200, 1));
        assert_eq!(shapes[0].conditions().collect::<Vec<_>>(), [(190, 60_000), (150, 3_600_000), (0, 86_400_000)]);
    }

    #[test]
    fn a_larger_quota_has_a_log_of_its_own_and_entries_worth_several_permits() {
        let shapes = shapes("10 per minute; 1000 per day");
        assert_eq!(shapes.iter().map(|s| (s.permits_per_entry, s.length)).collect::<Vec<_>>(), [(1, 10), (5, 200)]);
        assert_eq!(shapes[1].lease_millis, 432_000);
    }

    #[test]
    fn a_fresh_log_waits_for_nothing_and_a_full_one_for_its_oldest_entry() {
        let [shape] = shapes("3 per minute").try_into().unwrap();
        assert_eq!(shape.wait_millis(&[0, 0, 0], 1_000_000), 0);
        assert_eq!(shape.wait_millis(&[1_000_000, 1_010_000, 1_020_000], 1_030_000), 30_000);
        assert_eq!(shape.wait_millis(&[1_000_000, 1_010_000, 1_020_000], 1_060_000), 0);
    }

    #[test]
    fn the_window_nearest_to_refusing_is_told() {
        let [shape] = shapes("2 per minute; 3 per hour").try_into().unwrap();
        let noon = 1_800_000_000_000;
        let standing = shape.standing(&[0, noon, noon + 50_000], noon + 50_000, 0).unwrap();
        assert_eq!((standing.window.seconds, standing.remaining, standing.reset_millis), (60, 0, 10_000));
        let standing = shape.standing(&[noon, noon + 100_000, noon + 200_000], noon + 200_000, 0).unwrap();
        assert_eq!((standing.window.seconds, standing.remaining, standing.reset_millis), (3600, 0, 3_400_000));
    }

    #[test]
    fn a_wait_is_longer_where_another_log_is_full_by_then() {
        let wait_of = |logs: &[(i64, i64)], wait_millis| {
            let full = |(from_millis, until_millis): &(i64, i64)| Full {
                from_millis: *from_millis,
                until_millis: *until_millis,
            };
            Full::longer_wait_millis(&logs.iter().map(full).collect::<Vec<_>>(), wait_millis)
        };
        // Nothing is left of the other one.
        assert_eq!(wait_of(&[(0, 30_000)], 10_000), 30_000);
        assert_eq!(wait_of(&[(0, 5_000)], 10_000), 10_000);
        // Of which a permit is left that lapses before the client is back: after whole seconds, and its way here.
        assert_eq!(wait_of(&[(10_999, 30_000)], 9_500), 30_000);
        assert_eq!(wait_of(&[(11_000, 30_000)], 9_500), 9_500);
        // By when a third one is full; not by one that fills up long after.
        assert_eq!(wait_of(&[(0, 30_000), (20_000, 40_000)], 10_000), 40_000);
        assert_eq!(wait_of(&[(0, 60_000), (432_000, 86_400_000)], 5_000), 60_000);
    }

    proptest! {
        /// Whatever the arrivals, no window of the policy ever holds more admissions than its quota.
        #[test]
        fn no_sliding_window_ever_admits_more_than_its_quota(gaps in prop::collection::vec(0_i64..40_000, 1..400)) {
            let [shape] = shapes("3 per minute; 7 per 5 minutes").try_into().unwrap();
            let mut log: VecDeque<i64> = vec![0; shape.length].into();
            let mut now = 1_700_000_000_000;
            let mut admitted = Vec::new();
            for gap in gaps {
                now += gap;
                if shape.wait_millis(log.make_contiguous(), now) == 0 {
                    log.pop_front();
                    log.push_back(now);
                    admitted.push(now);
                }
                for window in shape.windows() {
                    let inside = admitted.iter().filter(|at| **at > now - window.millis()).count();
                    prop_assert!(inside <= window.quota as usize);
                }
            }
        }

        /// After the wait that a refusal tells, one more is admitted.
        #[test]
        fn after_the_told_wait_one_more_is_admitted(entries in prop::collection::vec(1_i64..600_000, 7)) {
            let [shape] = shapes("3 per minute; 7 per 5 minutes").try_into().unwrap();
            let mut log = entries;
            log.sort_unstable();
            let now = *log.last().unwrap();
            let wait = shape.wait_millis(&log, now);
            prop_assert_eq!(shape.wait_millis(&log, now + wait), 0);
        }
    }
}
