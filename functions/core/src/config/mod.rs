//! Settings: the only door to the environment. Each field documents its variable, unit, default and bounds.
//!
//! Variables start with `HALLPASS_` and nest by `__`; a TOML file has the same names in lower case, nested by tables.
//! The environment wins over the file. An unknown name or a bad value stops the start with one line that names it.

mod limits;
mod pages;
mod source;
mod values;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

pub(crate) use self::values::{by_text, digits};
pub use self::{
    limits::{Function, InForce, LimitSetting, Limits},
    pages::{Accent, LogoUrl, PagesSettings},
    source::{SettingsError, Vars},
    values::{Issuer, PublicUrl, Span, StoreKind, TablePrefix, TrustedProxies},
};
use crate::{
    accounts::hasher::Hasher,
    rate_limit::{named::PolicyName, policy::Policy},
    sessions::session::Level,
};

/// Everything that can be set.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// `HALLPASS_LISTEN`: address and port of the server; `127.0.0.1:5000`.
    pub listen: SocketAddr,
    /// `HALLPASS_METRICS_LISTEN`: address and port of `/metrics`, in the container; none, and then there are none.
    pub metrics_listen: Option<SocketAddr>,
    /// `HALLPASS_PUBLIC_URL`: what users type, without a path; `http://localhost:5000`.
    pub public_url: PublicUrl,
    /// `HALLPASS_ISSUER`: the name shown in authenticator apps, without a colon; `Hallpass`.
    pub issuer: Issuer,
    /// `HALLPASS_STORE`: `embedded` or `dynamodb`.
    pub store: StoreKind,
    /// `HALLPASS_DATA_DIR`: folder of the embedded store's files; `./hallpass-data`.
    pub data_dir: PathBuf,
    /// `HALLPASS_TABLE_PREFIX`: tables are `<prefix>-users`, `-sessions`, `-counters`; `hallpass`.
    pub table_prefix: TablePrefix,
    /// `HALLPASS_KEYS_FILE`: file with the sealing keys; by default `keys` in the data directory, made at first start.
    pub keys_file: Option<PathBuf>,
    /// `HALLPASS_KEYS_SSM`: name of the SSM SecureString with the sealing keys.
    pub keys_ssm: Option<String>,
    /// `HALLPASS_TRUSTED_PROXIES`: networks whose forwarding headers are believed, comma-separated; none.
    pub trusted_proxies: TrustedProxies,
    /// `HALLPASS_SESSION__…`
    pub session: SessionSettings,
    /// `HALLPASS_LIMITS__…`
    pub limits: Limits,
    /// `HALLPASS_GUARD__…`
    pub guard: GuardSettings,
    /// `HALLPASS_AUTHORIZER__…`
    pub authorizer: AuthorizerSettings,
    /// `HALLPASS_TOTP__…`
    pub totp: TotpSettings,
    /// `HALLPASS_PASSWORD__…`
    pub password: PasswordSettings,
    /// `HALLPASS_PAGES__…`
    pub pages: PagesSettings,
    /// `HALLPASS_LOG`: tracing filter, such as `info` or `warn,hallpass=debug`; `info`.
    pub log: String,
}

/// How long sessions last (NIST SP 800-63B-4 2.2.3, ASVS 5.0 7.3).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "SessionsAsSet")]
pub struct SessionSettings {
    /// `HALLPASS_SESSION__IDLE`: inactivity timeout; `1h` or the lifetime if that is shorter, at least `1s`.
    pub idle: Span,
    /// `HALLPASS_SESSION__LIFETIME`: absolute lifetime; `24h`, at most `30d`.
    pub lifetime: Span,
    /// `HALLPASS_SESSION__MAX_PER_USER`: sessions at a time, 1 to 90; one more ends the oldest; `50`.
    pub max_per_user: u32,
}

/// The same as it is set: whether there is an inactivity timeout decides what it is without one.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SessionsAsSet {
    idle: Option<Span>,
    lifetime: Span,
    #[serde(deserialize_with = "values::number")]
    max_per_user: u32,
}

/// What guarded APIs may ask for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GuardSettings {
    /// `HALLPASS_GUARD__LIMITS__<NAME>`: a policy such as `20 per minute; 200 per hour` that a proxy may have charged by
    /// this name, each client address; none.
    pub limits: BTreeMap<PolicyName, Policy>,
}

/// What the authorizer of API Gateway demands of every request.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthorizerSettings {
    /// `HALLPASS_AUTHORIZER__LEVEL`: least level of the session, `aal1` or `aal2`; `aal1`.
    pub level: Level,
    /// `HALLPASS_AUTHORIZER__LIMIT`: name of a policy in `HALLPASS_GUARD__LIMITS` that is charged besides the limit
    /// `authz`; none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<PolicyName>,
}

/// How codes are checked (RFC 6238).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TotpSettings {
    /// `HALLPASS_TOTP__DRIFT_STEPS`: time steps of drift accepted each way, 0 to 2; `1`.
    #[serde(deserialize_with = "values::number")]
    pub drift_steps: u32,
}

