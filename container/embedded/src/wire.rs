//! How the DynamoDB API is spoken over HTTP.

/// The header that names the operation, such as `DynamoDB_20120810.GetItem`.
pub const TARGET: &str = "x-amz-target";
/// Of requests and answers.
pub const MEDIA_TYPE: &str = "application/x-amz-json-1.0";

/// `GetItem` of `DynamoDB_20120810.GetItem`; empty if none is named.
#[must_use]
pub fn operation(target: Option<&str>) -> &str {
    target.and_then(|target| target.rsplit('.').next()).unwrap_or_default()
}
