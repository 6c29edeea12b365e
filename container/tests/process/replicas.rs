//! Two processes over one store that is served over HTTP.

use std::{fs, path::Path, pin::pin, time::Duration};

use futures_util::future::join_all;
use hallpass_core::{keyset::KeySet, random::OsRandom};
use hallpass_tests::{
    Answer, Browser, PASSWORD,
    process::{Server, signal},
    world::fresh_name,
};
use serde_json::json;
use tokio::time::{interval, timeout};

use crate::{
    BINARY, folder,
    load::start_with_files,
    metrics::{ON, sample, scrape},
    now,
};

/// A store that is served over HTTP.
pub(crate) async fn store(folder: &Path) -> Server {
    Server::start_with(BINARY, folder, &[], &["dynamodb", "--listen", "127.0.0.1:0"]).await
}

/// A process over `store`, which answers once it has seen the tables.
pub(crate) async fn replica(store: &Server, folder: &Path) -> Server {
    replica_with(store, folder, &[]).await
}

async fn replica_with(store: &Server, folder: &Path, settings: &[(&str, &str)]) -> Server {
    started(store, folder, settings, async |vars| Server::start(BINARY, folder, vars).await).await
}

async fn started(
    store: &Server,
    folder: &Path,
    settings: &[(&str, &str)],
    start: impl AsyncFnOnce(&[(&str, &str)]) -> Server,
) -> Server {
    let keys = folder.join("shared-keys");
    if !keys.exists() {
        fs::write(&keys, KeySet::fresh_file(&OsRandom).as_bytes()).unwrap();
    }
    let mut vars = store.as_dynamodb().to_vec();
    vars.push(("HALLPASS_KEYS_FILE", keys.to_str().unwrap()));
    vars.extend(settings);
    let server = start(&vars).await;
    once_available(&mut server.browser(), "/readyz").await.expect(200);
    server
}

