//! What a stop finishes.

use std::{collections::VecDeque, fs, io, path::Path, time::Duration};

use futures_util::future::join_all;
use hallpass_embedded::{Embedded, OpenError};
use hallpass_tests::{
    process::{Server, signal},
    world::fresh_name,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{BINARY, folder, metrics, wire::talk_over};

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
    stops_after_answering(server, "GET /session", "401").await;
}

#[tokio::test]
async fn a_store_for_others_that_drains_is_not_ready_and_still_answers() {
    let folder = folder();
    let server = Server::start_with(BINARY, folder.path(), &[], &["dynamodb", "--listen", "127.0.0.1:0"]).await;
    stops_after_answering(server, "GET /healthz", "200").await;
}

/// Ready until it is told to stop; then no more, and this is answered with that status nevertheless.
async fn stops_after_answering(server: Server, line: &str, status: &str) {
    let authority = server.authority().to_owned();
    assert!(ask(&authority, "GET /readyz").await.unwrap().starts_with("HTTP/1.1 200 "));
    let stopped = tokio::spawn(server.stop());
    until_draining(&authority).await;
    assert!(ask(&authority, line).await.unwrap().starts_with(&format!("HTTP/1.1 {status} ")));
    assert!(stopped.await.unwrap().0);
}

/// Whoever has seen it stop may copy the files, or start another process over them.
#[tokio::test]
async fn once_it_says_that_it_has_stopped_the_databases_are_closed() {
    for vars in [&[][..], &[metrics::ON]] {
        let folder = folder();
        let mut server = Server::start(BINARY, folder.path(), vars).await;
        server.browser().register(&fresh_name()).await;
        assert_eq!(write_ahead_logs(folder.path()), ["accounts.db-wal", "counters.db-wal"]);
        signal("-TERM", server.pid()).await;
        server.logged("server.stopped").await;
        assert_eq!(write_ahead_logs(folder.path()), <[&str; 0]>::default(), "{vars:?}");
    }
}

fn write_ahead_logs(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut logs: Vec<_> = files.filter(|name| name.ends_with("-wal")).collect();
    logs.sort();
    logs
}

/// Also by what is left of the store after its owner: the SDK's clients are cheap clones.
#[test]
fn a_folder_is_locked_until_its_databases_are_closed() {
    let folder = folder();
    let store = Embedded::open(folder.path()).unwrap();
    let client = store.http_client();
    drop(store);
    assert!(matches!(Embedded::open(folder.path()), Err(OpenError::Locked(_))));
    drop(client);
    assert_eq!(write_ahead_logs(folder.path()), <[&str; 0]>::default());
    Embedded::open(folder.path()).unwrap();
}

async fn until_draining(authority: &str) {
    while !ask(authority, "GET /readyz").await.unwrap().starts_with("HTTP/1.1 503 ") {}
}

/// A request on a connection of its own, and what is answered.
async fn ask(authority: &str, line: &str) -> io::Result<String> {
    let request = format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    Ok(talk_over(TcpStream::connect(authority).await?, request.as_bytes()).await)
}
