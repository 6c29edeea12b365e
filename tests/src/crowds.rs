//! Crowds: many clients who want the same thing at once, of which there is a known number (attacks 5.3, 5.18, 5.22, 5.41).
//!
//! So many as wait for a hash at each instance at most ([`WIDTH_MAX`]): more are told to come back.

use std::{fmt, sync::Arc};

use futures_util::future::join_all;
use hallpass_core::accounts::hasher::Hasher;
use serde_json::{Value, json};
use tokio::sync::Barrier;

use crate::{
    Answer, Browser, PASSWORD, World,
    histories::{INSTANCES, LIMIT},
    world::{fresh_address, fresh_name},
};

/// What a crowd wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prize {
    /// The second step by one code, of a login each.
    Code,
    /// The second step by one recovery code, of a login each.
    RecoveryCode,
    /// An account of one name.
    Name,
    /// A limited resource, all as one client.
    Quota,
    /// To hear that a password is wrong.
    Guess,
}

/// The widest crowd of which nobody is turned away unheard.
pub const WIDTH_MAX: usize = INSTANCES * Hasher::QUEUE_MAX;

/// Wrong passwords in a row that are answered before guesses are held.
const GUESSES: usize = 10;

impl Prize {
    /// All there are.
    pub const ALL: [Self; 5] = [Self::Code, Self::RecoveryCode, Self::Name, Self::Quota, Self::Guess];

    /// How many get it, however many want it.
    #[must_use]
    pub const fn number(self) -> usize {
        match self {
            Self::Code | Self::RecoveryCode | Self::Name => 1,
            Self::Quota => LIMIT,
            Self::Guess => GUESSES,
        }
    }

    /// The status of who gets it, and the problem of everybody else.
    const fn answers(self) -> (u16, &'static str) {
        match self {
            Self::Code | Self::RecoveryCode => (200, "invalid-code"),
            Self::Name => (201, "username-taken"),
            Self::Quota => (200, "rate-limited"),
            Self::Guess => (401, "rate-limited"),
        }
    }
}

impl fmt::Display for Prize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Code => "a code",
            Self::RecoveryCode => "a recovery code",
            Self::Name => "a name",
            Self::Quota => "a quota",
            Self::Guess => "guesses",
        })
    }
}

/// What a crowd was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// How many got it.
    pub won: usize,
    /// How many were refused as they must be.
    pub refused: usize,
    /// What others were told.
    pub others: Vec<String>,
}

/// What so many clients are told who all want it at once, spread over instances of [`crate::histories::instances`].
pub async fn race(instances: &[World], prize: Prize, width: usize) -> Outcome {
    let (status, refusal) = prize.answers();
    let mut outcome = Outcome { won: 0, refused: 0, others: Vec::new() };
    for answer in answers(instances, prize, width).await {
        if answer.status.as_u16() == status {
            outcome.won += 1;
        } else if answer.problem().as_deref() == Some(refusal) {
            outcome.refused += 1;
        } else {
            outcome.others.push(answer.text());
        }
    }
    outcome
}

async fn answers(instances: &[World], prize: Prize, width: usize) -> Vec<Answer> {
    match prize {
        Prize::Code => {
            let (pending, code, _) = pending(instances, width).await;
            post(pending, "/login/verify", json!({ "code": code })).await
        }
        Prize::RecoveryCode => {
            let (pending, _, recovery_code) = pending(instances, width).await;
            post(pending, "/login/verify", json!({ "recovery_code": recovery_code })).await
        }
        Prize::Name => {
            let body = json!({ "username": fresh_name(), "password": PASSWORD });
            post(crowd(instances, width).collect(), "/register", body).await
        }
        Prize::Quota => {
            let client = fresh_address();
            let crowd = instances.iter().cycle().take(width).map(|instance| instance.browser_at(client));
            at_once(crowd.map(|mut browser| async move { browser.get("/api/resource").await })).await
        }
        Prize::Guess => {
            let (name, _) = instances[0].somebody().await;
            let body = json!({ "username": name, "password": "not the password" });
            post(crowd(instances, width).collect(), "/login", body).await
        }
    }
}

fn crowd(instances: &[World], width: usize) -> impl Iterator<Item = Browser> {
    instances.iter().cycle().take(width).map(World::browser)
}

/// Logins of one account in wait for their second step, with a code and a recovery code that would do.
async fn pending(instances: &[World], width: usize) -> (Vec<Browser>, String, String) {
    let (name, _, authenticator, codes) = instances[0].somebody_with_totp().await;
    let logins = at_once(crowd(instances, width).map(|mut browser| {
        let name = name.clone();
        async move {
            browser.log_in(&name).await;
            browser
        }
    }));
    (logins.await, authenticator.code(instances[0].now()), codes[0].clone())
}

async fn post(crowd: Vec<Browser>, path: &'static str, body: Value) -> Vec<Answer> {
    at_once(crowd.into_iter().map(|mut browser| {
        let body = body.clone();
        async move { browser.post(path, body).await }
    }))
    .await
}

/// Runs all of them, each on a task that waits until the others are there too; what came of them, in their order.
pub async fn at_once<T: Send + 'static>(
    tasks: impl Iterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let tasks: Vec<_> = tasks.collect();
    let barrier = Arc::new(Barrier::new(tasks.len()));
    let started = tasks.into_iter().map(|task| {
        let barrier = Arc::clone(&barrier);
        tokio::spawn(async move {
            barrier.wait().await;
            task.await
        })
    });
    join_all(started).await.into_iter().map(Result::unwrap).collect()
}