/// The first answer that isn't 503.
async fn once_available(browser: &mut Browser, path: &str) -> Answer {
    let asked = async {
        loop {
            let answer = browser.get(path).await;
            if answer.status != 503 {
                return answer;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(60), asked).await.expect("the store goes on")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_replica_does_holds_for_the_other() {
    let folder = folder();
    let store = store(folder.path()).await;
    let (one, other) = (replica(&store, folder.path()).await, replica(&store, folder.path()).await);
    let name = fresh_name();
    let mut browser = one.browser();
    browser.register(&name).await;
    let mut at_the_other = other.browser();
    at_the_other.cookies = browser.cookies.clone();
    // Each has seen the session, and so could remember it.
    assert!(browser.is_logged_in().await && at_the_other.is_logged_in().await);
    at_the_other.post("/logout", json!({})).await.expect(204);
    assert!(!browser.is_logged_in().await, "revoked by the other replica");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_200_parallel_requests_over_two_replicas_exactly_10_are_admitted() {
    let folder = folder();
    let store = store(folder.path()).await;
    let replicas = [replica(&store, folder.path()).await, replica(&store, folder.path()).await];
    let asked = (0..200).map(|number| {
        let mut browser = replicas[number % 2].browser();
        tokio::spawn(async move { browser.get("/api/resource").await.status.as_u16() })
    });
    let statuses: Vec<u16> = join_all(asked).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 10);
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 190);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_code_at_two_replicas_opens_one_session() {
    let folder = folder();
    let store = store(folder.path()).await;
    let replicas = [replica(&store, folder.path()).await, replica(&store, folder.path()).await];
    let name = fresh_name();
    let mut owner = replicas[0].browser();
    owner.register(&name).await;
    let (authenticator, _) = owner.enable_totp(now()).await;
    let mut devices = [replicas[0].browser(), replicas[1].browser()];
    for device in &mut devices {
        device.log_in_with(&name, PASSWORD).await.expect(200);
    }
    let code = authenticator.code(now() + jiff::SignedDuration::from_secs(30));
    let statuses: Vec<u16> = join_all(devices.iter_mut().map(|device| device.verify(&code)))
        .await
        .iter()
        .map(|answer| answer.status.as_u16())
        .collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
}

/// Each asks the store for a session and many limits at once, and a store that hangs keeps all that wait for it.
#[tokio::test]
async fn where_files_are_few_no_more_is_asked_of_the_store_at_a_time_than_there_are_files() {
    let folder = folder();
    let store = store(folder.path()).await;
    let few = async |vars: &[(&str, &str)]| start_with_files(folder.path(), vars, "-n 192").await;
    let limits = ["A", "B", "C", "D", "E", "F", "G", "H"].map(|name| format!("HALLPASS_GUARD__LIMITS__{name}"));
    let limits = limits.each_ref().map(|name| (name.as_str(), "100 per minute"));
    let replica = started(&store, folder.path(), &limits, few).await;
    let mut owner = replica.browser();
    owner.register(&fresh_name()).await;
    let path = "/api/authz/forward-auth?limit=a&limit=b&limit=c&limit=d&limit=e&limit=f&limit=g&limit=h";
    owner.get(path).await.expect(200);
    let before = open_files(&replica);
    signal("-STOP", store.pid()).await;
    let asked = join_all((0..21).map(|_| {
        let mut browser = replica.browser();
        browser.cookies.clone_from(&owner.cookies);
        async move { browser.get(path).await.status.as_u16() }
    }));
    let (statuses, most) = while_counting(asked, || open_files(&replica)).await;
    signal("-CONT", store.pid()).await;
    assert_eq!(statuses, [503; 21]);
    // It, a call, and a connection that is kept for the next.
    assert!(before < most && most <= before + 3 * 21, "{before}, then {most}");
    // The store first does what nobody waits for any more, which takes a slow disk longer than a call may.
    once_available(&mut owner, path).await.expect(200);
}

fn open_files(server: &Server) -> usize {
    fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count()
}

/// What comes of it, and the largest count meanwhile.
async fn while_counting<T>(work: impl Future<Output = T>, count: impl Fn() -> usize) -> (T, usize) {
    let (mut work, mut often, mut most) = (pin!(work), interval(Duration::from_millis(10)), 0);
    loop {
        tokio::select! { done = &mut work => return (done, most), _ = often.tick() => most = most.max(count()) }
    }
}

#[tokio::test]
async fn many_who_ask_for_readiness_while_the_store_hangs_share_its_reads() {
    let folder = folder();
    let store = store(folder.path()).await;
    let replica = replica_with(&store, folder.path(), &[ON]).await;
    signal("-STOP", store.pid()).await;
    let asked = (0..20).map(|_| {
        let mut browser = replica.browser();
        async move { browser.get("/readyz").await.status.as_u16() }
    });
    assert_eq!(join_all(asked).await, [503; 20]);
    let unanswered = r#"hallpass_store_calls_total{operation="GetItem",result="no_answer"}"#;
    let tries = sample(&scrape(&replica).await, unanswered);
    // Two a read: one for whoever asks first, one for all who ask meanwhile, perhaps one for who asks late.
    assert!((1.0..=6.0).contains(&tries), "{tries}");
    signal("-CONT", store.pid()).await;
    replica.browser().get("/readyz").await.expect(200);
}

#[tokio::test]
async fn the_served_store_keeps_its_data_through_a_kill_and_refuses_what_it_does_not_know() {
    let folder = folder();
    let served = store(folder.path()).await;
    let name = fresh_name();
    replica(&served, folder.path()).await.browser().register(&name).await;
    served.kill().await;
    let served = store(folder.path()).await;
    replica(&served, folder.path()).await.browser().log_in(&name).await;
    served.browser().post("/", json!({})).await.expect(400);
    served.browser().get("/readyz").await.expect(200);
}
