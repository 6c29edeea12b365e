//! What every endpoint does with HTTP alike: problems, bodies, cookies, origins, client addresses.

pub mod accept;
pub mod authenticated;
pub mod body;
pub mod client;
pub mod cookies;
pub mod offered;
pub mod origin;
pub mod passwords;
pub mod problem;
pub mod reason;
pub mod reply;
pub mod shell;
pub mod visitor;
