//! What is in the log and the files, and what must not be.

use std::{fs, path::Path};

use hallpass_tests::{
    Authenticator, Browser, PASSWORD,
    needles::{forms, from_base64},
    process::Server,
    world::fresh_name,
};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::{BINARY, folder, now, wire::talk};

/// Which is there to hold them.
const KEYS_FILE: &str = "keys";

/// What was said to a server, or by it, and must not be seen.
#[derive(Default)]
struct Said {
    /// In no line of the log and no file.
    secrets: Vec<Vec<u8>>,
    /// In no line of the log; files of the store have names and addresses.
    inputs: Vec<String>,
    /// Six digits each.
    codes: Vec<String>,
}

impl Said {
    fn secret(&mut self, secret: &str) {
        self.secrets.push(secret.into());
    }

    fn cookies(&mut self, browser: &Browser) {
        self.secrets.extend(browser.cookies.values().map(|value| value.clone().into_bytes()));
    }

    /// A secret out of an answer.
    fn field<'a>(&mut self, field: &'a Value) -> &'a str {
        let secret = field.as_str().unwrap();
        self.secret(secret);
        secret
    }

    fn recovery_codes(&mut self, answer: &Value) -> Vec<String> {
        let codes = answer["recovery_codes"].as_array().unwrap();
        codes.iter().map(|code| self.field(code).to_owned()).collect()
    }

    fn bearer(&mut self, server: &Server, token: &Value) -> Browser {
        server.browser().header("authorization", &format!("Bearer {}", self.field(token)))
    }

    fn code(&mut self, code: String) -> String {
        self.codes.push(code.clone());
        code
    }

    /// The keys that seal secrets and pepper passwords, as they stand in their file and as they are used.
    fn keys_of(&mut self, folder: &Path) {
        let file = fs::read_to_string(folder.join(KEYS_FILE)).unwrap();
        let keys = file.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        for key in keys {
            self.secret(key);
            self.secrets.push(from_base64(key));
        }
        assert!(self.secrets.len() >= 2, "a key was found");
    }

    #[track_caller]
    fn assert_unsaid_in(&self, line: &str) {
        let needles = self.secrets.iter().map(Vec::as_slice).chain(self.inputs.iter().map(String::as_bytes));
        for form in needles.flat_map(forms) {
            assert!(!line.contains(&form), "{form} in {line}");
        }
        assert!(!line.contains("canary"), "{line}");
        let words = words(line);
        for form in self.codes.iter().flat_map(|code| forms(code.as_bytes())) {
            assert!(!words.contains(&form), "{form} in {line}");
        }
    }

    fn assert_no_secret_in(&self, file: &Path) {
        let bytes = fs::read(file).unwrap();
        let has = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
        for secret in &self.secrets {
            let forms = forms(secret).into_iter().map(String::into_bytes);
            for form in forms.chain([secret.clone()]) {
                assert!(!has(&form), "{} in {}", String::from_utf8_lossy(&form), file.display());
            }
        }
    }
}

/// What a line says besides times and ids, any six digits of which may be those of a code.
fn words(line: &str) -> String {
    let mut line: Value = serde_json::from_str(line).unwrap();
    let fields = line.as_object_mut().unwrap();
    fields.retain(|name, _| !["timestamp", "duration_micros", "request_id", "user"].contains(&name.as_str()));
    line.to_string()
}

/// Says something secret, or of its own, in every field and every place that input reaches.
async fn a_journey_with_a_canary_in_every_place(server: &Server) -> Said {
    let mut said = Said::default();
    let mut browser = server.browser().header("user-agent", "canary-agent").header("x-canary", "canary-header");
    let (name, address) = (fresh_name(), format!("{}@example.org", fresh_name()));
    let body = json!({ "username": name, "password": PASSWORD, "email": address });
    browser.post("/register", body).await.expect(201);
    said.secret(PASSWORD);
    said.cookies(&browser);
    said.inputs.extend([name.clone(), address]);
    browser.log_in_with(&name, "canary-wrong").await.expect(401);
    browser.get("/canary-path?canary-path=1").await.expect(404);
    browser.post("/login", json!({ "canary-field": 1 })).await.expect(422);
    browser.post("/totp", json!({ "password": "canary-wrong" })).await.expect(401);
    server.browser().log_in(&name).await;
    two_steps_with_a_canary_in_every_place(server, browser, &name, &mut said).await;
    said
}

