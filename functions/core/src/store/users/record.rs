//! A user's item, read: the account, and what was guessed at it.

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use jiff::Timestamp;
use serde::Deserialize;

use super::change::attribute;
use crate::{
    accounts::{
        guessing::Guesses,
        hasher::Phc,
        user::{Account, CredentialVersion, PendingEnrolment, Profile, SealedSecret, User, UserId},
    },
    store::{Item, StoreError},
};

/// The plain attributes of a user item; binary ones are read by hand.
#[derive(Debug, Deserialize)]
struct Record {
    username: Option<String>,
    email: Option<String>,
    created_at: Option<i64>,
    credential_version: Option<CredentialVersion>,
    phc: Option<String>,
    last_time_step: Option<u64>,
    enrolment_expires_at: Option<i64>,
    #[serde(default)]
    enrolment_failures: u32,
    #[serde(default)]
    password_failures: u32,
    password_retry_at: Option<i64>,
    #[serde(default)]
    password_failures_known: u32,
    password_retry_at_known: Option<i64>,
    #[serde(default)]
    code_failures: u32,
    #[serde(default)]
    code_failures_known: u32,
}

/// What is known under `id`: a user or nobody, and the failures that are counted.
pub(crate) fn read_account(id: UserId, mut item: Item) -> Result<Account, StoreError> {
    let mut secret = |name: &str| match item.remove(name) {
        Some(AttributeValue::B(blob)) => Some(SealedSecret(blob.into_inner())),
        Some(_) | None => None,
    };
    let (totp_secret, enrolment_secret) = (secret(attribute::TOTP), secret(attribute::ENROLMENT));
    let recovery_digests = match item.remove(attribute::RECOVERY) {
        Some(AttributeValue::Bs(digests)) => digests.into_iter().map(Blob::into_inner).collect(),
        Some(_) | None => Vec::new(),
    };
    let record: Record = serde_dynamo::from_item(item)?;
    let at = |millis: i64| Timestamp::from_millisecond(millis).ok();
    let enrolment = enrolment_secret
        .zip(record.enrolment_expires_at.and_then(at))
        .map(|(secret, expires_at)| PendingEnrolment { secret, expires_at, failures: record.enrolment_failures });
    let user = match (record.username, record.phc, record.credential_version, record.created_at.and_then(at)) {
        (Some(username), Some(phc), Some(credential_version), Some(created_at)) => Some(User {
            profile: Profile { id, username, email: record.email, totp_enabled: totp_secret.is_some(), created_at },
            credential_version,
            phc: Phc::stored(phc),
            totp_secret,
            last_time_step: record.last_time_step,
            recovery_digests,
            enrolment,
        }),
        (None, None, None, None) => None,
        _ => return Err(StoreError::Corrupt(format!("user {id}"))),
    };
    let guesses = |failures: u32, retry_at: Option<i64>| Guesses { failures, retry_at: retry_at.and_then(at) };
    Ok(Account {
        id,
        user,
        password_guesses: [
            guesses(record.password_failures, record.password_retry_at),
            guesses(record.password_failures_known, record.password_retry_at_known),
        ],
        code_guesses: [guesses(record.code_failures, None), guesses(record.code_failures_known, None)],
    })
}
