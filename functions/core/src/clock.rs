//! The only door to time. Rules take `now`; only handlers ask a [`Clock`].

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::Serializer;

/// Where the present comes from. Tests bring their own and move it.
pub trait Clock: Send + Sync + 'static {
    /// The present in UTC, in whole milliseconds, which is what items hold.
    fn now(&self) -> Timestamp;
}

/// `now` and a while; the end of time where that is beyond it.
pub(crate) fn later(now: Timestamp, duration: SignedDuration) -> Timestamp {
    now.saturating_add(duration).unwrap_or(Timestamp::MAX)
}

/// RFC 3339, always to the millisecond: texts of one width sort as the times do.
pub fn to_rfc3339<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{time:.3}"))
}

/// A shared clock, as the application state carries it.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the door to time")]
    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }
}
