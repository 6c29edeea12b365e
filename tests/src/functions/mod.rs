//! The Lambda functions as AWS runs them: each in its own process under AWS's runtime interface emulator, behind a
//! small gateway that routes by the template's own routes, over a store that knows the template's own policies.

mod event;
mod instance;
mod store;
mod template;

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use axum::{
    body::Body,
    http::{Request, Response},
};
use hallpass_core::config::Settings;
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::sync::Semaphore;

use self::{instance::Instance, store::ServedStore};
pub use self::{
    store::{Grants, used_grants_file},
    template::{Route, Template},
};
use crate::{recorder::Recorder, say};

/// Names the folder with the functions as `cargo lambda build` leaves them: `<name>/bootstrap`.
pub const FOLDER_VARIABLE: &str = "HALLPASS_TEST_FUNCTIONS";
/// Names AWS's runtime interface emulator.
const EMULATOR_VARIABLE: &str = "HALLPASS_TEST_EMULATOR";
/// Names the library that lets a test move a process's clock.
const FAKETIME_VARIABLE: &str = "HALLPASS_TEST_FAKETIME";

/// What the environment says of how functions are to be tested.
#[derive(Debug, Clone)]
pub struct Toolchain {
    /// Folder with the functions.
    pub folder: PathBuf,
    emulator: PathBuf,
    faketime: Option<PathBuf>,
}

impl Toolchain {
    /// `None` where the routers are tested in this process.
    #[must_use]
    pub fn of_process() -> Option<Self> {
        #[expect(clippy::disallowed_methods, reason = "tests are told by the environment what to run against")]
        let named = |name: &str| std::env::var(name).map(PathBuf::from);
        let folder = named(FOLDER_VARIABLE).ok()?;
        let needed = |name: &str| named(name).unwrap_or_else(|_| panic!("{FOLDER_VARIABLE} needs {name}"));
        Some(Self { folder, emulator: needed(EMULATOR_VARIABLE), faketime: Some(needed(FAKETIME_VARIABLE)) })
    }

    /// Functions whose clock nobody moves.
    #[must_use]
    pub fn untouched(folder: PathBuf, emulator: PathBuf) -> Self {
        Self { folder, emulator, faketime: None }
    }
}

/// One deployment: every function, started when it is first asked.
pub struct Deployment {
    toolchain: Toolchain,
    vars: BTreeMap<String, String>,
    store: Arc<ServedStore>,
    /// Holds the keys and the clock.
    folder: TempDir,
    pools: Mutex<HashMap<String, Arc<Pool>>>,
}

/// The running copies of one function. Each answers one event at a time, so more are started while they are busy.
struct Pool {
    idle: Mutex<Vec<Instance>>,
    places: Semaphore,
}

/// Copies of a function at a time; events beyond that wait.
pub const COPIES_MAX: usize = 4;

impl Default for Pool {
    fn default() -> Self {
        Self { idle: Mutex::default(), places: Semaphore::new(COPIES_MAX) }
    }
}

