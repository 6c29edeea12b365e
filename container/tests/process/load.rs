//! Memory and answers under load.

use std::{fs, path::Path, thread::available_parallelism, time::Duration};

use futures_util::{StreamExt, future::join_all, stream::FuturesUnordered};
use hallpass_core::accounts::hasher::Hasher;
use hallpass_tests::{Browser, PASSWORD, process::Server, world::fresh_name};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
    time::{Instant, timeout},
};

use crate::{BINARY, folder};

/// The budget of a release build that hashes on two threads, while 300 clients wait.
const BUDGET_KIB: u64 = 64 * 1024;
/// What that leaves for everything but the program's own file, which is much larger in a debug build.
const BUDGET_WITHOUT_PROGRAM_KIB: u64 = 54 * 1024;
const BUDGETED_CLIENTS: usize = 300;
/// What each client beyond those takes: a connection, and the request that waits.
const CLIENT_KIB: usize = 16;
/// What each takes more in a debug build, whose futures nobody made small.
const DEBUG_FUTURE_KIB: usize = 12;
const HASH_KIB: u64 = 19_456;

/// A line of the kernel's account of the process, in KiB.
pub(crate) fn memory_kib(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Log-ins at once, and how long each answer took of those that check a session meanwhile, until so many log-ins are done.
async fn storm(
    server: &Server,
    (name, owner): (&str, &Browser),
    clients: usize,
    until: usize,
) -> (Vec<JoinHandle<u16>>, Vec<Duration>) {
    let log_in = |_| {
        let (mut browser, name) = (server.browser(), name.to_owned());
        tokio::spawn(async move { browser.log_in_with(&name, PASSWORD).await.status.as_u16() })
    };
    let logins: Vec<_> = (0..clients).map(log_in).collect();
    let mut meanwhile = Vec::new();
    while logins.iter().filter(|login| login.is_finished()).count() < until {
        let asked = Instant::now();
        owner.clone().get("/session").await.expect(200);
        meanwhile.push(asked.elapsed());
    }
    (logins, meanwhile)
}

/// While so many log-ins took so long, other requests did not wait for those that hash.
fn assert_were_answered_steadily(mut meanwhile: Vec<Duration>, storm: Duration, logins: usize) {
    meanwhile.sort_unstable();
    let sooner_than = |percent| meanwhile[(meanwhile.len() - 1) * percent / 100];
    assert!(meanwhile.len() > 20, "{meanwhile:?} in {storm:?}");
    // One log-in after the other ends in so much time.
    assert!(sooner_than(50) < storm / u32::try_from(logins).unwrap(), "{meanwhile:?} in {storm:?}");
    assert!(sooner_than(99) < storm / 20, "{meanwhile:?} in {storm:?}");
}

/// Every answer is a login or a shed one.
async fn assert_are_answered(logins: Vec<JoinHandle<u16>>) {
    for login in logins {
        assert!(matches!(login.await.unwrap(), 200 | 503));
    }
}

/// So far, with so many clients at once.
fn assert_stayed_within_its_memory(server: &Server, clients: usize) {
    let more_threads = (available_parallelism().unwrap().get() as u64).saturating_sub(2);
    let peak_kib = memory_kib(server.pid(), "VmHWM:") - more_threads * HASH_KIB;
    let program_kib = memory_kib(server.pid(), "RssFile:");
    let (is_release, own_kib) = (option_env!("HALLPASS_TEST_BINARY").is_some(), peak_kib - program_kib);
    let clients_kib = ((clients - BUDGETED_CLIENTS) * CLIENT_KIB) as u64;
    let debug_kib = if is_release { 0 } else { (clients * DEBUG_FUTURE_KIB) as u64 };
    let own_max_kib = BUDGET_WITHOUT_PROGRAM_KIB + clients_kib + debug_kib;
    assert!(own_kib <= own_max_kib, "{clients}: {peak_kib} KiB, {program_kib} of them the program");
    assert!(!is_release || peak_kib <= BUDGET_KIB + clients_kib, "{clients}: {peak_kib} KiB");
}

/// Argon2id at its real cost, since memory is the point.
///
/// 300 who wait for their answers, then a thousand half of whom hang up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_1000_logins_half_of_which_hang_up_stays_within_its_memory_and_holds_nobody_else_up() {
    let folder = folder();
    let memory_kib_of_a_hash = HASH_KIB.to_string();
    let vars = [
        ("HALLPASS_PASSWORD__MEMORY_KIB", memory_kib_of_a_hash.as_str()),
        ("HALLPASS_PASSWORD__ITERATIONS", "2"),
        ("HALLPASS_LIMITS__LOGIN", "1000000 per minute"),
        ("HALLPASS_LIMITS__SESSION", "1000000 per minute"),
    ];
    let server = Server::start(BINARY, folder.path(), &vars).await;
    let (name, mut owner) = (fresh_name(), server.browser());
    server.browser().register(&name).await;
    owner.register(&fresh_name()).await;
    let began = Instant::now();
    let (logins, meanwhile) = storm(&server, (&name, &owner), BUDGETED_CLIENTS, BUDGETED_CLIENTS - 10).await;
    assert_were_answered_steadily(meanwhile, began.elapsed(), BUDGETED_CLIENTS);
    assert_are_answered(logins).await;
    assert_stayed_within_its_memory(&server, BUDGETED_CLIENTS);
    let (logins, _) = storm(&server, (&name, &owner), 1000, 10).await;
    let mut staying = Vec::new();
    for (number, login) in logins.into_iter().enumerate() {
        if number % 2 == 0 { login.abort() } else { staying.push(login) }
    }
    assert_are_answered(staying).await;
    assert_stayed_within_its_memory(&server, 1000);
}

