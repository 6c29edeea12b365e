//! The contract as a page that people can read without any script.

use askama::Template;
use serde_json::Value;

#[derive(Template)]
#[template(path = "docs.html")]
struct Page<'a> {
    title: &'a str,
    version: &'a str,
    description: &'a str,
    operations: Vec<Operation<'a>>,
}

struct Operation<'a> {
    method: String,
    path: &'a str,
    summary: &'a str,
    description: &'a str,
    fields: Vec<Field<'a>>,
    answers: Vec<Answer<'a>>,
}

struct Field<'a> {
    name: &'a str,
    is_required: bool,
    description: &'a str,
}

struct Answer<'a> {
    status: &'a str,
    description: &'a str,
}

/// `None` if the template can't be filled, which no document causes.
pub(crate) fn render(contract: &Value) -> Option<String> {
    let text = |pointer: &str| contract.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let operations =
        operations(contract).map(|(path, method, operation)| operation_of(contract, path, method, operation)).collect();
    Page {
        title: text("/info/title"),
        version: text("/info/version"),
        description: text("/info/description"),
        operations,
    }
    .render()
    .ok()
}

fn operation_of<'a>(contract: &'a Value, path: &'a str, method: &str, operation: &'a Value) -> Operation<'a> {
    let text = |name: &str| operation.get(name).and_then(Value::as_str).unwrap_or_default();
    let answers = operation.get("responses").and_then(Value::as_object).into_iter().flatten();
    Operation {
        method: method.to_ascii_uppercase(),
        path,
        summary: text("summary"),
        description: text("description"),
        fields: fields_of(contract, operation),
        answers: answers
            .map(|(status, answer)| Answer {
                status,
                description: answer.get("description").and_then(Value::as_str).unwrap_or_default(),
            })
            .collect(),
    }
}

fn fields_of<'a>(contract: &'a Value, operation: &'a Value) -> Vec<Field<'a>> {
    let schema = operation.pointer("/requestBody/content/application~1json/schema/$ref").and_then(Value::as_str);
    let schema = schema.and_then(|reference| contract.pointer(reference.trim_start_matches('#')));
    let required = |name: &str| {
        schema
            .and_then(|schema| schema.get("required")?.as_array())
            .is_some_and(|required| required.iter().any(|field| field == name))
    };
    let fields = schema.and_then(|schema| schema.get("properties")?.as_object()).into_iter().flatten();
    fields
        .map(|(name, field)| Field {
            name,
            is_required: required(name),
            description: field.get("description").and_then(Value::as_str).unwrap_or_default(),
        })
        .collect()
}

/// Every operation with its method, in the document's order.
fn operations(contract: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let paths = contract.get("paths").and_then(Value::as_object).into_iter().flatten();
    paths.flat_map(|(path, item)| {
        item.as_object()
            .into_iter()
            .flatten()
            .map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    })
}
