//! What the journeys stand on: a world with a clock that tests move, browsers that keep cookies, authenticator apps.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "this crate is tests"
)]

pub mod authenticator;
pub mod browser;
pub mod capacity;
pub mod contract;
pub mod crowds;
pub mod faults;
pub mod functions;
pub mod guard;
pub mod histories;
pub mod needles;
pub mod process;
pub mod recorder;
pub mod world;

pub use authenticator::Authenticator;
pub use browser::{Answer, Browser};
pub use world::World;

/// A password that no rule refuses.
pub const PASSWORD: &str = "correct horse battery staple";

/// Tells whoever reads a failing test what happened behind it.
#[expect(clippy::print_stderr, reason = "the harness shows it with the test that fails")]
pub(crate) fn say(what: &str) {
    eprintln!("{what}");
}
