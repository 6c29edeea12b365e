//! The state that every router is given. Handlers take the parts they need, and so their powers stand in their signatures.

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use axum::extract::FromRef;

use crate::{
    accounts::{hasher::Hasher, known_device::KnownDevices, passwords::Passwords, registration::Registrar},
    clock::SharedClock,
    config::Settings,
    keyset::KeySet,
    random::SharedRandom,
    rate_limit::limiter::Limiter,
    second_factor::SecondFactor,
    sessions::keeper::Keeper,
    store::{Counters, Sessions, Users, tables::TableNames},
};

/// Everything the endpoints share. A cheap clone.
#[derive(Clone, FromRef)]
pub struct App {
    /// Settings in force.
    pub settings: Arc<Settings>,
    /// The present.
    pub clock: SharedClock,
    /// Unpredictable bytes.
    pub random: SharedRandom,
    /// Charges quotas.
    pub limiter: Limiter,
    /// Makes accounts.
    pub registrar: Registrar,
    /// Checks passwords.
    pub passwords: Passwords,
    /// Answers whether the store does.
    pub users: Users,
    /// Checks second steps.
    pub second_factor: SecondFactor,
    /// Opens and ends sessions.
    pub keeper: Keeper,
    /// Knows devices.
    pub devices: KnownDevices,
}

/// What an [`App`] is made of.
pub struct Parts {
    /// Settings in force.
    pub settings: Settings,
    /// The store.
    pub client: Client,
    /// The keys.
    pub keys: KeySet,
    /// Threads that hash passwords, at least 1.
    pub hashing_threads: usize,
    /// The present.
    pub clock: SharedClock,
    /// Unpredictable bytes.
    pub random: SharedRandom,
}

impl App {
    /// Puts an application together.
    ///
    /// # Errors
    /// When the system starts no more threads.
    pub fn new(parts: Parts) -> std::io::Result<Self> {
        let Parts { settings, client, keys, hashing_threads, clock, random } = parts;
        let keys = Arc::new(keys);
        let tables = TableNames::new(&settings.table_prefix);
        let users = Users::new(client.clone(), &tables);
        let sessions = Sessions::new(client.clone(), &tables);
        let hasher = Hasher::start(settings.password.cost(), hashing_threads, Arc::clone(&keys), Arc::clone(&random))?;
        let devices = KnownDevices::new(Arc::clone(&keys), Arc::clone(&random));
        Ok(Self {
            limiter: Limiter::new(Counters::new(client, &tables), &settings.limits),
            registrar: Registrar::new(users.clone(), hasher.clone(), Arc::clone(&random)),
            passwords: Passwords::new(users.clone(), hasher.clone(), Arc::clone(&keys), devices.clone()),
            second_factor: SecondFactor::new(
                users.clone(),
                sessions.clone(),
                keys,
                devices.clone(),
                Arc::clone(&random),
                settings.issuer.clone(),
                settings.totp.clone(),
            ),
            keeper: Keeper::new(sessions, settings.session.clone(), Arc::clone(&random)),
            settings: Arc::new(settings),
            clock,
            random,
            users,
            devices,
        })
    }
}
