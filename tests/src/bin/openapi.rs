//! Writes down the contract that the code serves. `cargo run --bin openapi`
#![allow(clippy::unwrap_used, reason = "a command for people")]

use hallpass_tests::contract;

fn main() {
    std::fs::write(contract::FILE, contract::text()).unwrap();
}
