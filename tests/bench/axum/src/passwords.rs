//! Argon2id on the blocking pool, as many hashes at once as there are cores.

use std::thread;

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use tokio::{sync::Semaphore, task};

pub struct Passwords {
    permits: Semaphore,
    /// Verified in place of an unknown user's, which so takes as long.
    nobodys: String,
}

fn argon2id() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(19_456, 2, 1, None).expect("parameters"))
}

fn hash(password: &str) -> String {
    argon2id().hash_password(password.as_bytes()).expect("a hash").to_string()
}

impl Passwords {
    pub fn new() -> Self {
        let cores = thread::available_parallelism().map_or(2, usize::from);
        // Made once and written down, or each start would hash.
        let nobodys = "$argon2id$v=19$m=19456,t=2,p=1$c29tZSBzYWx0IG9mIG91cnM$\
                       c29tZSBkaWdlc3Qgb2Ygb3VycywgMzIgYnl0ZXMgbG8"
            .to_owned();
        Self { permits: Semaphore::new(cores), nobodys }
    }

    pub async fn hash(&self, password: String) -> String {
        let _permit = self.permits.acquire().await.expect("never closed");
        task::spawn_blocking(move || hash(&password)).await.expect("a hash")
    }

    pub async fn verify(&self, password: String, stored: Option<String>) -> bool {
        let (known, stored) = (stored.is_some(), stored.unwrap_or_else(|| self.nobodys.clone()));
        let _permit = self.permits.acquire().await.expect("never closed");
        let matches = task::spawn_blocking(move || {
            let stored = PasswordHash::new(&stored).expect("a hash that we made");
            argon2id().verify_password(password.as_bytes(), &stored).is_ok()
        });
        matches.await.expect("a verdict") && known
    }
}
