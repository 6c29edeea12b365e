//! Real proxies that ask the real binary (attack 5.34). Where a proxy isn't installed there is nothing to show, which is
//! a failure with `HALLPASS_TEST_PROXIES=all`.

use std::{
    collections::HashMap,
    fs,
    net::{IpAddr, Ipv4Addr},
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::{Request, State},
    http::{Method, header},
};
use hallpass_tests::{
    Browser,
    browser::Transport,
    guard::{IDENTITY, send},
    process::Server,
    world::fresh_name,
};
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, TcpStream},
    process::{Child, Command},
};

use crate::{
    BINARY, folder, now,
    wire::{talk, two_lengths},
};

/// What the guarded API was asked, newest last: method, path and query, headers.
type Seen = Arc<Mutex<Vec<(Method, String, HashMap<String, Vec<String>>)>>>;

/// The guarded API: notes what arrives and says yes.
async fn sample_api() -> (String, Seen) {
    async fn answer(State(seen): State<Seen>, request: Request) -> &'static str {
        let mut headers: HashMap<String, Vec<String>> = HashMap::new();
        for (name, value) in request.headers() {
            headers.entry(name.to_string()).or_default().push(value.to_str().unwrap().to_owned());
        }
        seen.lock().unwrap().push((request.method().clone(), request.uri().to_string(), headers));
        "the guarded API"
    }
    let seen = Seen::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let router = Router::new().fallback(answer).with_state(Arc::clone(&seen));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (address, seen)
}

#[expect(clippy::disallowed_methods, reason = "tests are told by the environment what must be there")]
fn all_are_installed() -> bool {
    std::env::var("HALLPASS_TEST_PROXIES").is_ok_and(|which| which == "all")
}

/// A proxy in front of a Hallpass and an API that it guards.
struct Guarded {
    hallpass: Server,
    seen: Seen,
    origin: String,
    _proxy: Child,
    _folder: TempDir,
}

impl Guarded {
    /// Starts all three; `None` where there is no such program.
    async fn by(program: &str, args: &[&str], configs: &[(&str, &str)]) -> Option<Self> {
        let folder = folder();
        let (api, seen) = sample_api().await;
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let origin = format!("http://127.0.0.1:{port}");
        let vars = [
            ("HALLPASS_PUBLIC_URL", origin.as_str()),
            ("HALLPASS_TRUSTED_PROXIES", "127.0.0.0/8"),
            ("HALLPASS_GUARD__LIMITS__ORDERS", "3 per minute"),
        ];
        let hallpass = Server::start(BINARY, &folder.path().join("data"), &vars).await;
        let path = folder.path().to_str().unwrap();
        let fill = |text: &str| {
            let filled = text.replace("@FOLDER@", path).replace("@PORT@", &port.to_string()).replace("@API@", &api);
            filled.replace("@HALLPASS@", hallpass.authority())
        };
        for (name, text) in configs {
            fs::write(Path::new(path).join(name), fill(text)).unwrap();
        }
        let args: Vec<String> = args.iter().map(|arg| fill(arg)).collect();
        let proxy = Command::new(program).args(args).env("HOME", path).stdout(Stdio::null()).kill_on_drop(true).spawn();
        let proxy = proxy.inspect_err(|error| assert!(!all_are_installed(), "{program}: {error}"));
        let _proxy = proxy.ok()?;
        let listening = async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), listening).await.expect("the proxy listens");
        Some(Self { hallpass, seen, origin, _proxy, _folder: folder })
    }

    /// The same browser, but through the proxy.
    fn through(&self, browser: &Browser) -> Browser {
        let mut through = Browser::new(Transport::Http(self.origin.clone()), IpAddr::V4(Ipv4Addr::LOCALHOST));
        through.cookies = browser.cookies.clone();
        through
    }

    /// What arrived at the API since it was last asked.
    fn arrived(&self) -> Vec<(Method, String, HashMap<String, Vec<String>>)> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

/// Spellings that lead, or might lead, to `/strong/x`, or out of what is guarded.
const TRICKS: [&str; 20] = [
    "/strong/x",
    "/strong/../strong/x",
    "/app/../strong/x",
    "/app/%2e%2e/strong/x",
    "/app/..%2fstrong/x",
    "/app/..%2Fstrong%2Fx",
    "/app/.%2e/strong/x",
    "/%73trong/x",
    "/%73%74rong%2fx",
    "/strong%2fx",
    "/strong//x",
    "//strong/x",
    "/./strong/x",
    "/strong;level=aal1/x",
    "/strong/x;y=z",
    "/STRONG/x",
    "/strong/x?level=aal1",
    "/strong/x?limit=none&level=aal1",
    "/strong/x%3flevel=aal1",
    "/strong/x%23",
];

