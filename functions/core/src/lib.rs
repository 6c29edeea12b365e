//! What the endpoints of Hallpass share.
//!
//! Invariants of this crate:
//! - Whatever is single-use or counted is spent by one conditional write; nothing is read and then written on trust.
//! - Only a [`accounts::passwords::PasswordVerified`] or a [`second_factor::SecondFactorVerified`] opens a session, and
//!   both are committed in the transaction that opens it.
//! - A failed guess is counted before anybody learns that it failed.
//! - Time, randomness and the environment come in through [`clock`], [`random`] and [`config`] only.
//! - Without an answer of the store nobody is authenticated, and nobody passes [`guard`].
#![warn(missing_docs)]

pub mod app;

pub mod accounts;
pub mod guard;
pub mod rate_limit;
pub mod second_factor;
pub mod sessions;

pub mod http;
pub mod https;
pub mod keyset;
pub mod pages;
pub mod store;

pub mod clock;
pub mod config;
pub mod events;
pub mod lambda;
pub mod logging;
pub mod random;
mod turns;