/// The template that would be deployed.
pub static TEMPLATE: LazyLock<Template> =
    LazyLock::new(|| Template::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml")));

impl Deployment {
    /// A deployment with these settings, over the store of this test run.
    pub fn new(toolchain: Toolchain, settings: &Settings, recorder: Recorder, now: Timestamp) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = data_encoding::BASE64.encode(&crate::world::TEST_KEY);
        std::fs::write(folder.path().join("keys"), key).unwrap();
        let deployment = Self {
            toolchain,
            vars: vars(settings),
            store: Arc::new(ServedStore::start(recorder, settings.table_prefix.as_str())),
            folder,
            pools: Mutex::default(),
        };
        deployment.set_clock(now);
        deployment
    }

    /// The same deployment with one more variable for its functions, or another value for one.
    #[must_use]
    pub fn with_var(mut self, name: &str, value: &str) -> Self {
        self.vars.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Moves the clock of every function.
    pub fn set_clock(&self, now: Timestamp) {
        let text = now.strftime("%Y-%m-%d %H:%M:%S").to_string();
        // In one step, so that no process reads half a time.
        let unfinished = self.folder.path().join("clock.new");
        std::fs::write(&unfinished, text).unwrap();
        std::fs::rename(unfinished, self.clock_file()).unwrap();
    }

    fn clock_file(&self) -> PathBuf {
        self.folder.path().join("clock")
    }

    /// How long a cold start of a function takes until it asks for its first event.
    pub async fn init_time(&self, function: &str) -> Duration {
        let mut vars = self.vars_of(function);
        vars.remove("LD_PRELOAD");
        instance::init_time(&self.binary(function), &vars).await
    }

    /// What API Gateway does: finds the route, makes an event of the request and a response of the answer.
    pub async fn send(&self, request: Request<Body>, source: IpAddr) -> Response<Body> {
        let Some(route) = TEMPLATE.route(request.method().as_str(), request.uri().path()) else {
            // The gateway's own words.
            return Response::builder().status(404).body(Body::from(r#"{"message":"Not Found"}"#)).unwrap();
        };
        let event = event::of(request, &route.key, source).await;
        event::answered(self.invoke(&route.function, event.to_string()).await)
    }

    /// Hands an event to a function; its answer, or its error, as text.
    pub async fn invoke(&self, function: &str, event: String) -> String {
        let pool = Arc::clone(self.pools.lock().unwrap().entry(function.to_owned()).or_default());
        let _place = pool.places.acquire().await.unwrap();
        let idle = pool.idle.lock().unwrap().pop();
        let mut instance = match idle {
            Some(instance) => instance,
            None => self.start(function).await,
        };
        let mut answer = instance.invoke(event.clone()).await;
        if answer.is_empty() {
            // A function always answers something. On a busy machine the emulator may lose the first event of a copy.
            say(&format!("the emulator lost an event of {function}; asked again"));
            instance = self.start(function).await;
            answer = instance.invoke(event).await;
        }
        pool.idle.lock().unwrap().push(instance);
        answer
    }

    async fn start(&self, function: &str) -> Instance {
        // Who has the time that really passes wants to see what happens; a test only how it ends.
        let is_shown = self.toolchain.faketime.is_none();
        Instance::start(&self.toolchain.emulator, &self.binary(function), &self.vars_of(function), is_shown).await
    }

    /// As `cargo lambda build` leaves them, or as `cargo build` does.
    fn binary(&self, function: &str) -> PathBuf {
        let path = self.toolchain.folder.join(function);
        if path.is_dir() { path.join("bootstrap") } else { path }
    }

    fn clock_vars(&self, library: &Path) -> [(String, String); 6] {
        [
            ("LD_PRELOAD", library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.clock_file().display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            // Deadlines are measured, not dated.
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("TZ", "UTC".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
    }

    fn vars_of(&self, function: &str) -> BTreeMap<String, String> {
        let mut vars = BTreeMap::new();
        let file = |name: &str| self.folder.path().join(name).display().to_string();
        vars.extend(
            [
                ("HALLPASS_KEYS_FILE", file("keys")),
                ("AWS_ENDPOINT_URL_DYNAMODB", self.store.url()),
                ("AWS_REGION", "us-east-1".to_owned()),
                // Tells the store who is asking.
                ("AWS_ACCESS_KEY_ID", function.to_owned()),
                ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        vars.extend(self.toolchain.faketime.iter().flat_map(|library| self.clock_vars(library)));
        vars.extend(self.vars.clone());
        vars
    }
}

/// Settings as a function is given them: by its environment.
fn vars(settings: &Settings) -> BTreeMap<String, String> {
    let mut vars = BTreeMap::new();
    flatten("HALLPASS", &toml::Value::Table(settings.to_toml().parse().unwrap()), &mut vars);
    // A public address with hashes this cheap would stop the start; the price is paid here.
    if settings.public_url.is_https() {
        vars.retain(|name, _| !name.starts_with("HALLPASS_PASSWORD__"));
    }
    // A folder and an address, neither of which a function has; the store is DynamoDB by itself.
    for name in ["HALLPASS_LISTEN", "HALLPASS_DATA_DIR", "HALLPASS_STORE"] {
        vars.remove(name);
    }
    vars
}

fn flatten(name: &str, value: &toml::Value, vars: &mut BTreeMap<String, String>) {
    match value {
        toml::Value::Table(table) => {
            let separator = if name == "HALLPASS" { "_" } else { "__" };
            for (key, value) in table {
                flatten(&format!("{name}{separator}{}", key.to_uppercase()), value, vars);
            }
        }
        toml::Value::Array(values) => {
            let texts: Vec<&str> = values.iter().map(|value| value.as_str().unwrap()).collect();
            if !texts.is_empty() {
                vars.insert(name.to_owned(), texts.join(","));
            }
        }
        toml::Value::String(text) => drop(vars.insert(name.to_owned(), text.clone())),
        number @ (toml::Value::Integer(_)
        | toml::Value::Float(_)
        | toml::Value::Boolean(_)
        | toml::Value::Datetime(_)) => {
            drop(vars.insert(name.to_owned(), number.to_string()));
        }
    }
}
