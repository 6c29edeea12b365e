//! Sessions: tokens, records, and the one keeper that opens, renews and ends them.

pub mod cache;
pub mod keeper;
pub mod session;
pub mod token;