async fn two_steps_with_a_canary_in_every_place(server: &Server, mut browser: Browser, name: &str, said: &mut Said) {
    let started = browser.post("/totp", json!({ "password": PASSWORD })).await.value();
    let authenticator = Authenticator::scan(said.field(&started["secret"]));
    let code = said.code(authenticator.wrong_code(now()));
    browser.post("/totp/confirm", json!({ "code": code })).await.expect(401);
    let code = said.code(authenticator.code(now()));
    let confirmed = browser.post("/totp/confirm", json!({ "code": code })).await.expect(200).value();
    let codes = said.recovery_codes(&confirmed);
    said.cookies(&browser);
    let mut other = server.browser();
    other.log_in(name).await;
    said.cookies(&other);
    other.verify(&said.code(authenticator.wrong_code(now()))).await.expect(401);
    other.post("/login/verify", json!({ "recovery_code": "canary-code" })).await.expect(401);
    // The step of the one that confirmed is burnt.
    let code = said.code(authenticator.code(now() + SignedDuration::from_secs(30)));
    other.verify(&code).await.expect(200);
    said.cookies(&other);
    for proof in [("recovery_code", "canary-code"), ("code", &code)] {
        let body = json!({ "password": PASSWORD, proof.0: proof.1 });
        browser.post("/totp/disable", body).await.expect(401);
    }
    let body = json!({ "password": PASSWORD, "recovery_code": codes[0] });
    browser.post("/totp/disable", body).await.expect(204);
    said.cookies(&browser);
    a_bearer_with_a_canary_in_every_place(server, name, said).await;
}

/// The same with tokens, which are said in bodies and headers instead of cookies.
async fn a_bearer_with_a_canary_in_every_place(server: &Server, name: &str, said: &mut Said) {
    const NEW_PASSWORD: &str = "a password that is canary and new";
    let log_in = json!({ "username": name, "password": PASSWORD, "delivery": "token" });
    let logged_in = server.browser().post("/login", log_in.clone()).await.expect(200).value();
    let mut bearer = said.bearer(server, &logged_in["token"]);
    let started = bearer.post("/totp", json!({ "password": PASSWORD })).await.expect(200).value();
    let authenticator = Authenticator::scan(said.field(&started["secret"]));
    let code = said.code(authenticator.code(now()));
    let confirmed = bearer.post("/totp/confirm", json!({ "code": code })).await.expect(200);
    said.secret(confirmed.header("x-session-token"));
    let codes = said.recovery_codes(&confirmed.value());
    let due = server.browser().post("/login", log_in).await.expect(200).value();
    let login_token = said.field(&due["login_token"]);
    let body = json!({ "login_token": login_token, "recovery_code": codes[0], "delivery": "token" });
    let logged_in = server.browser().post("/login/verify", body).await.expect(200).value();
    let mut bearer = said.bearer(server, &logged_in["token"]);
    // The step of the one that confirmed is burnt.
    let code = said.code(authenticator.code(now() + SignedDuration::from_secs(30)));
    let replaced = bearer.post("/recovery-codes", json!({ "password": PASSWORD, "code": code })).await.expect(200);
    said.recovery_codes(&replaced.value());
    let body = json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD });
    said.secret(NEW_PASSWORD);
    let changed = bearer.post("/password", body).await.expect(204);
    said.secret(changed.header("x-session-token"));
}

/// Every file and every log line is searched, in which everything is logged that can be.
#[tokio::test]
async fn no_secret_and_no_input_is_in_the_log_or_the_files() {
    let folder = folder();
    let server = Server::start(BINARY, folder.path(), &[("HALLPASS_LOG", "trace")]).await;
    let mut said = a_journey_with_a_canary_in_every_place(&server).await;
    let log = server.kill().await;
    said.keys_of(folder.path());

    for line in &log {
        let parsed: Value = serde_json::from_str(line).expect("one JSON object a line");
        assert!(parsed["timestamp"].as_str().unwrap().ends_with('Z') && parsed["level"].is_string());
        said.assert_unsaid_in(line);
    }
    // An event's own field must not hide how grave the line is.
    assert!(log.iter().all(|line| line.matches("\"level\":").count() == 1), "{log:?}");
    assert_all_is_logged(&log);
    let files = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path());
    for file in files.filter(|file| !file.ends_with(KEYS_FILE)) {
        said.assert_no_secret_in(&file);
    }
}

/// What was done is told, or nothing said of it would show anything.
fn assert_all_is_logged(log: &[String]) {
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
    // With which factor, and how sure that makes.
    for (by, assurance) in [("password", "aal1"), ("totp", "aal2"), ("recovery_code", "aal2")] {
        assert!(
            events.iter().any(|logged| logged["event"] == "login.completed"
                && logged["by"] == by
                && logged["assurance"] == assurance),
            "{by}"
        );
    }
    // A wrong password; a wrong code, what is none, and one that was used.
    for (why, times) in [("password", 1), ("code", 3)] {
        let failed = |logged: &&Value| logged["event"] == "session.confirmation_failed" && logged["why"] == why;
        assert_eq!(events.iter().filter(failed).count(), times, "{why}");
    }
}