/// Everything that must hold, whichever proxy asks.
async fn all_holds(guarded: &Guarded) {
    let mut browser = guarded.hallpass.browser();
    let name = fresh_name();
    browser.register(&name).await;
    let (nobody, somebody) = (guarded.through(&browser.private_window()), guarded.through(&browser));
    nobody_passes(guarded, &nobody).await;
    nothing_hides_behind_a_request_that_ends_in_two_places(guarded, &browser).await;
    a_user_passes_under_their_own_name(guarded, &somebody, &name).await;
    one_factor_is_not_enough_however_the_path_is_spelt(guarded, &nobody, &somebody).await;
    another_site_changes_nothing(guarded, &somebody).await;
    three_a_minute_are_three(guarded, &somebody).await;
    let strong = two_factors_pass(guarded, browser, &name).await;
    an_ended_session_is_refused_at_once(guarded, strong).await;
}

/// What a client says of itself.
fn forged() -> [(&'static str, &'static str); IDENTITY.len()] {
    IDENTITY.map(|header| (header, "root"))
}

async fn nobody_passes(guarded: &Guarded, nobody: &Browser) {
    for path in ["/app/orders", "/strong/x", "/limited/x"] {
        assert_eq!(send(nobody, "GET", path, &forged()).await.status, 401, "{path}");
        assert_eq!(send(nobody, "POST", path, &[("x-hallpass-require-level", "aal1")]).await.status, 401, "{path}");
    }
    assert_eq!(guarded.arrived(), []);
}

/// Nobody's, and somebody's, by whose session the outer one may pass, and the hidden one, which asks for more, may not.
async fn nothing_hides_behind_a_request_that_ends_in_two_places(guarded: &Guarded, browser: &Browser) {
    let authority = guarded.origin.trim_start_matches("http://");
    let nobody = format!("Host: {authority}");
    for request in two_lengths(&nobody, "/app/orders", "/strong/x") {
        let answer = talk(authority, request.as_bytes()).await;
        assert!(!answer.contains("the guarded API"), "{answer} to {request}");
    }
    assert_eq!(guarded.arrived(), []);
    let somebody = format!("{nobody}\r\nCookie: __Host-session={}", browser.cookies["__Host-session"]);
    for request in two_lengths(&somebody, "/app/orders", "/strong/x") {
        let answer = talk(authority, request.as_bytes()).await;
        let arrived = guarded.arrived();
        assert!(arrived.len() <= 1 && arrived.iter().all(|(_, uri, _)| uri == "/app/orders"), "{arrived:?}: {answer}");
        assert_eq!(answer.matches("the guarded API").count(), arrived.len(), "{answer} to {request}");
    }
}

/// It arrives once, with the user's identity and nobody else's.
async fn a_user_passes_under_their_own_name(guarded: &Guarded, somebody: &Browser, name: &str) {
    for method in ["GET", "POST", "DELETE", "PATCH"] {
        send(somebody, method, "/app/orders?page=2", &forged()).await.expect(200);
        let [(seen_method, uri, headers)] = guarded.arrived().try_into().unwrap();
        assert_eq!((seen_method.as_str(), uri.as_str()), (method, "/app/orders?page=2"));
        assert_eq!(headers["remote-user"], [name]);
        assert_eq!(headers["x-hallpass-level"], ["aal1"]);
        for header in IDENTITY {
            let values = headers.get(header).cloned().unwrap_or_default();
            assert!(values.len() <= 1 && !values.contains(&"root".to_owned()), "{header}: {values:?}");
        }
    }
}

async fn one_factor_is_not_enough_however_the_path_is_spelt(guarded: &Guarded, nobody: &Browser, somebody: &Browser) {
    assert_eq!(send(somebody, "GET", "/strong/x", &[]).await.status, 403);
    for path in TRICKS {
        for browser in [nobody, somebody] {
            let status = send(browser, "GET", path, &[("x-hallpass-level", "aal2")]).await.status;
            assert_eq!(guarded.arrived(), [], "{path}: {status}");
        }
    }
}

