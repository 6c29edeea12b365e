//! The binary as a user runs it: settings, data that survives, logs, stopping.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "these are tests")]

use std::{fs, io::Write, os::unix::fs::PermissionsExt, path::Path};

use hallpass_tests::{
    Authenticator, PASSWORD,
    process::{Server, run},
    world::fresh_name,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_hallpass");

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn now() -> Timestamp {
    use hallpass_core::clock::{Clock, SystemClock};
    SystemClock.now()
}

/// A start that must fail; the one line it says.
async fn refusal(folder: &Path, vars: &[(&str, &str)]) -> String {
    let output = run(BINARY, folder, vars, &[]).await;
    assert!(!output.status.success());
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(text.trim_end().lines().count(), 1, "{text}");
    text
}

#[tokio::test]
async fn a_first_start_makes_everything_and_only_the_owner_can_read_it() {
    let folder = folder();
    let data = folder.path().join("deeper/data");
    let server = Server::start(BINARY, &data, &[]).await;
    for path in ["/healthz", "/readyz"] {
        server.browser().get(path).await.expect(200);
    }
    assert_eq!(fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
    for file in fs::read_dir(&data).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", file.file_name());
    }
}

#[tokio::test]
async fn a_journey_goes_on_after_a_restart() {
    let folder = folder();
    let name = fresh_name();
    let server = Server::start(BINARY, folder.path(), &[]).await;
    let mut browser = server.browser();
    browser.register(&name).await;
    let (authenticator, codes) = browser.enable_totp(now()).await;
    let cookies = browser.cookies.clone();
    server.kill().await;

    let server = Server::start(BINARY, folder.path(), &[]).await;
    let mut browser = server.browser();
    browser.cookies = cookies;
    assert!(browser.is_logged_in().await);
    let mut other = server.browser();
    other.log_in(&name).await;
    other
        .verify(&authenticator.code(now() - jiff::SignedDuration::from_secs(30)))
        .await
        .expect_problem(401, "invalid-code");
    other.post("/login/verify", json!({ "recovery_code": codes[0] })).await.expect(200);
}

#[tokio::test]
async fn a_limit_is_exact_across_a_kill() {
    let folder = folder();
    let server = Server::start(BINARY, folder.path(), &[]).await;
    for _ in 0..6 {
        server.browser().get("/api/resource").await.expect(200);
    }
    server.kill().await;
    let server = Server::start(BINARY, folder.path(), &[]).await;
    let mut admitted = 0;
    for _ in 0..10 {
        admitted += usize::from(server.browser().get("/api/resource").await.status == 200);
    }
    assert_eq!(admitted, 4);
}

/// Eight clients register and log out while the process is killed; whatever was acknowledged must be there.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn kill_9_under_load_loses_no_acknowledged_write() {
    let folder = folder();
    let vars = [
        ("HALLPASS_LIMITS__REGISTER", "1000000 per hour"),
        ("HALLPASS_LIMITS__LOGIN", "1000000 per hour"),
        ("HALLPASS_LIMITS__DEFAULT", "off"),
        ("HALLPASS_LIMITS__SESSION", "off"),
    ];
    let mut acknowledged: Vec<(String, bool)> = Vec::new();
    for _ in 0..4 {
        let server = Server::start(BINARY, folder.path(), &vars).await;
        let (report, mut reports) = tokio::sync::mpsc::unbounded_channel();
        let clients: Vec<_> = (0..8)
            .map(|_| {
                let (browser, report) = (server.browser(), report.clone());
                tokio::spawn(async move {
                    loop {
                        let mut browser = browser.private_window();
                        browser.register(&fresh_name()).await;
                        let token = browser.cookies["__Host-session"].clone();
                        report.send((token.clone(), true)).unwrap();
                        browser.post("/logout", json!({})).await.expect(204);
                        report.send((token, false)).unwrap();
                    }
                })
            })
            .collect();
        for _ in 0..60 {
            acknowledged.push(reports.recv().await.unwrap());
        }
        server.kill().await;
        for client in clients {
            assert!(client.await.is_err(), "a client whose server is gone stops");
        }
        drop(report);
        while let Some(more) = reports.recv().await {
            acknowledged.push(more);
        }
    }
    let server = Server::start(BINARY, folder.path(), &vars).await;
    let mut last_word = std::collections::BTreeMap::new();
    for (token, is_open) in acknowledged {
        last_word.insert(token, is_open);
    }
    let (mut open, mut closed) = (0, 0);
    for (token, is_open) in last_word {
        let mut browser = server.browser();
        browser.cookies.insert("__Host-session".to_owned(), token);
        let lives = browser.is_logged_in().await;
        // A logout that was under way when the process died may have happened.
        assert!(is_open || !lives, "a session that was logged out has come back");
        if is_open { open += usize::from(lives) } else { closed += 1 }
    }
    assert!(closed > 50, "{closed}");
    assert!(open <= 4 * 8);
}

