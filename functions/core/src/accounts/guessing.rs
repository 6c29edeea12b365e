//! How wrong guesses slow further guesses down, without letting a stranger lock the owner out.
//!
//! Failures are counted on the account, in two lanes: one for strangers, one for devices that have logged in before
//! and for running sessions. A stranger who fails all day closes only the strangers' lane (attack 5.20).

use jiff::{SignedDuration, Timestamp};

use crate::{clock::later, rate_limit::headers::seconds_up};

/// Whose guesses are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Nobody we know.
    Stranger,
    /// A device that completed a login to this account before, or a running session of it.
    Known,
}

/// Failures in a row of one factor in one lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Guesses {
    /// Failures since the last success.
    pub failures: u32,
    /// No guess is looked at before this time.
    pub retry_at: Option<Timestamp>,
}

/// Why a guess is not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Held {
    /// Too many failures in a row; the lane opens again after this many whole seconds.
    #[error("guesses at this account are slowed down for {seconds} s")]
    Until {
        /// Rounded up, at least 1.
        seconds: i64,
    },
    /// [`Guesses::CLOSED_AT`] failures in a row: this lane stays closed until another proof opens it.
    #[error("a hundred failures in a row have closed this account's factor")]
    Closed,
}

impl Guesses {
    /// Failures in a row that cost nothing: people mistype, and the limit by address comes first.
    pub const FREE: u32 = 10;
    /// NIST SP 800-63B-4 3.2.2: no more than 100 consecutive failures.
    pub const CLOSED_AT: u32 = 100;
    /// The first wait; it doubles with each further failure.
    const FIRST_WAIT_SECONDS: i64 = 1;
    /// The longest wait (NIST SP 800-63B-4 3.2.2 suggests 30 seconds up to an hour).
    const LONGEST_WAIT_SECONDS: i64 = 3600;

    /// Whether a password guess is looked at now.
    ///
    /// # Errors
    /// [`Held`].
    pub fn admit(&self, now: Timestamp) -> Result<(), Held> {
        match self.retry_at {
            _ if self.failures >= Self::CLOSED_AT => Err(Held::Closed),
            Some(retry_at) if now < retry_at => {
                Err(Held::Until { seconds: seconds_up(retry_at.as_millisecond().saturating_sub(now.as_millisecond())) })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The count after one more failure.
    #[must_use]
    pub fn after_failure(&self, now: Timestamp) -> Self {
        let failures = self.failures.saturating_add(1);
        let retry_at = failures.checked_sub(Self::FREE).map(|beyond| {
            let doubled = Self::FIRST_WAIT_SECONDS.checked_shl(beyond.min(30)).unwrap_or(Self::LONGEST_WAIT_SECONDS);
            later(now, SignedDuration::from_secs(doubled.min(Self::LONGEST_WAIT_SECONDS)))
        });
        Self { failures, retry_at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::constant(1_800_000_000, 0);

    fn seconds(seconds: i64) -> SignedDuration {
        SignedDuration::from_secs(seconds)
    }

    fn after(failures: u32) -> Guesses {
        (0..failures).fold(Guesses::default(), |guesses, _| guesses.after_failure(NOON))
    }

    #[test]
    fn the_first_failures_are_free() {
        assert_eq!(after(9).admit(NOON), Ok(()));
        assert_eq!(after(10).admit(NOON), Err(Held::Until { seconds: 1 }));
    }

    #[test]
    fn the_wait_doubles_up_to_an_hour_and_then_ends() {
        for (failures, wait) in [(10, 1), (11, 2), (15, 32), (21, 2048), (22, 3600), (99, 3600)] {
            assert_eq!(after(failures).admit(NOON), Err(Held::Until { seconds: wait }), "{failures}");
            assert_eq!(after(failures).admit(NOON + seconds(wait)), Ok(()), "{failures}");
        }
    }

    #[test]
    fn a_hundred_failures_close_the_lane_for_good() {
        assert_eq!(after(100).admit(NOON + seconds(10_000_000)), Err(Held::Closed));
        assert_eq!(after(150).admit(NOON), Err(Held::Closed));
    }
}