/// What a password must be and costs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PasswordSettings {
    /// `HALLPASS_PASSWORD__MIN_LENGTH`: shortest password in characters, 8 to 64; `8`. NIST asks for 15 where no second step is used.
    #[serde(deserialize_with = "values::number")]
    pub min_length: u32,
    /// `HALLPASS_PASSWORD__MEMORY_KIB`: Argon2id memory in KiB; `19456`.
    #[serde(deserialize_with = "values::number")]
    pub memory_kib: u32,
    /// `HALLPASS_PASSWORD__ITERATIONS`: Argon2id passes, 1 to 32; `2`.
    #[serde(deserialize_with = "values::number")]
    pub iterations: u32,
    /// `HALLPASS_PASSWORD__PARALLELISM`: Argon2id lanes, 1 to 16; `1`.
    #[serde(deserialize_with = "values::number")]
    pub parallelism: u32,
}

/// The cost of one password hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argon2Cost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub iterations: u32,
    /// Lanes.
    pub parallelism: u32,
}

impl PasswordSettings {
    /// OWASP's equally strong choices of memory in KiB and iterations (Password Storage Cheat Sheet).
    const FLOOR: [(u32, u32); 5] = [(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5)];

    /// The cost in force.
    #[must_use]
    pub fn cost(&self) -> Argon2Cost {
        Argon2Cost { memory_kib: self.memory_kib, iterations: self.iterations, parallelism: self.parallelism }
    }

    /// Whether the cost is at least one of OWASP's choices (ASVS 5.0 11.4.2).
    #[must_use]
    pub fn is_strong(&self) -> bool {
        Self::FLOOR
            .iter()
            .any(|(memory_kib, iterations)| self.memory_kib >= *memory_kib && self.iterations >= *iterations)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 5000)),
            metrics_listen: None,
            public_url: PublicUrl::default(),
            issuer: Issuer::default(),
            store: StoreKind::Embedded,
            data_dir: PathBuf::from("./hallpass-data"),
            table_prefix: TablePrefix::default(),
            keys_file: None,
            keys_ssm: None,
            trusted_proxies: TrustedProxies::default(),
            session: SessionSettings::default(),
            limits: Limits::default(),
            guard: GuardSettings::default(),
            authorizer: AuthorizerSettings::default(),
            totp: TotpSettings::default(),
            password: PasswordSettings::default(),
            pages: PagesSettings::default(),
            log: "info".to_owned(),
        }
    }
}

impl SessionSettings {
    /// All sessions of a user and what goes with them must fit into one transaction.
    pub const PER_USER_MAX: u32 = 90;
}

impl Default for SessionSettings {
    fn default() -> Self {
        SessionsAsSet::default().into()
    }
}

impl Default for SessionsAsSet {
    fn default() -> Self {
        Self { idle: None, lifetime: Span::hours(24), max_per_user: 50 }
    }
}

impl From<SessionsAsSet> for SessionSettings {
    fn from(SessionsAsSet { idle, lifetime, max_per_user }: SessionsAsSet) -> Self {
        // Whoever shortens the lifetime alone has not asked for an error about the timeout.
        let idle = idle.unwrap_or_else(|| Span::hours(1).min(lifetime));
        Self { idle, lifetime, max_per_user }
    }
}

impl Default for AuthorizerSettings {
    fn default() -> Self {
        Self { level: Level::Aal1, limit: None }
    }
}

impl Default for TotpSettings {
    fn default() -> Self {
        Self { drift_steps: 1 }
    }
}

impl Default for PasswordSettings {
    fn default() -> Self {
        Self { min_length: 8, memory_kib: 19_456, iterations: 2, parallelism: 1 }
    }
}

impl Settings {
    /// Reads the settings of this process from `vars` over `file` (the text of a TOML file) over the defaults.
    ///
    /// # Errors
    /// [`SettingsError`]: one line that names the setting.
    pub fn read(vars: &Vars, file: Option<&str>) -> Result<Self, SettingsError> {
        let settings: Self = source::read(vars, file)?;
        settings.check()?;
        Ok(settings)
    }

    /// The settings in force as a TOML file that would set them.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).unwrap_or_default()
    }

    /// Bounds of numbers, and the rules that one value alone can't break.
    fn check(&self) -> Result<(), SettingsError> {
        let Self { session, password, totp, .. } = self;
        let within = |name: &str, value: u32, from: u32, to: u32| match (from..=to).contains(&value) {
            true => Ok(()),
            false => Err(SettingsError::new(name, format!("must be {from} to {to}, not {value}"))),
        };
        within("session.max_per_user", session.max_per_user, 1, SessionSettings::PER_USER_MAX)?;
        within("totp.drift_steps", totp.drift_steps, 0, 2)?;
        within("password.min_length", password.min_length, 8, 64)?;
        within("password.iterations", password.iterations, 1, Hasher::ITERATIONS_CEILING)?;
        within("password.parallelism", password.parallelism, 1, 16)?;
        within("password.memory_kib", password.memory_kib, 8 * password.parallelism, Hasher::COST_CEILING_KIB)?;
        if session.idle > session.lifetime {
            return Err(SettingsError::new("session.idle", "must not be longer than session.lifetime"));
        }
        if session.lifetime > Span::hours(30 * 24) {
            return Err(SettingsError::new("session.lifetime", "must be at most 30d"));
        }
        if !password.is_strong() && !self.public_url.is_localhost() {
            return Err(SettingsError::new(
                "password.memory_kib",
                "is too cheap for a public service: OWASP's floor is 19456 KiB with 2 iterations",
            ));
        }
        if self.authorizer.limit.as_ref().is_some_and(|name| !self.guard.limits.contains_key(name)) {
            return Err(SettingsError::new("authorizer.limit", "names no policy of guard.limits"));
        }
        self.limits.check()
    }
}

#[cfg(test)]
mod tests;
