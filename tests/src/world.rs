//! One Hallpass to test: the routers in this process, over a store, with a clock that tests move.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, OnceLock, Weak,
        atomic::{AtomicI64, AtomicU32, Ordering},
    },
};

use aws_sdk_dynamodb::Client;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use axum::{Router, routing::get};
use hallpass_core::{
    accounts::passwords::Passwords,
    app::{App, Keyed, Keyless, Parts},
    clock::{Clock, SystemClock},
    config::{Settings, TablePrefix, Vars},
    http::shell,
    https,
    keyset::{Key, KeySet},
    random::OsRandom,
    sessions::cache::Revisions,
    store::{self, tables::TableNames},
};
use hallpass_embedded::Embedded;
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    authenticator::Authenticator,
    browser::{Browser, Transport},
    capacity::Meter,
    faults::{self, Faults},
    functions::{Deployment, Toolchain},
    recorder::Recorder,
};

/// A clock that stands still until a test moves it.
#[derive(Default)]
pub struct ManualClock {
    millis: AtomicI64,
    followers: Mutex<Vec<Weak<Deployment>>>,
}

impl ManualClock {
    fn at(millis: i64) -> Arc<Self> {
        Arc::new(Self { millis: AtomicI64::new(millis), followers: Mutex::default() })
    }

    fn pass(&self, millis: i64) {
        self.millis.fetch_add(millis, Ordering::SeqCst);
        for deployment in self.followers.lock().unwrap().iter().filter_map(Weak::upgrade) {
            deployment.set_clock(self.now());
        }
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.millis.load(Ordering::SeqCst)).unwrap()
    }
}

/// One instance of Hallpass, and the means to make more of it.
///
/// Its routers run in this process, or as functions where [`Toolchain::of_process`] says so.
pub struct World {
    transport: Transport,
    client: Client,
    settings: Settings,
    clock: Arc<ManualClock>,
    authorizer: OnceLock<Keyless>,
    revisions: Option<Revisions>,
    keys: KeySet,
    /// Every call that this world's instances made to the store.
    pub recorder: Recorder,
}

/// Names a test server of the DynamoDB API instead of the embedded store.
const ENDPOINT_VARIABLE: &str = "AWS_ENDPOINT_URL_DYNAMODB";
/// Calls at a time that the server is asked for.
const CALLS_MAX: usize = 4096;

impl World {
    /// A world with default settings, but cheap password hashes.
    pub async fn new() -> Self {
        Self::with([]).await
    }

    /// A world with some settings of its own.
    pub async fn with<const N: usize>(vars: [(&str, &str); N]) -> Self {
        let mut settings = Settings::read(&Vars::from(vars), None).unwrap();
        // Argon2 at low cost: cost is the point of other tests.
        settings.password.memory_kib = 64;
        settings.password.iterations = 1;
        Self::of(settings).await
    }

    /// A world whose instances remember sessions, as the container does over the embedded store.
    ///
    /// `None` where another store is tested, whose writes nobody sees.
    pub async fn remembering() -> Option<Self> {
        Self::remembering_with([]).await
    }

    /// The same with some settings of its own.
    pub async fn remembering_with<const N: usize>(vars: [(&str, &str); N]) -> Option<Self> {
        let world = Self::with(vars).await;
        (!is_external() && world.deployment().is_none()).then(|| world.with_memory())
    }

    /// The same instance, which remembers sessions.
    #[must_use]
    pub fn with_memory(self) -> Self {
        let revisions = engine().revisions();
        Self { revisions: Some(Arc::new(move |user| revisions.of(user))), ..self }.restarted()
    }

    /// A world with some settings of its own, whose calls to the store go wrong as planned, and are tried again by the
    /// SDK or not.
    ///
    /// `None` where the tests run against something else than the embedded store, in this process.
    pub async fn faulty<const N: usize>(vars: [(&str, &str); N], faults: &Faults, retries: bool) -> Option<Self> {
        if is_external() || Toolchain::of_process().is_some() {
            return None;
        }
        let world = Self::with(vars).await;
        let http_client = faults.around(world.recorder.around(engine().http_client()));
        let client = if retries { faults::retrying(http_client) } else { store::over(http_client) };
        Some(Self { client, ..world }.restarted())
    }

    /// A world with exactly these settings.
    pub async fn of(mut settings: Settings) -> Self {
        let (client, prefix, recorder) = store(|inner| inner).await;
        settings.table_prefix = prefix;
        Self::over(client, settings, recorder)
    }

