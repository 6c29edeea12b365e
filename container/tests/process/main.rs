//! The binary as a user runs it: settings, data that survives, load, logs, raw bytes, stopping.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "these are tests")]

mod bodies;
mod drain;
mod load;
mod log;
mod metrics;
mod proxies;
mod replicas;
mod secrets;
mod start;
mod survival;
mod wire;

use jiff::Timestamp;
use tempfile::TempDir;

/// The binary under test: the one built with these tests, or the one that is named, such as the release build.
const BINARY: &str = match option_env!("HALLPASS_TEST_BINARY") {
    Some(named) => named,
    None => env!("CARGO_BIN_EXE_hallpass"),
};

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn now() -> Timestamp {
    use hallpass_core::clock::{Clock, SystemClock};
    SystemClock.now()
}
