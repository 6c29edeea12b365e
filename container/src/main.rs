//! The `hallpass` binary: everything in one process.

mod commands;
mod files;
mod keys;
mod metrics;
mod readiness;
mod server;
mod unread;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Login, server-side sessions, two-step verification and rate limits for REST APIs.
///
/// Started without a command it serves the API on http://127.0.0.1:5000 and keeps its data in ./hallpass-data.
#[derive(Debug, Parser)]
#[command(version, after_help = SETTINGS_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API (the default)
    Serve,
    /// Show the settings in force; keys are not among them
    Config,
    /// Ask the running server whether it is ready; exits with 0 if it is
    Health,
    /// Serve the embedded store to other processes, in DynamoDB's language
    ///
    /// For a few replicas on a private network, or for functions on a developer's machine: point them at it with
    /// HALLPASS_STORE=dynamodb and AWS_ENDPOINT_URL_DYNAMODB. Requests are not authenticated.
    #[command(name = "dynamodb")]
    DynamoDb {
        /// Address to listen on
        #[arg(long, default_value = "127.0.0.1:8000")]
        listen: std::net::SocketAddr,
    },
}

const SETTINGS_HELP: &str = "\
Settings are environment variables, or a TOML file named by HALLPASS_CONFIG; the environment wins.
  HALLPASS_LISTEN             address of the server                     127.0.0.1:5000
  HALLPASS_METRICS_LISTEN     address of /metrics                       none
  HALLPASS_PUBLIC_URL         what users type; origin check             http://localhost:5000
  HALLPASS_ISSUER             name shown in authenticator apps          Hallpass
  HALLPASS_STORE              embedded or dynamodb                      embedded
  HALLPASS_DATA_DIR           the embedded store's files                ./hallpass-data
  HALLPASS_TABLE_PREFIX       tables are <prefix>-users, …              hallpass
  HALLPASS_KEYS_FILE          sealing keys                              <data dir>/keys, made at first start
  HALLPASS_TRUSTED_PROXIES    networks whose forwarding headers count   none
  HALLPASS_SESSION__IDLE, __LIFETIME, __MAX_PER_USER                    1h, 24h, 50
  HALLPASS_LIMITS__<FUNCTION> such as '10 per minute; 50 per hour'      see the README
  HALLPASS_GUARD__LIMITS__<NAME> such as '20 per minute'                none; for guarded APIs
  HALLPASS_TOTP__DRIFT_STEPS  time steps accepted each way              1
  HALLPASS_PASSWORD__MIN_LENGTH, __MEMORY_KIB, __ITERATIONS, __PARALLELISM   8, 19456, 2, 1
  HALLPASS_LOG                tracing filter                            info

Examples:
  hallpass                                        start on this machine
  HALLPASS_LISTEN=0.0.0.0:8080 hallpass           listen on every interface
  HALLPASS_LIMITS__RESOURCE='5 per second' hallpass config
  hallpass dynamodb --listen 10.0.0.5:8000        one store for several replicas";

fn main() -> ExitCode {
    let outcome = match Cli::parse().command.unwrap_or(Command::Serve) {
        Command::DynamoDb { listen } => commands::dynamodb::run(listen),
        Command::Serve => commands::serve::run(),
        Command::Config => commands::config::show(),
        Command::Health => commands::health::ask(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => commands::complain(&error),
    }
}