    /// A world whose calls to the store are metered.
    pub async fn metered(mut settings: Settings, meter: &Meter) -> Self {
        let (client, prefix, recorder) = store(|inner| meter.around(inner)).await;
        settings.table_prefix = prefix;
        Self::over(client, settings, recorder)
    }

    fn over(client: Client, settings: Settings, recorder: Recorder) -> Self {
        let now = SystemClock.now();
        // Aligned, so that no test straddles a time step by chance.
        let clock = ManualClock::at(now.as_second() / 30 * 30 * 1000);
        let transport = Transport::InProcess(Router::new());
        let keys = KeySet::new(vec![Key::new(TEST_KEY)]).unwrap();
        Self { transport, client, settings, clock, authorizer: OnceLock::new(), revisions: None, keys, recorder }
            .restarted()
    }

    /// Another instance over the same store, with the same settings and clock.
    #[must_use]
    pub fn another_instance(&self) -> Self {
        self.instance_with(|_| {}, Arc::clone(&self.clock))
    }

    /// Another instance whose clock is off by so many seconds.
    #[must_use]
    pub fn instance_off_by(&self, seconds: i64) -> Self {
        self.instance_with(|_| {}, ManualClock::at(self.now().as_millisecond() + seconds * 1000))
    }

    /// Another instance with other keys, newest first, in this process whatever the tests run against.
    #[must_use]
    pub fn instance_with_keys(&self, keys: impl IntoIterator<Item = [u8; 32]>) -> Self {
        let keys = KeySet::new(keys.into_iter().map(Key::new).collect()).unwrap();
        Self { keys, ..self.another_instance() }.in_process()
    }

    /// Another instance with other settings, over the same store.
    #[must_use]
    pub fn instance_with_settings(&self, change: impl FnOnce(&mut Settings)) -> Self {
        self.instance_with(change, Arc::clone(&self.clock))
    }

    /// The same instance, with its routers in this process whatever the tests run against.
    #[must_use]
    pub fn in_process(self) -> Self {
        Self { transport: Transport::InProcess(self.router()), ..self }
    }

    fn instance_with(&self, change: impl FnOnce(&mut Settings), clock: Arc<ManualClock>) -> Self {
        let mut settings = self.settings.clone();
        change(&mut settings);
        let (client, recorder) = (self.client.clone(), self.recorder.clone());
        let transport = Transport::InProcess(Router::new());
        let (revisions, keys) = (self.revisions.clone(), self.keys.clone());
        Self { transport, client, settings, clock, authorizer: OnceLock::new(), revisions, keys, recorder }.restarted()
    }

    fn restarted(mut self) -> Self {
        self.transport = match Toolchain::of_process() {
            Some(toolchain) => {
                let deployment = Deployment::new(toolchain, &self.settings, self.recorder.clone(), self.now());
                let deployment = Arc::new(deployment);
                self.clock.followers.lock().unwrap().push(Arc::downgrade(&deployment));
                Transport::Functions(deployment)
            }
            None => Transport::InProcess(self.router()),
        };
        self
    }

    /// The routers of this instance, in this process.
    pub fn router(&self) -> Router {
        router(&self.app())
    }

    /// The same instance, in this process, and what counts its hashes.
    #[must_use]
    pub fn with_passwords(self) -> (Self, Passwords) {
        let app = self.app();
        (Self { transport: Transport::InProcess(router(&app)), ..self }, app.passwords.clone())
    }

    fn app(&self) -> App {
        App::new(self.parts(), Keyed { keys: self.keys.clone(), hashing_threads: 2 }).unwrap()
    }

    fn parts(&self) -> Parts {
        Parts {
            settings: self.settings.clone(),
            client: self.client.clone(),
            revisions: self.revisions.clone(),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            random: Arc::new(OsRandom),
        }
    }

