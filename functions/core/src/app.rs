//! The states that routers are given. Handlers take the parts they need, and so their powers stand in their signatures.
//!
//! There are two, since most of what runs needs no key: a function that checks sessions can't reach a password hash, a
//! key or the users' table, by type.

use std::{ops::Deref, sync::Arc};

use aws_sdk_dynamodb::Client;
use axum::extract::FromRef;

use crate::{
    accounts::{hasher::Hasher, known_device::KnownDevices, passwords::Passwords, registration::Registrar},
    clock::SharedClock,
    config::Settings,
    guard::Guard,
    keyset::KeySet,
    pages::Pages,
    random::SharedRandom,
    rate_limit::limiter::Limiter,
    second_factor::SecondFactor,
    sessions::{cache::Revisions, keeper::Keeper},
    store::{Counters, Sessions, Users, tables::TableNames},
};

/// What no key is needed for: sessions and limits. A cheap clone.
#[derive(Clone)]
pub struct Keyless(Arc<KeylessPowers>);

/// The powers in [`Keyless`].
pub struct KeylessPowers {
    /// Settings in force.
    pub settings: Arc<Settings>,
    /// The present.
    pub clock: SharedClock,
    /// Unpredictable bytes.
    pub random: SharedRandom,
    /// Charges quotas.
    pub limiter: Limiter,
    /// Opens and ends sessions.
    pub keeper: Keeper,
    /// Judges requests to guarded APIs.
    pub guard: Guard,
    /// Renders pages for people.
    pub pages: Pages,
}

/// Everything the endpoints share. A cheap clone.
#[derive(Clone)]
pub struct App(Arc<AppPowers>);

/// The powers in [`App`].
pub struct AppPowers {
    /// What no key is needed for.
    pub keyless: Keyless,
    /// Makes accounts.
    pub registrar: Registrar,
    /// Checks passwords.
    pub passwords: Passwords,
    /// Checks second steps.
    pub second_factor: SecondFactor,
    /// Knows devices.
    pub devices: KnownDevices,
}

/// What a [`Keyless`] is made of.
pub struct Parts {
    /// Settings in force.
    pub settings: Settings,
    /// The store.
    pub client: Client,
    /// Tells when the store was written to, where all writes are seen; without it every session check reads the store.
    pub revisions: Option<Revisions>,
    /// The present.
    pub clock: SharedClock,
    /// Unpredictable bytes.
    pub random: SharedRandom,
}

/// What an [`App`] is made of besides.
pub struct Keyed {
    /// The keys.
    pub keys: KeySet,
    /// Threads that hash passwords, at least 1.
    pub hashing_threads: usize,
}

impl Keyless {
    /// Puts together what needs no key.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { settings, client, revisions, clock, random } = parts;
        let tables = TableNames::new(&settings.table_prefix);
        let sessions = Sessions::new(client.clone(), &tables);
        let limiter = Limiter::new(Counters::new(client, &tables), &settings.limits, &settings.guard.limits);
        let keeper = Keeper::new(sessions, revisions, settings.session.clone(), Arc::clone(&random));
        Self(Arc::new(KeylessPowers {
            guard: Guard::new(keeper.clone(), limiter.clone()),
            limiter,
            keeper,
            pages: Pages::new(&settings),
            settings: Arc::new(settings),
            clock,
            random,
        }))
    }
}

impl App {
    /// Puts an application together.
    ///
    /// # Errors
    /// When the system starts no more threads.
    pub fn new(parts: Parts, keyed: Keyed) -> std::io::Result<Self> {
        let Keyed { keys, hashing_threads } = keyed;
        let keys = Arc::new(keys);
        let tables = TableNames::new(&parts.settings.table_prefix);
        let users = Users::new(parts.client.clone(), &tables);
        let sessions = Sessions::new(parts.client.clone(), &tables);
        let keyless = Keyless::new(parts);
        let KeylessPowers { settings, random, .. } = &*keyless;
        let hasher = Hasher::start(settings.password.cost(), hashing_threads, Arc::clone(&keys), Arc::clone(random))?;
        let devices = KnownDevices::new(Arc::clone(&keys), Arc::clone(random));
        Ok(Self(Arc::new(AppPowers {
            registrar: Registrar::new(users.clone(), hasher.clone(), Arc::clone(random)),
            passwords: Passwords::new(users.clone(), hasher, Arc::clone(&keys), devices.clone()),
            second_factor: SecondFactor::new(
                users,
                sessions,
                keys,
                devices.clone(),
                Arc::clone(random),
                settings.issuer.clone(),
                settings.totp.clone(),
            ),
            devices,
            keyless,
        })))
    }
}

impl Deref for Keyless {
    type Target = KeylessPowers;

    fn deref(&self) -> &KeylessPowers {
        &self.0
    }
}

impl Deref for App {
    type Target = AppPowers;

    fn deref(&self) -> &AppPowers {
        &self.0
    }
}

impl FromRef<App> for Keyless {
    fn from_ref(app: &App) -> Self {
        app.keyless.clone()
    }
}

impl FromRef<Keyless> for Keeper {
    fn from_ref(keyless: &Keyless) -> Self {
        keyless.keeper.clone()
    }
}

impl FromRef<Keyless> for Guard {
    fn from_ref(keyless: &Keyless) -> Self {
        keyless.guard.clone()
    }
}

impl FromRef<Keyless> for Pages {
    fn from_ref(keyless: &Keyless) -> Self {
        keyless.pages.clone()
    }
}

impl FromRef<Keyless> for SharedClock {
    fn from_ref(keyless: &Keyless) -> Self {
        Self::clone(&keyless.clock)
    }
}

impl FromRef<Keyless> for Arc<Settings> {
    fn from_ref(keyless: &Keyless) -> Self {
        Self::clone(&keyless.settings)
    }
}
