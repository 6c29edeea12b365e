//! The Lambda functions on this machine, as AWS would run them: `cargo run --bin lambda [ADDRESS]`
//!
//! Builds them, starts each under AWS's runtime interface emulator when it is first asked, and serves them at ADDRESS as
//! API Gateway would by the routes of `template.yaml`, over a store in memory that knows the policies of `template.yaml`.
//! The emulator comes with the Python package `aws-sam-cli`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a command for people, which runs other commands"
)]

use std::{
    net::SocketAddr,
    path::PathBuf,
    process::{Command, ExitCode},
    sync::Arc,
};

use axum::{
    Router,
    extract::{ConnectInfo, Request, State},
};
use hallpass_core::{
    clock::{Clock, SystemClock},
    config::Settings,
};
use hallpass_tests::{
    World,
    functions::{Deployment, Toolchain},
    recorder::Recorder,
};
use tokio::signal::unix::{SignalKind, signal};

const FIND_EMULATOR: &str = "import pathlib, platform, samcli; \
    arch = {'x86_64': 'x86_64', 'aarch64': 'arm64', 'arm64': 'arm64'}[platform.machine()]; \
    print(pathlib.Path(samcli.__file__).parent / 'local' / 'rapid' / f'aws-lambda-rie-{arch}')";

#[tokio::main]
async fn main() -> ExitCode {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:5000".to_owned());
    let Ok(address) = address.parse::<SocketAddr>() else {
        return complain(&format!("{address}: not an address such as 127.0.0.1:5000"));
    };
    let Some(emulator) = emulator() else {
        return complain("no emulator: pip install aws-sam-cli, for the python3 that is first in PATH");
    };
    let is_built = Command::new("cargo").args(["build", "--workspace", "--bins"]).status().unwrap().success();
    if !is_built {
        return complain("the functions don't build");
    }
    let listener = match tokio::net::TcpListener::bind(address).await {
        Ok(listener) => listener,
        Err(error) => return complain(&format!("{address}: {error}")),
    };
    let folder = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let settings =
        Settings { public_url: format!("http://localhost:{}", address.port()).parse().unwrap(), ..Settings::default() };
    // It makes the tables.
    let world = World::of(settings).await;
    let toolchain = Toolchain::untouched(folder, emulator);
    let deployment = Arc::new(Deployment::new(toolchain, &world.settings(), Recorder::default(), SystemClock.now()));
    println!("{} answers by function; Ctrl-C ends it and forgets everything", world.settings().public_url.origin());
    let app = Router::new().fallback(gateway).with_state(deployment);
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app).with_graceful_shutdown(told_to_stop()).await.unwrap();
    ExitCode::SUCCESS
}

async fn gateway(
    State(deployment): State<Arc<Deployment>>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    request: Request,
) -> axum::response::Response {
    deployment.send(request, client.ip()).await
}

/// AWS's runtime interface emulator, where pip put it.
fn emulator() -> Option<PathBuf> {
    let found = Command::new("python3").args(["-c", FIND_EMULATOR]).output().ok()?;
    let path = PathBuf::from(String::from_utf8(found.stdout).ok()?.trim());
    path.is_file().then_some(path)
}

async fn told_to_stop() {
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate()).unwrap(), signal(SignalKind::interrupt()).unwrap());
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

fn complain(what: &str) -> ExitCode {
    eprintln!("{what}");
    ExitCode::FAILURE
}
