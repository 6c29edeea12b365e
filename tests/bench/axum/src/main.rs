//! Login, sessions and limits as a Rust developer would assemble them from crates: axum, tower-sessions over Redis or
//! SQLite, tower_governor, argon2.
//!
//! In its favour: users live in memory, its limits are forgotten at a restart and not shared between processes, and it
//! has no second step, no throttle on guesses, no origin check and no log.
//!
//! `PORT`; `QUOTA`, admitted an hour; `SESSIONS`, a `redis://` or `sqlite://` address.

mod passwords;

use std::{
    collections::HashMap,
    env,
    net::SocketAddr,
    str::FromStr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tower_governor::{GovernorLayer, governor::GovernorConfigBuilder};
use tower_sessions::{Expiry, Session, SessionManagerLayer, SessionStore};
use tower_sessions_redis_store::{
    RedisStore,
    fred::prelude::{ClientLike, Config, Pool},
};
use tower_sessions_sqlx_store::{
    SqliteStore,
    sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::passwords::Passwords;

#[derive(Clone)]
struct App {
    hashes: Arc<RwLock<HashMap<String, String>>>,
    passwords: Arc<Passwords>,
}

#[derive(Deserialize)]
struct Credentials {
    username: String,
    password: String,
}

#[derive(Serialize)]
struct User {
    username: String,
}

async fn register(State(app): State<App>, Json(new): Json<Credentials>) -> (StatusCode, Json<User>) {
    let hash = app.passwords.hash(new.password).await;
    app.hashes.write().unwrap_or_else(PoisonError::into_inner).insert(new.username.clone(), hash);
    (StatusCode::CREATED, Json(User { username: new.username }))
}

async fn login(
    State(app): State<App>,
    session: Session,
    Json(claimed): Json<Credentials>,
) -> Result<Json<User>, StatusCode> {
    let hash = app.hashes.read().unwrap_or_else(PoisonError::into_inner).get(&claimed.username).cloned();
    if !app.passwords.verify(claimed.password, hash).await {
        return Err(StatusCode::UNAUTHORIZED);
    }
    session.cycle_id().await.map_err(unavailable)?;
    session.insert("user", &claimed.username).await.map_err(unavailable)?;
    Ok(Json(User { username: claimed.username }))
}

async fn who(session: Session) -> Result<Json<User>, StatusCode> {
    let username = session.get("user").await.map_err(unavailable)?.ok_or(StatusCode::UNAUTHORIZED)?;
    Ok(Json(User { username }))
}

async fn resource() -> &'static str {
    "This is rate-limited"
}

fn unavailable(_: tower_sessions::session::Error) -> StatusCode {
    StatusCode::SERVICE_UNAVAILABLE
}

fn router<S: SessionStore + Clone>(store: S) -> Router {
    let app = App { hashes: Arc::default(), passwords: Arc::new(Passwords::new()) };
    let quota: u32 = env::var("QUOTA").expect("QUOTA").parse().expect("a number");
    // A full bucket, refilled within an hour.
    let refill = (Duration::from_secs(3600) / quota).max(Duration::from_nanos(1));
    let limits = GovernorConfigBuilder::default().period(refill).burst_size(quota).finish().expect("a quota");
    let limits = Arc::new(limits);
    let limited = || GovernorLayer::new(limits.clone());
    let sessions =
        SessionManagerLayer::new(store).with_secure(false).with_expiry(Expiry::OnInactivity(time::Duration::hours(1)));
    Router::new()
        .route("/register", post(register))
        .route("/login", post(login).layer(limited()))
        .route("/session", get(who))
        .route("/guarded", get(who).layer(limited()))
        .layer(sessions)
        .route("/resource", get(resource).layer(limited()))
        .route("/healthz", get(|| async { "ok" }))
        .with_state(app)
}

async fn over_redis(address: &str) -> Router {
    let pool = Pool::new(Config::from_url(address).expect("an address"), None, None, None, 4).expect("a pool");
    pool.connect();
    pool.wait_for_connect().await.expect("Redis");
    router(RedisStore::new(pool))
}

async fn over_sqlite(address: &str) -> Router {
    let options = SqliteConnectOptions::from_str(address)
        .expect("an address")
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal);
    let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await.expect("SQLite");
    let store = SqliteStore::new(pool);
    store.migrate().await.expect("tables");
    router(store)
}

#[tokio::main]
async fn main() {
    let port = env::var("PORT").expect("PORT");
    let address = env::var("SESSIONS").expect("SESSIONS");
    let router = match address.split_once(':') {
        Some(("redis", _)) => over_redis(&address).await,
        _ => over_sqlite(&address).await,
    };
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await.expect("a free port");
    axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>()).await.expect("a server");
}
