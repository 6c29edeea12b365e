//! What outlives a kill.

use hallpass_tests::{process::Server, world::fresh_name};
use serde_json::json;

use crate::{BINARY, folder, now};

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

#[tokio::test]
async fn wrong_passwords_and_codes_are_counted_across_a_kill() {
    let folder = folder();
    let name = fresh_name();
    let vars = [("HALLPASS_LIMITS__LOGIN", "1000 per minute"), ("HALLPASS_LIMITS__VERIFY", "1000 per minute")];
    let server = Server::start(BINARY, folder.path(), &vars).await;
    let mut owner = server.browser();
    owner.register(&name).await;
    let (authenticator, _) = owner.enable_totp(now()).await;
    let mut pending = server.browser();
    pending.log_in(&name).await;
    for _ in 0..3 {
        pending.verify(&authenticator.wrong_code(now())).await.expect_problem(401, "invalid-code");
    }
    for _ in 0..6 {
        server.browser().log_in_with(&name, "not the password").await.expect(401);
    }
    let cookies = pending.cookies.clone();
    server.kill().await;

    let server = Server::start(BINARY, folder.path(), &vars).await;
    let mut pending = server.browser();
    pending.cookies = cookies;
    for _ in 0..2 {
        pending.verify(&authenticator.wrong_code(now())).await.expect_problem(401, "invalid-code");
    }
    pending.verify(&authenticator.wrong_code(now())).await.expect_problem(401, "login-expired");
    for _ in 0..4 {
        server.browser().log_in_with(&name, "not the password").await.expect(401);
    }
    // Held for a second, then for two, then for four: longer than any pause of this machine.
    let mut held = 0;
    for _ in 0..3 {
        held += usize::from(server.browser().log_in_with(&name, "not the password").await.status == 429);
    }
    assert!(held > 0);
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
    let mut acknowledged: Vec<(String, String, bool)> = Vec::new();
    for _ in 0..4 {
        let server = Server::start(BINARY, folder.path(), &vars).await;
        let (report, mut reports) = tokio::sync::mpsc::unbounded_channel();
        let clients: Vec<_> = (0..8)
            .map(|_| {
                let (browser, report) = (server.browser(), report.clone());
                tokio::spawn(async move {
                    loop {
                        let mut browser = browser.private_window();
                        let name = fresh_name();
                        browser.register(&name).await;
                        let token = browser.cookies["__Host-session"].clone();
                        report.send((name.clone(), token.clone(), true)).unwrap();
                        browser.post("/logout", json!({})).await.expect(204);
                        report.send((name, token, false)).unwrap();
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
    for (name, token, is_open) in acknowledged {
        last_word.insert(name, (token, is_open));
    }
    let (mut open, mut closed) = (0, 0);
    for (name, (token, is_open)) in last_word {
        server.browser().log_in(&name).await;
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