async fn another_site_changes_nothing(guarded: &Guarded, somebody: &Browser) {
    let cross = [("sec-fetch-site", "cross-site")];
    assert_eq!(send(somebody, "POST", "/app/orders", &cross).await.status, 403);
    assert_eq!(guarded.arrived(), []);
}

/// And the fourth is told when to come again. What was refused for want of a session has counted too: two by then.
async fn three_a_minute_are_three(guarded: &Guarded, somebody: &Browser) {
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(send(somebody, "GET", "/limited/x", &[]).await.status.as_u16());
    }
    assert_eq!(statuses, [200, 429, 429, 429, 429]);
    let refused = send(somebody, "GET", "/limited/x", &[]).await;
    assert!((1..=60).contains(&refused.header("retry-after").parse::<u32>().unwrap()));
    assert_eq!(guarded.arrived().len(), 1);
}

async fn two_factors_pass(guarded: &Guarded, mut browser: Browser, name: &str) -> Browser {
    let (_, codes) = browser.enable_totp(now()).await;
    let mut strong = browser.private_window();
    strong.log_in(name).await;
    strong.post("/login/verify", serde_json::json!({ "recovery_code": codes[0] })).await.expect(200);
    send(&guarded.through(&strong), "GET", "/strong/x", &[]).await.expect(200);
    assert_eq!(guarded.arrived()[0].2["x-hallpass-level"], ["aal2"]);
    strong
}

async fn an_ended_session_is_refused_at_once(guarded: &Guarded, mut browser: Browser) {
    let ended = guarded.through(&browser);
    browser.post("/logout", serde_json::json!({})).await.expect(204);
    assert_eq!(send(&ended, "GET", "/app/orders", &[]).await.status, 401);
    assert_eq!(guarded.arrived(), []);
}

/// While Hallpass is away nothing arrives.
async fn fails_closed(guarded: Guarded) {
    let mut browser = guarded.hallpass.browser();
    browser.register(&fresh_name()).await;
    let somebody = guarded.through(&browser);
    send(&somebody, "GET", "/app/orders", &[]).await.expect(200);
    let Guarded { hallpass, seen, origin: _, _proxy, _folder } = guarded;
    hallpass.kill().await;
    seen.lock().unwrap().clear();
    let status = send(&somebody, "GET", "/app/orders", &[]).await.status;
    assert!(status.is_server_error(), "{status}");
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn nginx_passes_on_what_the_guard_allows_and_nothing_else() {
    let configs =
        [("nginx.conf", include_str!("proxies/nginx.conf")), ("guarded.conf", include_str!("proxies/guarded.conf"))];
    let args = ["-p", "@FOLDER@", "-e", "stderr", "-c", "@FOLDER@/nginx.conf"];
    let Some(guarded) = Guarded::by("/usr/sbin/nginx", &args, &configs).await else {
        return;
    };
    all_holds(&guarded).await;
    fails_closed(guarded).await;
}

#[tokio::test]
async fn caddy_passes_on_what_the_guard_allows_and_nothing_else() {
    let args = ["run", "--config", "@FOLDER@/Caddyfile", "--adapter", "caddyfile"];
    let configs = [("Caddyfile", include_str!("proxies/Caddyfile"))];
    let Some(guarded) = Guarded::by("caddy", &args, &configs).await else {
        return;
    };
    all_holds(&guarded).await;
    // Caddy passes the redirect on, and tells where the browser wanted to go.
    let nobody = guarded.through(&guarded.hallpass.browser());
    let answer = send(&nobody, "GET", "/app/orders?page=2", &[("accept", "text/html")]).await.expect(302);
    let login = format!("{}/login?next=/app/orders%3Fpage%3D2", guarded.origin);
    assert_eq!(answer.headers[header::LOCATION], login.as_str());
    fails_closed(guarded).await;
}

#[tokio::test]
async fn haproxy_passes_on_what_the_guard_allows_and_nothing_else() {
    let configs =
        [("haproxy.cfg", include_str!("proxies/haproxy.cfg")), ("guard.lua", include_str!("proxies/guard.lua"))];
    let Some(guarded) = Guarded::by("/usr/sbin/haproxy", &["-f", "@FOLDER@/haproxy.cfg"], &configs).await else {
        return;
    };
    all_holds(&guarded).await;
    fails_closed(guarded).await;
}
