//! Starting, and refusing to start.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use futures_util::FutureExt;
use hallpass_core::store;
use hallpass_embedded::Embedded;
use hallpass_tests::{
    process::{Server, run},
    world::fresh_name,
};

use crate::{BINARY, folder};

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

/// How many items the users table of a server that has ended has.
async fn users_in(folder: &Path) -> usize {
    let embedded = Embedded::open(folder).unwrap();
    let client = store::over(embedded.http_client());
    client.scan().table_name("hallpass-users").send().boxed().await.unwrap().items().len()
}

#[tokio::test]
async fn a_new_store_has_no_users_until_somebody_registers() {
    let folder = folder();
    let server = Server::start(BINARY, folder.path(), &[]).await;
    server.browser().get("/readyz").await.expect(200);
    server.kill().await;
    assert_eq!(users_in(folder.path()).await, 0);
    let server = Server::start(BINARY, folder.path(), &[]).await;
    server.browser().register(&fresh_name()).await;
    server.kill().await;
    assert_eq!(users_in(folder.path()).await, 2, "the user, and the name that leads to it");
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

/// What was acknowledged before a kill is in the log beside the file.
#[tokio::test]
async fn a_file_that_is_damaged_after_a_kill_is_left_as_it_is_with_its_log() {
    let folder = folder();
    let many = [("HALLPASS_LIMITS__REGISTER", "100 per hour")];
    let server = Server::start(BINARY, folder.path(), &many).await;
    for _ in 0..20 {
        server.browser().register(&fresh_name()).await;
    }
    assert!(server.stop().await.0);
    let server = Server::start(BINARY, folder.path(), &many).await;
    server.browser().register(&fresh_name()).await;
    server.kill().await;
    let files = ["accounts.db", "accounts.db-wal"].map(|name| folder.path().join(name));
    let [mut database, log] = files.each_ref().map(|file| fs::read(file).unwrap());
    let frames = log[32..].chunks(24 + 4096);
    let logged: Vec<u32> = frames.map(|frame| u32::from_be_bytes(*frame.first_chunk().unwrap())).collect();
    assert!(!logged.is_empty());
    for (page, bytes) in (1..).zip(database.chunks_mut(4096)) {
        if !logged.contains(&page) {
            bytes[..64].fill(0xa5);
        }
    }
    fs::write(&files[0], &database).unwrap();
    assert!(refusal(folder.path(), &[]).await.contains("damaged"));
    assert_eq!(files.map(|file| fs::read(file).unwrap()), [database, log]);
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
