//! The OpenAPI document: what the code says, and the file that is served.

use serde_json::Value;

/// The file.
pub const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../functions/docs/openapi.json");

/// What the code says.
#[must_use]
pub fn of_the_code() -> Value {
    hallpass_api::contract()
}

/// What belongs into the file.
#[must_use]
pub fn text() -> String {
    format!("{:#}\n", of_the_code())
}

/// Every operation of the document, such as `POST /sessions/{id}/revoke`.
///
/// # Panics
/// If it has no paths.
#[must_use]
pub fn operations(document: &Value) -> Vec<String> {
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        operations.extend(item.as_object().unwrap().keys().map(|method| format!("{} {path}", method.to_uppercase())));
    }
    operations
}

/// Every operation that takes JSON, and the names of its fields.
///
/// # Panics
/// If a body is none that the document names, or its fields are not said.
#[must_use]
pub fn fields(document: &Value) -> Vec<(String, Vec<String>)> {
    let mut fields = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let Some(body) = operation.pointer("/requestBody/content/application~1json/schema") else { continue };
            let schema = document.pointer(body["$ref"].as_str().unwrap().trim_start_matches('#')).unwrap();
            let names = match schema["properties"].as_object() {
                Some(properties) => properties.keys().cloned().collect(),
                None if body["$ref"] == "#/components/schemas/Nothing" => Vec::new(),
                None => panic!("{method} {path}: {schema}"),
            };
            fields.push((format!("{} {path}", method.to_uppercase()), names));
        }
    }
    fields
}