#[tokio::test]
async fn registered_accounts_survive_every_kill() {
    let folder = folder();
    let mut names = Vec::new();
    for _ in 0..3 {
        let server = Server::start(BINARY, folder.path(), &[]).await;
        for _ in 0..3 {
            let name = fresh_name();
            server.browser().register(&name).await;
            names.push(name);
        }
        server.kill().await;
    }
    let server = Server::start(BINARY, folder.path(), &[]).await;
    for name in names {
        server.browser().log_in(&name).await;
    }
}

#[tokio::test]
async fn wrong_settings_stop_the_start_with_one_line() {
    let folder = folder();
    for (name, value) in [
        ("HALLPASS_SESSION__IDLE", "an hour"),
        ("HALLPASS_NO_SUCH_THING", "1"),
        ("HALLPASS_LIMITS__LOGIN", "off"),
        ("HALLPASS_CONFIG", "/does/not/exist.toml"),
        ("HALLPASS_KEYS_FILE", "/does/not/exist"),
        ("HALLPASS_LOG", "hallpass=loud"),
    ] {
        let line = refusal(folder.path(), &[(name, value)]).await;
        assert!(line.contains(name), "{line}");
    }
    assert!(!folder.path().join("accounts.db").exists());
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let folder = folder();
    let server = Server::start(BINARY, folder.path(), &[]).await;
    let line = refusal(&folder.path().join("other"), &[("HALLPASS_LISTEN", server.authority())]).await;
    assert!(line.contains("HALLPASS_LISTEN") && line.contains(server.authority()), "{line}");
}

#[tokio::test]
async fn a_second_process_on_one_folder_is_refused() {
    let folder = folder();
    let server = Server::start(BINARY, folder.path(), &[]).await;
    let line = refusal(folder.path(), &[]).await;
    assert!(line.contains("another process"), "{line}");
    server.browser().get("/readyz").await.expect(200);
}

#[tokio::test]
async fn a_damaged_file_is_refused_and_left_as_it_is() {
    for damage in ["header", "page"] {
        let folder = folder();
        let server = Server::start(BINARY, folder.path(), &[]).await;
        for _ in 0..5 {
            server.browser().register(&fresh_name()).await;
        }
        assert!(server.stop().await.0);
        let file = folder.path().join("accounts.db");
        let mut bytes = fs::read(&file).unwrap();
        let at = if damage == "header" { 0 } else { bytes.len() / 2 / 4096 * 4096 };
        bytes[at..at + 64].fill(0xa5);
        fs::write(&file, &bytes).unwrap();
        let line = refusal(folder.path(), &[]).await;
        assert!(line.contains("damaged") && line.contains("accounts.db"), "{line}");
        assert_eq!(fs::read(&file).unwrap(), bytes);
    }
}

