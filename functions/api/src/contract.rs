//! What every endpoint answers alike, added to the document once instead of at each endpoint.

use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;

/// The document as it is served: OpenAPI 3.1, with the answers, headers and ways of authenticating that all share.
pub(crate) fn complete(document: &OpenApi) -> Value {
    let mut contract = serde_json::to_value(document).unwrap_or_default();
    set(&mut contract, &["info"], info());
    set(&mut contract, &["servers"], json!([{ "url": "/" }]));
    set(&mut contract, &["components", "securitySchemes"], security_schemes());
    set(&mut contract, &["components", "headers"], headers());
    for (method, operation) in operations_mut(&mut contract) {
        leave_out_instead_of_null(operation);
        add_shared_answers(&method, operation);
    }
    contract
}

fn info() -> Value {
    json!({
        "title": "Hallpass",
        "version": env!("CARGO_PKG_VERSION"),
        "summary": "Login, sessions, two-step verification and rate limits for REST APIs",
        "description": "JSON in and out; forms where a page posts. Errors are RFC 9457 problem documents. \
            RateLimit fields follow draft-ietf-httpapi-ratelimit-headers-11.",
        "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
    })
}

fn security_schemes() -> Value {
    json!({
        "session_cookie": { "type": "apiKey", "in": "cookie", "name": "__Host-session" },
        "bearer": { "type": "http", "scheme": "bearer", "description": "The token of a login with `delivery: token`. Not together with the cookie." },
    })
}

fn headers() -> Value {
    let text = |description: &str| json!({ "description": description, "schema": { "type": "string" } });
    json!({
        "X-Request-Id": text("Names this request in the log"),
        "RateLimit-Policy": text("Every quota and window of this route"),
        "RateLimit": text("What is left of the quota that is nearest to its end"),
        "Retry-After": { "description": "Whole seconds after which a retry is worth it", "schema": { "type": "integer", "minimum": 1 } },
    })
}

/// Answers that don't depend on the endpoint: which statuses, and what they say.
const ALWAYS: [(&str, &str); 3] = [
    ("400", "`malformed-request`, or `ambiguous-credentials` for cookie and bearer token together"),
    ("429", "`rate-limited`; a retry after `Retry-After` seconds is admitted"),
    ("503", "`unavailable`: busy or cut off from the store; never a pass"),
];
const ON_CHANGES: [(&str, &str); 4] = [
    ("403", "`cross-origin`: a browser says that another site caused this"),
    ("413", "`body-too-large`: over 64 KiB"),
    ("415", "`unsupported-media-type`"),
    ("422", "`invalid-input` or `weak-password`; `errors` names the fields"),
];

fn add_shared_answers(method: &str, operation: &mut Value) {
    let changes_something = method != "get";
    let takes_forms = operation.pointer("/requestBody/content/application~1x-www-form-urlencoded").is_some();
    let Some(answers) = operation.get_mut("responses").and_then(Value::as_object_mut) else {
        return;
    };
    for (status, description) in ALWAYS.iter().chain(ON_CHANGES.iter().filter(|_| changes_something)) {
        answers.entry(*status).or_insert_with(|| json!({ "description": description, "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } } }));
    }
    for (status, answer) in answers {
        let names: &[&str] = match status.as_str() {
            "429" | "503" => &["X-Request-Id", "RateLimit-Policy", "RateLimit", "Retry-After"],
            _ => &["X-Request-Id", "RateLimit-Policy", "RateLimit"],
        };
        for name in names {
            set(answer, &["headers", name], json!({ "$ref": format!("#/components/headers/{name}") }));
        }
        if takes_forms && answer.pointer("/content/application~1problem+json").is_some() {
            set(
                answer,
                &["content", "text/html"],
                json!({ "schema": { "type": "string", "description": "The same as a page, for a form" } }),
            );
        }
    }
}

/// An optional parameter or body is left out. `null`, which the derived schemas offer as well, is read as nothing of the
/// kind: the header would say `null`, and the body isn't an object.
fn leave_out_instead_of_null(operation: &mut Value) {
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten();
    for schema in parameters.filter_map(|parameter| parameter.get_mut("schema")) {
        forbid_null(schema);
    }
    let bodies = operation.pointer_mut("/requestBody/content").and_then(Value::as_object_mut).into_iter().flatten();
    for schema in bodies.filter_map(|(_, body)| body.get_mut("schema")) {
        forbid_null(schema);
    }
}

/// Makes `X` of "`X` or null".
fn forbid_null(schema: &mut Value) {
    let alternatives = schema.get("oneOf").and_then(Value::as_array);
    if let Some([only, null]) = alternatives.map(Vec::as_slice)
        && *null == json!({ "type": "null" })
    {
        *schema = only.clone();
    } else if let Some([only, Value::String(null)]) = schema.get("type").and_then(Value::as_array).map(Vec::as_slice)
        && null == "null"
    {
        let only = only.clone();
        set(schema, &["type"], only);
    }
}

fn operations_mut(contract: &mut Value) -> impl Iterator<Item = (String, &mut Value)> {
    let paths = contract.get_mut("paths").and_then(Value::as_object_mut).into_iter().flatten();
    paths.flat_map(|(_, item)| {
        item.as_object_mut().into_iter().flatten().map(|(method, operation)| (method.clone(), operation))
    })
}

/// Puts `value` where `path` leads, through objects that are made on the way.
fn set(target: &mut Value, path: &[&str], value: Value) {
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    match (path, target.as_object_mut()) {
        ([name], Some(object)) => {
            object.insert((*name).to_owned(), value);
        }
        ([name, rest @ ..], Some(object)) => set(object.entry(*name).or_insert(Value::Null), rest, value),
        ([], _) | (_, None) => {}
    }
}
