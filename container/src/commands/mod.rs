//! The commands, and how every one fails: one line that says what is wrong.

pub(crate) mod config;
pub(crate) mod dynamodb;
pub(crate) mod health;
pub(crate) mod serve;

use std::{
    fs,
    io::{Write, stderr},
    process::ExitCode,
};

use hallpass_core::{
    config::{Settings, SettingsError, Vars},
    logging::LoggingError,
    store::StoreError,
};
use hallpass_embedded::OpenError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error(transparent)]
    Tls(#[from] hallpass_core::https::NoTls),
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("HALLPASS_CONFIG: {path}: {source}")]
    ConfigFile { path: String, source: std::io::Error },
    #[error(transparent)]
    Logging(#[from] LoggingError),
    #[error("HALLPASS_DATA_DIR: {0}")]
    Data(#[from] OpenError),
    #[error("{0}")]
    Keys(String),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{told_by}: {address}: {source}")]
    Listen { told_by: &'static str, address: std::net::SocketAddr, source: std::io::Error },
    #[error("not ready: {0}")]
    NotReady(String),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Writes the one line.
pub(crate) fn complain(error: &CommandError) -> ExitCode {
    let line = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    // Nothing is left to tell if even this fails.
    let _ = writeln!(stderr(), "hallpass: {line}");
    ExitCode::FAILURE
}

/// Reads the settings of this process, and of the file that `HALLPASS_CONFIG` names.
fn settings() -> Result<Settings, CommandError> {
    let mut vars = Vars::of_process();
    let file = vars
        .take("HALLPASS_CONFIG")
        .map(|path| fs::read_to_string(&path).map_err(|source| CommandError::ConfigFile { path, source }))
        .transpose()?;
    Ok(Settings::read(&vars, file.as_deref())?)
}

/// Runs a command that serves, until it is told to stop. Whatever still holds the store by then, such as a connection that
/// was given up, ends with the runtime: files are closed, and write-ahead logs folded into them, before anybody hears of it.
fn run_until_stopped(serving: impl Future<Output = Result<(), CommandError>>) -> Result<(), CommandError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serving)?;
    drop(runtime);
    tracing::info!(event = "server.stopped");
    Ok(())
}
