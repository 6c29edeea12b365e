//! Bodies that are longer than any (attack 5.24).

use std::fs;

use hallpass_tests::process::Server;

use crate::{BINARY, folder, wire::talk};

/// So many that the kernel's ticks, of 10 ms, tell what each takes.
const REQUESTS: u64 = 20;
const CPU_MAX_MILLIS: u64 = 5;
/// Linux counts in hundredths of a second, whatever its own clock does.
const MILLIS_PER_TICK: u64 = 10;

/// What all threads of a process have spent, of their own and in the kernel.
fn cpu_millis(pid: u32) -> u64 {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // Behind the name, which may hold spaces: the 14th and 15th field of proc(5).
    let fields: Vec<&str> = line.rsplit_once(") ").unwrap().1.split(' ').collect();
    fields[11..13].iter().map(|ticks| ticks.parse::<u64>().unwrap() * MILLIS_PER_TICK).sum()
}

/// A login with so long a password, of a length that is told or in chunks.
fn login(length: usize, is_chunked: bool) -> Vec<u8> {
    let body = format!(r#"{{"username":"somebody","password":"{}"}}"#, "x".repeat(length));
    let (framing, body) = if is_chunked {
        ("Transfer-Encoding: chunked".to_owned(), format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()))
    } else {
        (format!("Content-Length: {}", body.len()), body)
    };
    let head = format!("POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{framing}\r\n\r\n");
    [head, body].concat().into_bytes()
}

/// At a hash's real cost, which is several times of that.
#[tokio::test]
async fn a_body_of_1_or_10_mb_is_refused_within_5_milliseconds_of_cpu() {
    let folder = folder();
    let vars = [
        ("HALLPASS_PASSWORD__MEMORY_KIB", "19456"),
        ("HALLPASS_PASSWORD__ITERATIONS", "2"),
        ("HALLPASS_LIMITS__LOGIN", "1000000 per minute"),
    ];
    let server = Server::start(BINARY, folder.path(), &vars).await;
    for length in [1_000_000, 10_000_000] {
        for is_chunked in [false, true] {
            let request = login(length, is_chunked);
            let before = cpu_millis(server.pid());
            for _ in 0..REQUESTS {
                let answer = talk(server.authority(), &request).await;
                assert!(answer.starts_with("HTTP/1.1 413 "), "{answer:?}");
            }
            let spent = cpu_millis(server.pid()) - before;
            assert!(spent <= REQUESTS * CPU_MAX_MILLIS, "{spent} ms for {REQUESTS} of {length} bytes, {is_chunked}");
        }
    }
}
