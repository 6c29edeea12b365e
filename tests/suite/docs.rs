//! The OpenAPI document describes exactly what is served.

use std::collections::BTreeSet;

use axum::http::Method;
use hallpass_tests::{World, contract};
use serde_json::Value;

use crate::sources;

async fn served(world: &World) -> Value {
    world.browser().get("/openapi.json").await.expect(200).value()
}

#[test]
fn the_document_is_what_the_code_says() {
    let file = std::fs::read_to_string(contract::FILE).unwrap();
    assert!(file == contract::text(), "out of date: cargo run --bin openapi");
}

#[tokio::test]
async fn the_document_is_openapi_3_1_and_names_every_endpoint_of_the_contract() {
    let world = World::new().await;
    let contract = served(&world).await;
    assert_eq!(contract["openapi"], "3.1.0");
    let mut operations = contract::operations(&contract);
    operations.sort();
    assert_eq!(
        operations,
        [
            "DELETE /sessions",
            "DELETE /sessions/{id}",
            "DELETE /totp",
            "GET /api/authz/auth-request",
            "GET /api/authz/ext-authz",
            "GET /api/authz/forward-auth",
            "GET /api/resource",
            "GET /docs",
            "GET /openapi.json",
            "GET /session",
            "GET /sessions",
            "POST /login",
            "POST /login/verify",
            "POST /logout",
            "POST /password",
            "POST /recovery-codes",
            "POST /register",
            "POST /sessions/revoke-others",
            "POST /sessions/{id}/revoke",
            "POST /totp",
            "POST /totp/confirm",
            "POST /totp/disable",
        ]
    );
}

/// None is a hint, a role or a secret that a client could choose (ASVS 5.0 6.4.2, 8.1.2).
#[test]
fn every_form_takes_these_fields_and_no_other() {
    let contract = contract::of_the_code();
    let schemas = contract["components"]["schemas"].as_object().unwrap().iter();
    let forms = schemas.filter(|(name, _)| name.ends_with("Form")).map(|(name, schema)| {
        assert_eq!(schema["additionalProperties"], false, "{name}");
        let mut fields: Vec<&str> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        fields.sort_unstable();
        format!("{name} {}", fields.join(" "))
    });
    let mut forms: Vec<String> = forms.collect();
    forms.sort();
    assert_eq!(
        forms,
        [
            "ConfirmForm code",
            "DisableForm code password recovery_code",
            "LoginForm delivery next password username",
            "PasswordForm current_password new_password",
            "RegisterForm delivery email next password username",
            "ReplaceForm code password",
            "StartForm password",
            "VerifyForm code delivery login_token recovery_code",
        ]
    );
}

#[tokio::test]
async fn every_operation_is_served_and_every_reference_leads_somewhere() {
    let world = World::new().await;
    let contract = served(&world).await;
    for operation in contract::operations(&contract) {
        let (method, path) = operation.split_once(' ').unwrap();
        let method: Method = method.parse().unwrap();
        let status = world.browser().ask(method, &path.replace("{id}", "x")).await.status.as_u16();
        assert!(!matches!(status, 404 | 405), "{operation}: {status}");
    }
    let text = contract.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(contract.pointer(reference).is_some(), "{reference}");
    }
}

#[tokio::test]
async fn every_operation_tells_what_it_may_answer() {
    let world = World::new().await;
    for (path, item) in served(&world).await["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(operation["summary"].is_string() && operation["operationId"].is_string(), "{method} {path}");
            for status in ["400", "429", "503"] {
                assert!(operation["responses"][status].is_object(), "{method} {path} {status}");
            }
        }
    }
}