/// So many connections that have been answered and are kept.
async fn kept(server: &Server, connections: usize) -> Vec<TcpStream> {
    let mut kept = Vec::new();
    for _ in 0..connections {
        let mut stream = TcpStream::connect(server.authority()).await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).await.unwrap();
        assert_eq!(&status, b"HTTP/1.1 200");
        kept.push(stream);
    }
    kept
}

/// The binary with this limit of open files.
pub(crate) async fn start_with_files(folder: &Path, vars: &[(&str, &str)], ulimit: &str) -> Server {
    let run = format!("ulimit {ulimit} && exec \"$0\"");
    Server::start_with("/bin/sh", folder, vars, &["-c", &run, BINARY]).await
}

/// Systems give a process a thousand files, or fewer, and more when it asks.
#[tokio::test]
async fn a_low_limit_of_open_files_is_raised() {
    let folder = folder();
    let server = start_with_files(folder.path(), &[], "-S -n 192").await;
    let connections = timeout(Duration::from_secs(20), kept(&server, 300)).await.expect("all are answered");
    assert_eq!(connections.len(), 300);
}

#[tokio::test]
async fn where_files_are_few_no_more_connections_are_taken_than_there_are_files() {
    let folder = folder();
    let server = start_with_files(folder.path(), &[], "-n 192").await;
    // A file each, and 128 for all else.
    let connections = kept(&server, 64).await;
    let waiting: Vec<_> = join_all((0..200).map(|_| TcpStream::connect(server.authority()))).await;
    assert!(waiting.iter().all(Result::is_ok), "the system keeps those");
    drop(connections);
    drop(waiting);
    server.browser().register(&fresh_name()).await;
    let log = server.kill().await;
    assert!(
        log.iter().any(|line| line.contains("\"event\":\"server.few_files\"") && line.contains("\"connections\":64"))
    );
    assert!(!log.iter().any(|line| line.contains("server.accept_failed")), "{log:?}");
}

/// Hashes take so long that the queue is full well before its first is done.
#[tokio::test]
async fn a_login_beyond_the_queue_of_hashes_is_refused_with_a_wait_and_logged() {
    let folder = folder();
    let vars = [
        ("HALLPASS_PASSWORD__MEMORY_KIB", "19456"),
        ("HALLPASS_PASSWORD__ITERATIONS", "32"),
        ("HALLPASS_LIMITS__LOGIN", "1000000 per minute"),
    ];
    let server = Server::start(BINARY, folder.path(), &vars).await;
    let more_than_fit = Hasher::QUEUE_MAX + 4 * available_parallelism().unwrap().get() + 200;
    let logins = (0..more_than_fit).map(|_| {
        let (mut browser, name) = (server.browser(), fresh_name());
        async move { browser.log_in_with(&name, PASSWORD).await }
    });
    let answers = logins.collect::<FuturesUnordered<_>>().filter(|answer| std::future::ready(answer.status == 503));
    let refused = Box::pin(answers).next().await.expect("one is refused").expect_problem(503, "unavailable");
    assert!(refused.header("retry-after").parse::<u32>().unwrap() >= 1);
    let id = refused.header("x-request-id").to_owned();
    let log = server.kill().await;
    let lines = log.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let events: Vec<Value> =
        lines.filter(|line| line["request_id"] == id.as_str()).map(|line| line["event"].clone()).collect();
    assert_eq!(events, ["argon2.queue_full", "request"]);
}