    /// The settings of this instance.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.settings.clone()
    }

    /// The functions of this instance, where that is what the tests run against.
    #[must_use]
    pub fn deployment(&self) -> Option<&Deployment> {
        match &self.transport {
            Transport::Functions(deployment) => Some(deployment),
            Transport::InProcess(_) | Transport::Http(_) => None,
        }
    }

    /// What API Gateway is told when it asks the authorizer; or the error that it gets instead.
    ///
    /// # Errors
    /// The function's message.
    pub async fn authorize(&self, event: Value) -> Result<Value, String> {
        let Some(deployment) = self.deployment() else {
            let keyless = self.authorizer.get_or_init(|| Keyless::new(self.parts()));
            return hallpass_authorizer::authorize(keyless, event).await.map_err(|error| error.to_string());
        };
        let answer = deployment.invoke("hallpass-authorizer", event.to_string()).await;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        match answer["errorMessage"].as_str() {
            Some(message) => Err(message.to_owned()),
            None => Ok(answer),
        }
    }

    /// A client of this world's store.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The full name of a table.
    #[must_use]
    pub fn table(&self, name: &str) -> String {
        format!("{}-{name}", self.settings.table_prefix.as_str())
    }

    /// The present.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Moves the clock; also back.
    pub fn pass(&self, seconds: i64) {
        self.clock.pass(seconds * 1000);
    }

    /// Moves the clock by milliseconds; only in this process, for the clocks of functions know whole seconds.
    pub fn pass_millis(&self, millis: i64) {
        self.clock.pass(millis);
    }

    /// A browser at an address that no other browser of this test run has.
    #[must_use]
    pub fn browser(&self) -> Browser {
        self.browser_at(fresh_address())
    }

    /// A browser at this address.
    #[must_use]
    pub fn browser_at(&self, address: IpAddr) -> Browser {
        Browser::new(self.transport.clone(), address)
    }

    /// Somebody with a fresh account, in a browser that is logged in to it.
    pub async fn somebody(&self) -> (String, Browser) {
        let name = fresh_name();
        let mut browser = self.browser();
        browser.register(&name).await;
        (name, browser)
    }

    /// A client without cookies that is logged in to this account.
    pub async fn bearer(&self, name: &str) -> Browser {
        let body = serde_json::json!({ "username": name, "password": crate::PASSWORD, "delivery": "token" });
        let mut client = self.browser();
        let token = client.post("/login", body).await.expect(200).value();
        assert!(client.cookies.is_empty());
        client.header("authorization", &format!("Bearer {}", token["token"].as_str().unwrap()))
    }

    /// Somebody with two-step verification on, their authenticator and recovery codes.
    pub async fn somebody_with_totp(&self) -> (String, Browser, Authenticator, Vec<String>) {
        let (name, mut browser) = self.somebody().await;
        let (authenticator, codes) = browser.enable_totp(self.now()).await;
        // The code is burnt; the next one is a step away.
        self.pass(30);
        (name, browser, authenticator, codes)
    }
}

/// A name that no other test of this run has.
#[must_use]
pub fn fresh_name() -> String {
    format!("user-{}", uuid::Builder::from_random_bytes(fresh_bytes()).into_uuid().simple())
}

/// An address in a /64 that no other test of this run has.
#[must_use]
pub fn fresh_address() -> IpAddr {
    let [a, b, c, d, e, f, ..] = fresh_bytes();
    IpAddr::V6(Ipv6Addr::from([0xfd, 0, a, b, c, d, e, f, 0, 0, 0, 0, 0, 0, 0, 1]))
}

fn fresh_bytes() -> [u8; 16] {
    use hallpass_core::random::Random;
    let mut bytes = [0; 16];
    OsRandom.fill(&mut bytes);
    bytes
}

/// The key that every instance under test has, but where a test is about keys.
pub const TEST_KEY: [u8; 32] = [7; 32];

fn router(app: &App) -> Router {
    // Only tests have routes that panic and that dawdle.
    let panics = || async { panic!("a secret in a panic: {}", crate::PASSWORD) as &'static str };
    let router = hallpass_api::router(app)
        .route("/test/panic", get(panics))
        .route("/test/dawdle", get(std::future::pending::<&'static str>));
    shell::complete(router, app.keyless.clone())
}

/// The store of this test run: one engine in memory for all tests of the process, or a server that a variable names.
async fn store(around: impl FnOnce(SharedHttpClient) -> SharedHttpClient) -> (Client, TablePrefix, Recorder) {
    static RUN: AtomicU32 = AtomicU32::new(0);
    let recorder = Recorder::default();
    let (client, prefix) = if is_external() {
        let prefix = format!("test-{}-{}", std::process::id(), RUN.fetch_add(1, Ordering::SeqCst));
        (store::with_aws(around(recorder.around(https::client(CALLS_MAX).unwrap()))).await, prefix)
    } else {
        (store::over(around(recorder.around(engine().http_client()))), "test".to_owned())
    };
    let prefix: TablePrefix = prefix.parse().unwrap();
    TableNames::new(&prefix).ensure(&client).await.unwrap();
    (client, prefix, recorder)
}

#[expect(clippy::disallowed_methods, reason = "tests are told by the environment which store to use")]
fn is_external() -> bool {
    std::env::var(ENDPOINT_VARIABLE).is_ok()
}

/// One engine in memory for all tests of the process.
pub(crate) fn engine() -> &'static Embedded {
    static ENGINE: OnceLock<Embedded> = OnceLock::new();
    ENGINE.get_or_init(|| Embedded::in_memory().unwrap())
}