/// What a terminal obeys, what ends a line, and what some readers take for the end of one.
const CONTROL: [&str; 7] = [
    "canary\u{1b}[31m",
    "canary\r\n{\"event\":\"canary\"}",
    "canary\n{\"event\":\"canary\"}",
    "canary\0",
    "canary\u{7f}\u{8}",
    "canary\u{85}\u{9b}31m",
    "canary\u{2028}\u{2029}",
];

/// In each field of bodies that are taken otherwise.
async fn sends_in_bodies(server: &Server, text: &str) {
    let (name, mut browser) = (fresh_name(), server.browser());
    browser.register(&name).await;
    for (path, body) in [
        ("/register", json!({ "username": fresh_name(), "password": PASSWORD, "email": "a@b.example", "next": "/" })),
        ("/login", json!({ "username": name, "password": PASSWORD, "delivery": "cookie", "next": "/" })),
        ("/login/verify", json!({ "code": "123456", "login_token": "AAAA", "delivery": "cookie" })),
        ("/login/verify", json!({ "recovery_code": "aaaa", "login_token": "AAAA" })),
        ("/password", json!({ "current_password": "not the password", "new_password": PASSWORD })),
        ("/totp", json!({ "password": "not the password" })),
        ("/totp/confirm", json!({ "code": "123456" })),
        ("/recovery-codes", json!({ "password": "not the password", "code": "123456" })),
        ("/language", json!({ "language": "en", "next": "/" })),
    ] {
        let fields = body.as_object().unwrap().keys().map(String::as_str);
        for field in fields.chain([text]) {
            let mut body = body.clone();
            body[field] = json!(text);
            browser.clone().post(path, body.clone()).await;
            let pairs = body.as_object().unwrap().iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap()));
            browser.clone().form(path, &pairs.collect::<Vec<_>>()).await;
        }
    }
}

/// In each as HTTP allows it, and raw, for which a server might not refuse the request.
async fn sends_in_headers_and_paths(server: &Server, text: &str) {
    let escaped: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
    for spelling in [text, &escaped] {
        for line in [
            format!("GET /{spelling}?{spelling}={spelling} HTTP/1.1\r\nHost: x"),
            format!("GET /sessions/{spelling} HTTP/1.1\r\nHost: {spelling}"),
            format!("{spelling} /session HTTP/1.1\r\nHost: x"),
            format!("GET /session HTTP/1.1\r\nHost: x\r\nUser-Agent: {spelling}\r\nReferer: {spelling}"),
            format!("GET /session HTTP/1.1\r\nHost: x\r\nCookie: __Host-session={spelling}"),
            format!("GET /session HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {spelling}"),
            format!("GET /session HTTP/1.1\r\nHost: x\r\nX-Request-Id: {spelling}\r\nX-Forwarded-For: {spelling}"),
            format!("POST /login HTTP/1.1\r\nHost: x\r\nOrigin: {spelling}\r\nContent-Type: {spelling}"),
            format!("GET /api/authz/forward-auth?limit={spelling} HTTP/1.1\r\nHost: x\r\nX-Forwarded-Uri: {spelling}"),
        ] {
            talk(server.authority(), format!("{line}\r\nConnection: close\r\n\r\n").as_bytes()).await;
        }
    }
}

#[tokio::test]
async fn a_control_character_that_anybody_sends_is_in_no_line_of_the_log() {
    let folder = folder();
    let vars = [
        ("HALLPASS_LOG", "trace"),
        ("HALLPASS_TRUSTED_PROXIES", "127.0.0.0/8"),
        ("HALLPASS_LIMITS__LOGIN", "100000 per minute"),
        ("HALLPASS_LIMITS__VERIFY", "100000 per minute"),
        ("HALLPASS_LIMITS__REGISTER", "100000 per minute"),
        ("HALLPASS_LIMITS__PASSWORD", "100000 per minute"),
        ("HALLPASS_LIMITS__DEFAULT", "off"),
    ];
    let server = Server::start(BINARY, folder.path(), &vars).await;
    for text in CONTROL {
        sends_in_bodies(&server, text).await;
        sends_in_headers_and_paths(&server, text).await;
    }
    let log = server.kill().await;
    let ends_a_line = |character: char| character.is_control() || matches!(character, '\u{2028}' | '\u{2029}');
    for line in &log {
        let parsed: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line:?}"));
        assert!(parsed["timestamp"].is_string() && !line.contains(ends_a_line), "{line:?}");
        assert!(!line.contains("canary"), "{line:?}");
    }
    assert!(log.iter().filter(|line| line.contains("\"invalid-input\"")).count() > CONTROL.len(), "it was looked at");
}
