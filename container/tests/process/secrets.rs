//! What is in the log and the files, and what must not be.

use std::fs;

use hallpass_tests::{Authenticator, PASSWORD, process::Server, world::fresh_name};
use serde_json::{Value, json};

use crate::{BINARY, folder, now};

/// A canary in every secret field and every place that input reaches; then every file and every log line is searched.
#[tokio::test]
async fn no_secret_and_no_input_is_in_the_log_or_the_files() {
    let folder = folder();
    let server = Server::start(BINARY, folder.path(), &[("HALLPASS_LOG", "trace")]).await;
    let mut browser = server.browser().header("user-agent", "canary-agent").header("x-canary", "canary-header");
    let name = fresh_name();
    browser.register(&name).await;
    let mut secrets: Vec<String> = vec![
        PASSWORD.to_owned(),
        "canary-wrong".to_owned(),
        "canary-header".to_owned(),
        "canary-path".to_owned(),
        "canary-field".to_owned(),
    ];
    secrets.extend(browser.cookies.values().cloned());
    browser.log_in_with(&name, "canary-wrong").await.expect(401);
    browser.get("/canary-path?canary-path=1").await.expect(404);
    browser.post("/login", json!({ "canary-field": 1 })).await.expect(422);
    server.browser().log_in(&name).await;
    let started = browser.post("/totp", json!({ "password": PASSWORD })).await.value();
    let authenticator = Authenticator::scan(started["secret"].as_str().unwrap());
    secrets.push(started["secret"].as_str().unwrap().to_owned());
    let confirmed =
        browser.post("/totp/confirm", json!({ "code": authenticator.code(now()) })).await.expect(200).value();
    secrets
        .extend(confirmed["recovery_codes"].as_array().unwrap().iter().map(|code| code.as_str().unwrap().to_owned()));
    let mut other = server.browser();
    other.log_in(&name).await;
    secrets.extend(other.cookies.values().cloned());
    other.post("/login/verify", json!({ "recovery_code": secrets.last().unwrap() })).await.expect(401);
    secrets.extend(browser.cookies.values().cloned());
    let log = server.kill().await;

    for line in &log {
        let parsed: Value = serde_json::from_str(line).expect("one JSON object a line");
        assert!(parsed["timestamp"].as_str().unwrap().ends_with('Z') && parsed["level"].is_string());
        for secret in &secrets {
            for form in [secret.clone(), secret.replace('-', ""), data_encoding_hex(secret)] {
                assert!(!line.contains(&form), "{secret} in {line}");
            }
        }
        assert!(!line.contains("canary"), "{line}");
    }
    // An event's own field must not hide how grave the line is.
    assert!(log.iter().all(|line| line.matches("\"level\":").count() == 1), "{log:?}");
    let events: Vec<Value> = log.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (event, outcome) in [
        ("account.registered", "success"),
        ("login.completed", "success"),
        ("login.failed", "failure"),
        ("login.pending", "success"),
        ("login.second_step_failed", "failure"),
        ("credential.changed", "success"),
    ] {
        assert!(events.iter().any(|logged| logged["event"] == event && logged["outcome"] == outcome), "{event}");
    }
    assert!(events.iter().any(|logged| logged["event"] == "request"));
    assert!(events.iter().any(|logged| logged["event"] == "login.completed"
        && logged["by"] == "password"
        && logged["assurance"] == "aal1"));
    for file in fs::read_dir(folder.path()).unwrap() {
        let path = file.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        for secret in &secrets {
            assert!(
                !bytes.windows(secret.len()).any(|window| window == secret.as_bytes()),
                "{secret} in {}",
                path.display()
            );
        }
    }
}

fn data_encoding_hex(text: &str) -> String {
    text.bytes().fold(String::new(), |mut hex, byte| {
        hex.push_str(&format!("{byte:02x}"));
        hex
    })
}
