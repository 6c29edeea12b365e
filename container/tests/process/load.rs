//! Memory under load.

use std::fs;

use hallpass_tests::{PASSWORD, process::Server, world::fresh_name};

use crate::{BINARY, folder};

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
