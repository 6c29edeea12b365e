//! Memory and answers under load.

use std::{fs, thread::available_parallelism, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use hallpass_core::accounts::hasher::Hasher;
use hallpass_tests::{Browser, PASSWORD, process::Server, world::fresh_name};
use serde_json::Value;
use tokio::{task::JoinHandle, time::Instant};

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

/// While so much time passed, other requests did not wait for those that hash.
fn assert_were_answered_steadily(mut took: Vec<Duration>, of: Duration) {
    took.sort_unstable();
    let slowest_but_one_in_a_hundred = took[(took.len() - 1) * 99 / 100];
    assert!(took.len() > 20 && slowest_but_one_in_a_hundred < of / 20, "{took:?} in {of:?}");
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
/// 300 who wait for their answers, then a thousand half of whom hang up, in two waves: a process may have a thousand files
/// open and no more on many machines.
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
    assert_were_answered_steadily(meanwhile, began.elapsed());
    assert_are_answered(logins).await;
    assert_stayed_within_its_memory(&server, BUDGETED_CLIENTS);
    let mut staying = Vec::new();
    for _ in 0..2 {
        let (logins, _) = storm(&server, (&name, &owner), 500, 10).await;
        for (number, login) in logins.into_iter().enumerate() {
            if number % 2 == 0 { login.abort() } else { staying.push(login) }
        }
    }
    assert_are_answered(staying).await;
    // Half of a wave and the next one.
    assert_stayed_within_its_memory(&server, 750);
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
