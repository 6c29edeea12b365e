//! The OpenAPI document: what the code says, and the file that is served.

/// The file.
pub const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../functions/docs/openapi.json");

/// What belongs into it.
#[must_use]
pub fn text() -> String {
    format!("{:#}\n", hallpass_api::contract())
}
