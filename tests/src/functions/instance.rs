//! One running copy of a function, under the emulator.

use std::{
    collections::BTreeMap,
    path::Path,
    process::Stdio,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use axum::body::Body;
use http_body_util::BodyExt;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
    process::Child,
};

/// A process that answers one event at a time, as on AWS.
pub(super) struct Instance {
    emulator: Child,
    address: String,
}

/// A start that takes longer has failed.
const START_DEADLINE: Duration = Duration::from_secs(10);

impl Instance {
    pub(super) async fn start(emulator: &Path, binary: &Path, vars: &BTreeMap<String, String>, is_shown: bool) -> Self {
        assert!(binary.exists(), "{}: build it with cargo lambda build", binary.display());
        let host = fresh_loopback_address();
        let address = format!("{host}:8080");
        let output = || if is_shown { Stdio::inherit() } else { Stdio::null() };
        let child = tokio::process::Command::new(emulator)
            .args(["--runtime-interface-emulator-address", &address])
            .args(["--runtime-api-address", &format!("{host}:9001")])
            .arg(binary)
            .env_clear()
            .env("AWS_LAMBDA_FUNCTION_TIMEOUT", "29")
            .envs(vars)
            .stdin(Stdio::null())
            .stdout(output())
            .stderr(output())
            .process_group(0)
            .spawn()
            .unwrap();
        let reached = async {
            while TcpStream::connect(&address).await.is_err() {
                tokio::task::yield_now().await
            }
        };
        tokio::time::timeout(START_DEADLINE, reached).await.expect("the emulator listens in time");
        Self { emulator: child, address }
    }

    pub(super) async fn invoke(&self, event: String) -> String {
        let uri = format!("http://{}/2015-03-31/functions/function/invocations", self.address);
        let request = axum::http::Request::post(uri).body(Body::from(event)).unwrap();
        let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build_http();
        let answer = client.request(request).await.unwrap().into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(answer.to_vec()).unwrap()
    }
}

/// How long a function takes from its start until it asks the runtime's interface for its first event.
pub(super) async fn init_time(binary: &Path, vars: &BTreeMap<String, String>) -> Duration {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut command = tokio::process::Command::new(binary);
    command.env_clear().envs(vars).env("AWS_LAMBDA_RUNTIME_API", address).env("AWS_LAMBDA_FUNCTION_NAME", "test");
    command.env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256").env("AWS_LAMBDA_FUNCTION_VERSION", "1");
    command.stdout(Stdio::null()).kill_on_drop(true);
    #[expect(clippy::disallowed_methods, reason = "the time that really passes is the point")]
    let started = std::time::Instant::now();
    let _running = command.spawn().unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut asked = [0; 64];
    let length = stream.read(&mut asked).await.unwrap();
    let asked = String::from_utf8_lossy(&asked[..length]).into_owned();
    assert!(asked.starts_with("GET /2018-06-01/runtime/invocation/next"), "{asked}");
    started.elapsed()
}

impl Drop for Instance {
    fn drop(&mut self) {
        // The emulator and the function that it started.
        let group = self.emulator.id().map(|pid| format!("-{pid}"));
        #[expect(clippy::disallowed_methods, reason = "tests start and end processes")]
        let kill = group.map(|group| std::process::Command::new("kill").args(["-9", "--", &group]).status());
        drop(kill);
    }
}

/// 127.x.y.z: every instance of every test run has the usual ports to itself.
fn fresh_loopback_address() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::SeqCst) + 1;
    format!("127.{}.{}.{}", std::process::id() % 250 + 1, number / 250 % 250, number % 250 + 1)
}