#[tokio::test]
async fn data_without_its_keys_is_refused() {
    let folder = folder();
    assert!(Server::start(BINARY, folder.path(), &[]).await.stop().await.0);
    fs::rename(folder.path().join("keys"), folder.path().join("elsewhere")).unwrap();
    let line = refusal(folder.path(), &[]).await;
    assert!(line.contains("keys are missing"), "{line}");
    assert!(!folder.path().join("keys").exists());
    fs::write(folder.path().join("keys"), "nonsense").unwrap();
    assert!(refusal(folder.path(), &[]).await.contains("line 1"));
}

#[tokio::test]
async fn a_folder_that_is_a_file_is_refused() {
    let folder = folder();
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    assert!(refusal(&file, &[]).await.contains("HALLPASS_DATA_DIR"));
    assert_eq!(fs::read(&file).unwrap(), b"x");
}

#[tokio::test]
async fn settings_can_come_from_a_file_and_are_shown_with_config() {
    let folder = folder();
    let file = folder.path().join("hallpass.toml");
    fs::write(&file, "issuer = 'UniversityApp'\n[session]\nidle = '30m'\n").unwrap();
    let vars = [("HALLPASS_CONFIG", file.to_str().unwrap()), ("HALLPASS_LIMITS__LOGIN", "5 per minute")];
    let output = run(BINARY, folder.path(), &vars, &["config"]).await;
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    for expected in ["issuer = \"UniversityApp\"", "idle = \"30m\"", "login = \"5 per minute\"", "lifetime = \"24h\""] {
        assert!(shown.contains(expected), "{expected} in {shown}");
    }
    assert!(!folder.path().join("keys").exists(), "showing settings makes nothing");
}

#[tokio::test]
async fn help_names_the_settings_and_commands() {
    let folder = folder();
    let help = String::from_utf8(run(BINARY, folder.path(), &[], &["--help"]).await.stdout).unwrap();
    for expected in ["serve", "config", "health", "HALLPASS_LISTEN", "HALLPASS_LIMITS__<FUNCTION>", "Examples"] {
        assert!(help.contains(expected), "{expected}");
    }
}

#[tokio::test]
async fn health_asks_the_running_server() {
    let folder = folder();
    let server = Server::start(BINARY, folder.path(), &[]).await;
    let authority = server.authority().to_owned();
    assert!(run(BINARY, folder.path(), &[("HALLPASS_LISTEN", &authority)], &["health"]).await.status.success());
    server.kill().await;
    assert!(!run(BINARY, folder.path(), &[("HALLPASS_LISTEN", &authority)], &["health"]).await.status.success());
}

#[tokio::test]
async fn sigterm_finishes_what_is_under_way() {
    let folder = folder();
    // A login at full cost takes long enough to be caught in the middle.
    let server = Server::start(
        BINARY,
        folder.path(),
        &[("HALLPASS_PASSWORD__MEMORY_KIB", "131072"), ("HALLPASS_PASSWORD__ITERATIONS", "4")],
    )
    .await;
    let mut browser = server.browser();
    let name = fresh_name();
    let registering = tokio::spawn(async move { browser.register(&name).await.status.as_u16() });
    // The request is under way once the server has charged it.
    server.browser().get("/healthz").await.expect(200);
    tokio::task::yield_now().await;
    let (ended_well, log) = server.stop().await;
    assert!(ended_well);
    assert_eq!(registering.await.unwrap(), 201);
    assert!(
        log.iter().any(|line| line.contains("server.draining"))
            && log.iter().any(|line| line.contains("server.stopped"))
    );
}