#[tokio::test]
async fn the_page_lists_the_same_operations() {
    let world = World::new().await;
    let page = world.browser().get("/docs").await.expect(200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    for path in served(&world).await["paths"].as_object().unwrap().keys() {
        assert!(page.text().contains(path.as_str()), "{path}");
    }
}

/// Each attack that SECURITY.md lists, as its line, and what it names: tests, and files that test.
fn proofs(table: &str) -> impl Iterator<Item = (&str, impl Iterator<Item = &str>)> {
    let rows = table.lines().filter(|line| line.starts_with("| 5.") || line.starts_with("| \u{2013} "));
    rows.map(|row| (row, row.split('|').nth(4).unwrap().split('`').skip(1).step_by(2)))
}

/// Each attack, and the tests alone.
fn attacks(table: &str) -> impl Iterator<Item = (&str, Vec<&str>)> {
    proofs(table).map(|(row, names)| (row, names.filter(|name| !name.contains('/')).collect()))
}

/// Numbers of the specification's table of attacks, such as 5.10 or `5.10 to 5.13`.
fn numbers(text: &str) -> Vec<u8> {
    let number = |rest: &str| rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap();
    let bounds: Vec<u8> = text.split("5.").skip(1).map(number).collect();
    match bounds[..] {
        [first, last] => (first..=last).collect(),
        _ => bounds,
    }
}

#[test]
fn each_of_the_42_attacks_is_answered_or_told_not_to_be_here_yet() {
    let security = sources::text("SECURITY.md");
    let not_yet = security.lines().find_map(|line| line.strip_prefix("Not here yet")).unwrap();
    let answered = attacks(&security).flat_map(|(row, _)| numbers(row.split('|').nth(1).unwrap()));
    let mut told: Vec<u8> = answered.chain(not_yet.split(',').flat_map(numbers)).collect();
    told.sort_unstable();
    assert_eq!(told, (1..=42).collect::<Vec<u8>>());
}

#[test]
fn every_test_and_file_that_security_md_names_exists() {
    let (table, tests) = (sources::text("SECURITY.md"), sources::tests());
    let mut named = 0;
    for (row, names) in attacks(&table) {
        for name in names {
            assert!(tests.contains(name), "{name} of {row}");
            named += 1;
        }
    }
    assert!(named > 60, "{named}");
    let files = proofs(&table).flat_map(|(_, names)| names.filter(|name| name.contains('/')));
    assert!(files.map(sources::text).all(|text| !text.is_empty()));
}

/// Each break of a defence, and the tests that turn red with it.
fn breaks() -> Vec<(Value, Vec<String>)> {
    let breaks: Vec<Value> = serde_json::from_str(&sources::text("tests/guards/breaks.json")).unwrap();
    let expected = |one: &Value| serde_json::from_value(one["expect"].clone()).unwrap();
    breaks.into_iter().map(|one| (one.clone(), expected(&one))).collect()
}

/// The tests that some break turns red.
pub(crate) fn red() -> BTreeSet<String> {
    breaks().into_iter().flat_map(|(_, expected)| expected).collect()
}

/// So that a break of a defence can be seen.
#[test]
fn every_test_that_a_break_expects_exists() {
    let (breaks, tests) = (breaks(), sources::tests());
    assert!(!breaks.is_empty());
    for (one, expected) in breaks {
        assert!(!expected.is_empty(), "{one}");
        for test in expected {
            assert!(tests.contains(&test), "{test} of {one}");
        }
    }
}

#[test]
fn the_defence_against_every_attack_is_broken_once() {
    let (table, red) = (sources::text("SECURITY.md"), red());
    for (row, names) in attacks(&table) {
        assert!(!names.is_empty(), "{row}");
        for name in names {
            assert!(red.contains(name), "no break turns {name} red, of {row}");
        }
    }
}

/// The inventory of log lines is the one of the sources (ASVS 5.0 16.1.1).
#[test]
fn the_inventory_of_log_lines_names_every_event_and_no_other() {
    let inventory = sources::text("docs/logging.md");
    let (_, lists) = inventory.split_once("## Security events").unwrap();
    let cells = lists.lines().filter(|line| line.starts_with("| `")).map(|line| line.split('|').nth(1).unwrap());
    let told: BTreeSet<&str> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    let sources = sources::rust(&["functions", "container/src", "container/embedded"]);
    let events = sources.split("event = \"").skip(1).map(|rest| rest.split('"').next().unwrap());
    assert_eq!(told, events.collect());
}
