//! The real binary, started and killed as a user or an accident would.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::watch,
    task::JoinHandle,
};

use crate::browser::{Browser, Transport};

/// A server under test; killed when dropped.
pub struct Server {
    child: Child,
    origin: String,
    metrics: Option<String>,
    log: watch::Receiver<Vec<String>>,
    logging: JoinHandle<()>,
}

/// A start that takes longer has failed.
const START_DEADLINE: Duration = Duration::from_secs(30);

impl Server {
    /// Starts the binary over the data folder, on a port of its own, and waits until it listens.
    pub async fn start(binary: &str, folder: &Path, vars: &[(&str, &str)]) -> Self {
        Self::start_with(binary, folder, vars, &[]).await
    }

    /// Starts the binary with a command that serves.
    pub async fn start_with(binary: &str, folder: &Path, vars: &[(&str, &str)], args: &[&str]) -> Self {
        let mut child = command(binary, folder, vars)
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (mut seen, mut metrics) = (Vec::new(), None);
        let listening = async {
            loop {
                let line = lines.next_line().await.unwrap().expect("the server ends before it listens");
                let value: serde_json::Value = serde_json::from_str(&line).unwrap();
                seen.push(line);
                let origin = || format!("http://{}", value["address"].as_str().unwrap());
                match value["event"].as_str() {
                    Some("server.started") => return origin(),
                    Some("metrics.started") => metrics = Some(origin()),
                    _ => {}
                }
            }
        };
        let origin = tokio::time::timeout(START_DEADLINE, listening).await.expect("the server listens in time");
        let (logged, log) = watch::channel(seen);
        let logging = tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                logged.send_modify(|seen| seen.push(line));
            }
        });
        Self { child, origin, metrics, log, logging }
    }

    /// A browser that talks to it.
    #[must_use]
    pub fn browser(&self) -> Browser {
        Browser::new(Transport::Http(self.origin.clone()), IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    /// What watches it, on its other port.
    #[must_use]
    pub fn watcher(&self) -> Browser {
        let origin = self.metrics.clone().expect("a server with metrics");
        Browser::new(Transport::Http(origin), IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    /// Where it listens.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.origin.trim_start_matches("http://")
    }

    /// The variables that let another process use it as its DynamoDB.
    #[must_use]
    pub fn as_dynamodb(&self) -> [(&str, &str); 5] {
        [
            ("HALLPASS_STORE", "dynamodb"),
            ("AWS_ENDPOINT_URL_DYNAMODB", &self.origin),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "local"),
            ("AWS_SECRET_ACCESS_KEY", "local"),
        ]
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// `kill -9`: nothing is finished, nothing is flushed. Returns the log so far.
    pub async fn kill(mut self) -> Vec<String> {
        self.child.kill().await.unwrap();
        self.whole_log().await
    }

    /// SIGTERM, and waits until it has ended by itself. Returns whether it said that all was well, and the log.
    pub async fn stop(mut self) -> (bool, Vec<String>) {
        signal("-TERM", self.pid()).await;
        let status = self.child.wait().await.unwrap();
        (status.success(), self.whole_log().await)
    }

    /// Waits until it has logged this event.
    pub async fn logged(&mut self, event: &str) {
        self.log.wait_for(|log| log.iter().any(|line| line.contains(event))).await.unwrap();
    }

    async fn whole_log(self) -> Vec<String> {
        self.logging.await.unwrap();
        self.log.borrow().clone()
    }
}

/// Sends a process a signal, such as `-STOP`.
pub async fn signal(name: &str, pid: u32) {
    assert!(Command::new("kill").args([name, &pid.to_string()]).status().await.unwrap().success());
}

/// Runs the binary with a command to its end.
pub async fn run(binary: &str, folder: &Path, vars: &[(&str, &str)], args: &[&str]) -> Output {
    tokio::time::timeout(START_DEADLINE, command(binary, folder, vars).args(args).kill_on_drop(true).output())
        .await
        .expect("the command ends in time")
        .unwrap()
}

fn command(binary: &str, folder: &Path, vars: &[(&str, &str)]) -> Command {
    let mut command = Command::new(binary);
    command.env_clear().env("HALLPASS_DATA_DIR", folder).env("HALLPASS_LISTEN", "127.0.0.1:0");
    // Argon2 at low cost: cost is the point of other tests.
    command.env("HALLPASS_PASSWORD__MEMORY_KIB", "64").env("HALLPASS_PASSWORD__ITERATIONS", "1");
    command.envs(vars.iter().copied());
    command
}
