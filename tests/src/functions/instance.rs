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
use tokio::{net::TcpStream, process::Child};

/// A process that answers one event at a time, as on AWS.
pub(super) struct Instance {
    emulator: Child,
    address: String,
}

/// A start that takes longer has failed.
const START_DEADLINE: Duration = Duration::from_secs(10);

impl Instance {
    pub(super) async fn start(emulator: &Path, binary: &Path, vars: &BTreeMap<String, String>) -> Self {
        assert!(binary.exists(), "{}: build it with cargo lambda build", binary.display());
        let host = fresh_loopback_address();
        let address = format!("{host}:8080");
        let child = tokio::process::Command::new(emulator)
            .args(["--runtime-interface-emulator-address", &address])
            .args(["--runtime-api-address", &format!("{host}:9001")])
            .arg(binary)
            .env_clear()
            .env("AWS_LAMBDA_FUNCTION_TIMEOUT", "29")
            .envs(vars)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
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
