//! What outlives a kill, and what a stop finishes.

use std::{collections::VecDeque, io, time::Duration};

use futures_util::future::join_all;
use hallpass_tests::{
    process::{Server, signal},
    world::fresh_name,
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

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

/// Such as one that a proxy has opened for a POST, which it must not send to another replica once it may have arrived.
#[tokio::test]
async fn connections_that_are_there_when_the_port_is_closed_are_answered_and_told_to_close() {
    const KEPT: usize = 16;
    let folder = folder();
    let server = Server::start(BINARY, folder.path(), &[]).await;
    let authority = server.authority().to_owned();
    let stopped = tokio::spawn(server.stop());
    let mut last = VecDeque::new();
    // Whoever comes later and is answered shows that those before it were let in.
    while let Ok(waits) = TcpStream::connect(&authority).await
        && ask(&authority, "GET /healthz").await.is_ok_and(|answer| answer.ends_with("ok\n"))
    {
        last.push_back(waits);
        if last.len() > KEPT {
            last.pop_front();
        }
    }
    assert!(!last.is_empty());
    for stream in &mut last {
        stream.write_all(b"POST /logout HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    }
    for mut stream in last {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 204 ") && answer.contains("\r\nconnection: close\r\n"), "{answer}");
    }
    assert!(stopped.await.unwrap().0);
}

/// Their clients have been told by the kernel that they are connected.
#[tokio::test]
async fn connections_that_nobody_has_taken_when_the_port_is_closed_are_answered() {
    let folder = folder();
    let server = Server::start(BINARY, folder.path(), &[]).await;
    let (authority, pid) = (server.authority().to_owned(), server.pid());
    let stopped = tokio::spawn(server.stop());
    until_draining(&authority).await;
    signal("-STOP", pid).await;
    let mut asked: Vec<_> = (0..16).map(|_| Box::pin(ask(&authority, "POST /logout"))).collect();
    let all = join_all(asked.iter_mut());
    // Until after the moment at which the port is closed.
    assert!(tokio::time::timeout(Duration::from_secs(1), all).await.is_err());
    signal("-CONT", pid).await;
    for answer in join_all(asked).await {
        assert!(answer.unwrap().starts_with("HTTP/1.1 204 "));
    }
    assert!(stopped.await.unwrap().0);
}

#[tokio::test]
async fn a_process_that_drains_is_not_ready_and_still_answers() {
    let folder = folder();
    let server = Server::start(BINARY, folder.path(), &[]).await;
    let authority = server.authority().to_owned();
    assert!(ask(&authority, "GET /readyz").await.unwrap().starts_with("HTTP/1.1 200 "));
    let stopped = tokio::spawn(server.stop());
    until_draining(&authority).await;
    assert!(ask(&authority, "GET /session").await.unwrap().starts_with("HTTP/1.1 401 "));
    assert!(stopped.await.unwrap().0);
}

async fn until_draining(authority: &str) {
    while !ask(authority, "GET /readyz").await.unwrap().starts_with("HTTP/1.1 503 ") {}
}

/// A request on a connection of its own, and what is answered.
async fn ask(authority: &str, line: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(authority).await?;
    let request = format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
