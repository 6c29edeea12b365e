//! Sessions: tokens, records, and the one keeper that opens (`opening`), renews and ends (`ending`) them.

pub mod cache;
mod ending;
pub mod keeper;
pub mod opening;
pub mod session;
pub mod token;