/// Peak resident memory, in KiB.
fn peak_memory_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Argon2id at its real cost, since memory is the point; every answer is a login or a shed one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_300_logins_stays_within_its_memory_and_healthz_answers_meanwhile() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let folder = folder();
    let vars = [
        ("HALLPASS_PASSWORD__MEMORY_KIB", "19456"),
        ("HALLPASS_PASSWORD__ITERATIONS", "2"),
        ("HALLPASS_LIMITS__LOGIN", "1000000 per minute"),
    ];
    let server = Server::start(BINARY, folder.path(), &vars).await;
    let name = fresh_name();
    server.browser().register(&name).await;
    let idle_kib = peak_memory_kib(server.pid());
    let done = std::sync::Arc::new(AtomicUsize::new(0));
    let logins: Vec<_> = (0..300)
        .map(|_| {
            let (mut browser, name, done) = (server.browser(), name.clone(), std::sync::Arc::clone(&done));
            tokio::spawn(async move {
                let status = browser.log_in_with(&name, PASSWORD).await.status.as_u16();
                done.fetch_add(1, Ordering::SeqCst);
                status
            })
        })
        .collect();
    let mut answered_meanwhile = 0;
    while done.load(Ordering::SeqCst) < 290 {
        server.browser().get("/healthz").await.expect(200);
        answered_meanwhile += 1;
    }
    assert!(answered_meanwhile > 20, "{answered_meanwhile}");
    for login in logins {
        assert!(matches!(login.await.unwrap(), 200 | 503));
    }
    let threads = std::thread::available_parallelism().unwrap().get() as u64;
    let peak_kib = peak_memory_kib(server.pid());
    // What the process is without hashing, a memory for each hashing thread, and what 300 connections take.
    assert!(peak_kib <= idle_kib + threads * 19_456 + 16 * 1024, "{idle_kib} KiB idle, {peak_kib} KiB at the peak");
}

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
    let events: Vec<Value> =
        log.iter().map(|line| serde_json::from_str::<Value>(line).unwrap()["event"].clone()).collect();
    for event in ["account.registered", "login.failed", "login.pending", "credential.changed", "request"] {
        assert!(events.iter().any(|logged| logged == event), "{event}");
    }
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

/// Raw bytes in, raw bytes out until the server closes.
async fn talk(server: &Server, request: &[u8]) -> String {
    let (authority, request) = (server.authority().to_owned(), request.to_vec());
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = std::net::TcpStream::connect(authority).unwrap();
        stream.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
        let _ = stream.write_all(&request);
        let mut answer = Vec::new();
        let _ = std::io::Read::read_to_end(&mut stream, &mut answer);
        answer
    });
    String::from_utf8_lossy(&answer.await.unwrap()).into_owned()
}

#[tokio::test]
async fn smuggled_and_malformed_requests_get_one_refusal_and_no_second_answer() {
    let folder = folder();
    let server = Server::start(BINARY, folder.path(), &[]).await;
    let inner = "GET /api/resource HTTP/1.1\r\nHost: x\r\n\r\n";
    for request in [
        format!(
            "POST /logout HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: {}\r\n\r\n{inner}",
            inner.len()
        ),
        format!("POST /logout HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n{inner}"),
        "POST /logout HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n".to_owned(),
        "POST /logout HTTP/1.1\r\nHost: x\r\nContent-Length: 1e1\r\n\r\n".to_owned(),
        "GET /healthz HTTP/1.1\r\nHost: x\r\nFolded: a\r\n b\r\n\r\n".to_owned(),
        "GET /healthz HTTP/9.9\r\nHost: x\r\n\r\n".to_owned(),
        "\u{16}\u{3}\u{1} nonsense\r\n\r\n".to_owned(),
        format!("GET /healthz HTTP/1.1\r\nHost: x\r\n{}\r\n\r\n", "A: b\r\n".repeat(200)),
        format!("GET /healthz HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\n", "x".repeat(100_000)),
    ] {
        let answer = talk(&server, request.as_bytes()).await;
        let first = answer.lines().next().unwrap_or_default();
        assert!(
            answer.is_empty() || first.contains(" 400 ") || first.contains(" 431 ") || first.contains(" 505 "),
            "{first} for {:?}",
            &request[..request.len().min(90)]
        );
        assert!(!answer.contains("rate-limited"), "{answer}");
        assert!(answer.matches("HTTP/1.1 ").count() <= 1, "{answer}");
    }
    server.browser().get("/healthz").await.expect(200);
}
