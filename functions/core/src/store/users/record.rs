//! A user's item, read: the account, and what was guessed at it.
//!
//! Nothing that is there in a form we did not write counts as absent, nor what is there by half: a user without the second
//! factor that was turned on would pass with the password alone.

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use jiff::{Timestamp, fmt::serde::timestamp::millisecond::optional as millis};
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

/// The plain attributes of a user item.
#[derive(Debug, Deserialize)]
struct Record {
    username: Option<String>,
    email: Option<String>,
    #[serde(default, with = "millis")]
    created_at: Option<Timestamp>,
    credential_version: Option<CredentialVersion>,
    phc: Option<String>,
    last_time_step: Option<u64>,
    #[serde(default, with = "millis")]
    enrolment_expires_at: Option<Timestamp>,
    #[serde(default)]
    enrolment_failures: u32,
    #[serde(default)]
    password_failures: u32,
    #[serde(default, with = "millis")]
    password_retry_at: Option<Timestamp>,
    #[serde(default)]
    password_failures_known: u32,
    #[serde(default, with = "millis")]
    password_retry_at_known: Option<Timestamp>,
    #[serde(default)]
    code_failures: u32,
    #[serde(default)]
    code_failures_known: u32,
}

/// The binary attributes of a user item.
struct Secrets {
    totp: Option<SealedSecret>,
    enrolment: Option<SealedSecret>,
    recovery_digests: Vec<Vec<u8>>,
}

/// What is known under `id`: a user or nobody, and the failures that are counted.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub(crate) fn read_account(id: UserId, mut item: Item) -> Result<Account, StoreError> {
    if item.values().any(AttributeValue::is_null) {
        return Err(corrupt(id));
    }
    let secrets = Secrets::taken_from(&mut item)?;
    let record: Record = serde_dynamo::from_item(item)?;
    Ok(Account {
        id,
        password_guesses: [
            Guesses { failures: record.password_failures, retry_at: record.password_retry_at },
            Guesses { failures: record.password_failures_known, retry_at: record.password_retry_at_known },
        ],
        code_guesses: [record.code_failures, record.code_failures_known]
            .map(|failures| Guesses { failures, retry_at: None }),
        user: record.user(id, secrets)?,
    })
}

impl Record {
    fn user(self, id: UserId, secrets: Secrets) -> Result<Option<User>, StoreError> {
        let is_whole = secrets.totp.is_some() == self.last_time_step.is_some()
            && secrets.enrolment.is_some() == self.enrolment_expires_at.is_some()
            && (secrets.totp.is_some() || secrets.recovery_digests.is_empty());
        if !is_whole {
            return Err(corrupt(id));
        }
        let enrolment = secrets.enrolment.zip(self.enrolment_expires_at).map(|(secret, expires_at)| PendingEnrolment {
            secret,
            expires_at,
            failures: self.enrolment_failures,
        });
        match (self.username, self.phc, self.credential_version, self.created_at) {
            (Some(username), Some(phc), Some(credential_version), Some(created_at)) => Ok(Some(User {
                profile: Profile { id, username, email: self.email, totp_enabled: secrets.totp.is_some(), created_at },
                credential_version,
                phc: Phc::stored(phc),
                totp_secret: secrets.totp,
                last_time_step: self.last_time_step,
                recovery_digests: secrets.recovery_digests,
                enrolment,
            })),
            (None, None, None, None) => Ok(None),
            _ => Err(corrupt(id)),
        }
    }
}

impl Secrets {
    fn taken_from(item: &mut Item) -> Result<Self, StoreError> {
        let mut sealed = |name: &str| match item.remove(name) {
            Some(AttributeValue::B(blob)) => Ok(Some(SealedSecret(blob.into_inner()))),
            Some(_) => Err(StoreError::Corrupt(format!("a user's {name}"))),
            None => Ok(None),
        };
        let (totp, enrolment) = (sealed(attribute::TOTP)?, sealed(attribute::ENROLMENT)?);
        let recovery_digests = match item.remove(attribute::RECOVERY) {
            Some(AttributeValue::Bs(digests)) => digests.into_iter().map(Blob::into_inner).collect(),
            Some(_) => return Err(StoreError::Corrupt(format!("a user's {}", attribute::RECOVERY))),
            None => Vec::new(),
        };
        Ok(Self { totp, enrolment, recovery_digests })
    }
}

fn corrupt(id: UserId) -> StoreError {
    StoreError::Corrupt(format!("user {id}"))
}
