//! How logins end, in words of ours, and how often each since the process started.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// How one step of a login ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginEnd {
    /// A session was opened.
    Completed,
    /// The password was right, and a second step is due.
    SecondStepDue,
    /// Wrong name or password.
    Credentials,
    /// The account's lane of guesses was held or closed.
    Held,
    /// Wrong or used code.
    Code,
    /// The pending login was dead.
    LoginExpired,
    /// No verdict: the queue of hashes was full, a stored secret unusable, or the store gave no answer.
    Unavailable,
}

impl LoginEnd {
    const ALL: [Self; 7] = [
        Self::Completed,
        Self::SecondStepDue,
        Self::Credentials,
        Self::Held,
        Self::Code,
        Self::LoginExpired,
        Self::Unavailable,
    ];

    /// The word in log lines and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::SecondStepDue => "second_step_due",
            Self::Credentials => "credentials",
            Self::Held => "held",
            Self::Code => "code",
            Self::LoginExpired => "login_expired",
            Self::Unavailable => "unavailable",
        }
    }
}

impl fmt::Display for LoginEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// By place in [`LoginEnd::ALL`], which is the order of the variants.
static ENDED: [AtomicU64; LoginEnd::ALL.len()] = [const { AtomicU64::new(0) }; LoginEnd::ALL.len()];

pub(super) fn note(end: LoginEnd) {
    if let Some(count) = ENDED.get(end as usize) {
        count.fetch_add(1, Relaxed);
    }
}

/// How many steps of logins ended in each way, in this process, since it started.
pub fn ended() -> impl Iterator<Item = (LoginEnd, u64)> {
    LoginEnd::ALL.into_iter().zip(&ENDED).map(|(end, count)| (end, count.load(Relaxed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_is_counted_in_its_own_place() {
        for (place, end) in LoginEnd::ALL.into_iter().enumerate() {
            assert_eq!(end as usize, place);
        }
        let before: Vec<u64> = ended().map(|(_, count)| count).collect();
        LoginEnd::ALL.into_iter().for_each(note);
        for ((end, after), before) in ended().zip(before) {
            assert!(after > before, "{end}");
        }
    }
}
