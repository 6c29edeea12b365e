//! Rate limits: exact sliding windows, one conditional write a request at most.

pub mod admission;
pub mod headers;
pub mod limiter;
pub mod log;
mod memory;
pub mod named;
pub mod policy;
pub(crate) mod quota;
pub mod tally;
