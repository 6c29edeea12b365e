//! Accounts: names, passwords, and how guessing at them is counted.

pub mod email;
pub mod guessing;
pub mod hasher;
pub mod known_device;
pub mod password;
pub mod passwords;
pub mod queue;
pub mod registration;
pub mod user;
pub mod username;
