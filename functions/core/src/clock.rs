//! The only door to time. Rules take `now`; only handlers ask a [`Clock`].

use std::sync::Arc;

use jiff::Timestamp;

/// Where the present comes from. Tests bring their own and move it.
pub trait Clock: Send + Sync + 'static {
    /// The present in UTC, in whole milliseconds, which is what items hold.
    fn now(&self) -> Timestamp;
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
