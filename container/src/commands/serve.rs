//! `hallpass serve`: puts store, keys and endpoints together and serves them until it is told to stop.

use std::{num::NonZero, sync::Arc, thread, time::Duration};

use aws_sdk_dynamodb::Client;
use hallpass_core::{
    app::{App, Keyed, Parts},
    clock::{SharedClock, SystemClock},
    config::{Settings, StoreKind},
    http::shell,
    https, logging,
    random::OsRandom,
    sessions::cache::Revisions,
    store::{self, Users, tables::TableNames},
};
use hallpass_embedded::Embedded;
use tokio::net::TcpListener;

use super::{CommandError, run_until_stopped, settings};
use crate::{
    files, keys,
    metrics::Metrics,
    readiness::{Readiness, probes},
    server::{self, Draining},
};

/// Serves until SIGTERM or SIGINT, then finishes what is under way.
pub(crate) fn run() -> Result<(), CommandError> {
    let settings = settings()?;
    logging::start(&settings.log)?;
    run_until_stopped(serve(settings))
}

async fn serve(settings: Settings) -> Result<(), CommandError> {
    let listener = server::bind(settings.listen, "HALLPASS_LISTEN").await?;
    let clock: SharedClock = Arc::new(SystemClock);
    let watched = watched(&settings, &clock).await?;
    let keys = keys::load(&settings)?;
    let places = files::places(settings.store);
    let (client, embedded) = open_store(&settings, places, watched.as_ref().map(|(_, metrics)| metrics)).await?;
    let draining = Draining::default();
    let readiness = find_tables(&settings, &client, draining.clone()).await?;
    let signals = server::StopSignals::listen()?;
    if let Some((listener, _)) = &watched {
        tracing::info!(event = "metrics.started", address = %listener.local_addr()?);
    }
    announce(&settings, listener.local_addr()?);
    let revisions = embedded.as_ref().map(revisions_of);
    let parts = Parts { settings, client, revisions, clock, random: Arc::new(OsRandom) };
    let app = App::new(parts, Keyed { keys, hashing_threads: cores() })?;
    let mut router = shell::complete(hallpass_api::router(&app).merge(probes(readiness)), app.keyless.clone());
    if let Some((listener, metrics)) = watched {
        router = metrics.measured(router);
        tokio::spawn(server::serve_watchers(listener, metrics.router(&app)));
    }
    server::serve(listener, router, places, signals, draining).await;
    Ok(())
}

/// The port of `/metrics` and what is measured, if anybody wants to watch.
async fn watched(settings: &Settings, clock: &SharedClock) -> Result<Option<(TcpListener, Metrics)>, CommandError> {
    let Some(address) = settings.metrics_listen else {
        return Ok(None);
    };
    let listener = server::bind(address, "HALLPASS_METRICS_LISTEN").await?;
    Ok(Some((listener, Metrics::new(Arc::clone(clock)))))
}

/// The store, of which no more than `calls_max` things are asked at a time where it is behind a network.
async fn open_store(
    settings: &Settings,
    calls_max: usize,
    metrics: Option<&Metrics>,
) -> Result<(Client, Option<Embedded>), CommandError> {
    let measured = |client| match metrics {
        Some(metrics) => metrics.around(client),
        None => client,
    };
    match settings.store {
        StoreKind::Embedded => {
            let embedded = Embedded::open(&settings.data_dir)?;
            Ok((store::over(measured(embedded.http_client())), Some(embedded)))
        }
        StoreKind::DynamoDb => Ok((store::with_aws(measured(https::client(calls_max)?)).await, None)),
    }
}

/// Ready once the tables are there: those of our own store before anybody is let in, others' as soon as they answer.
async fn find_tables(settings: &Settings, client: &Client, draining: Draining) -> Result<Arc<Readiness>, CommandError> {
    let tables = TableNames::new(&settings.table_prefix);
    let readiness = Arc::new(Readiness::new(Users::new(client.clone(), &tables), draining));
    match settings.store {
        StoreKind::Embedded => tables.ensure(client).await.map(|()| readiness.tables_found())?,
        StoreKind::DynamoDb => drop(tokio::spawn(wait_for_tables(client.clone(), tables, Arc::clone(&readiness)))),
    }
    Ok(readiness)
}

/// A store that is away at the start is waited for: the server says 503 meanwhile and needs no restart.
async fn wait_for_tables(client: Client, tables: TableNames, readiness: Arc<Readiness>) {
    const PAUSE: Duration = Duration::from_secs(2);
    while let Err(error) = tables.ensure(&client).await {
        tracing::warn!(event = "store.tables_not_ready", %error);
        tokio::time::sleep(PAUSE).await;
    }
    readiness.tables_found();
    tracing::info!(event = "store.tables_ready");
}

/// Nobody else writes to a store in this process.
fn revisions_of(embedded: &Embedded) -> Revisions {
    let revisions = embedded.revisions();
    Arc::new(move |user: &str| revisions.of(user))
}

fn announce(settings: &Settings, address: std::net::SocketAddr) {
    tracing::info!(event = "server.started", %address, public_url = settings.public_url.origin(), version = env!("CARGO_PKG_VERSION"), "listening on http://{address}");
    if !settings.public_url.is_https() && !settings.public_url.is_localhost() {
        tracing::warn!(
            event = "config.insecure_public_url",
            "over plain http browsers drop our Secure cookies: put TLS in front and set HALLPASS_PUBLIC_URL to https://…"
        );
    }
    if !settings.password.is_strong() {
        tracing::warn!(
            event = "config.cheap_passwords",
            "Argon2id is set below OWASP's floor; fine for trying out, not for a public service"
        );
    }
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}
