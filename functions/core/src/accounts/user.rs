//! A user as the other parts know one.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    guessing::{Guesses, Lane},
    hasher::Phc,
};
use crate::clock::to_rfc3339;

/// A user's identity: random, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserId(pub Uuid);

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a user may see of themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = User)]
pub struct Profile {
    /// The user's id.
    #[schema(value_type = String, format = "uuid")]
    pub id: UserId,
    /// The user name as it was typed at registration.
    pub username: String,
    /// The e-mail address as it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether a second step is due at login.
    pub totp_enabled: bool,
    /// When the account was made.
    #[serde(serialize_with = "to_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// A number that grows with every credential change. Sessions carry it; an older one is dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CredentialVersion(pub u64);

impl CredentialVersion {
    /// The version of a new account.
    pub const FIRST: Self = Self(1);

    /// The version after a change.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// A TOTP secret under seal, as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedSecret(pub(crate) Vec<u8>);

impl fmt::Debug for SealedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedSecret(hidden)")
    }
}

/// An enrolment that was started and not yet confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingEnrolment {
    /// The secret that the authenticator app was shown.
    pub secret: SealedSecret,
    /// When it is forgotten.
    pub expires_at: Timestamp,
    /// Wrong codes so far.
    pub failures: u32,
}

impl PendingEnrolment {
    /// Wrong codes until an enrolment must start anew.
    pub const FAILURES_MAX: u32 = 10;

    /// Whether a code may still be tried.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        now < self.expires_at && self.failures < Self::FAILURES_MAX
    }
}

/// A user with everything that credentials are checked against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// What the user may see.
    pub profile: Profile,
    /// See [`CredentialVersion`].
    pub credential_version: CredentialVersion,
    /// The password's hash.
    pub phc: Phc,
    /// The TOTP secret, when two-step verification is on.
    pub totp_secret: Option<SealedSecret>,
    /// The last time step that was accepted; it and all before it are burnt.
    pub last_time_step: Option<u64>,
    /// SHA-256 digests of the recovery codes that are left.
    pub recovery_digests: Vec<Vec<u8>>,
    /// An enrolment under way.
    pub enrolment: Option<PendingEnrolment>,
}

/// What the table holds under one user id: perhaps a user, and in any case what was guessed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The id that was asked for.
    pub id: UserId,
    /// `None` for a name that nobody has.
    pub user: Option<User>,
    pub(crate) password_guesses: [Guesses; 2],
    pub(crate) code_guesses: [Guesses; 2],
}

impl Account {
    /// Password failures in a row in one lane.
    #[must_use]
    pub fn password_guesses(&self, lane: Lane) -> Guesses {
        of_lane(&self.password_guesses, lane)
    }

    /// Second-step failures in a row in one lane.
    #[must_use]
    pub fn code_guesses(&self, lane: Lane) -> Guesses {
        of_lane(&self.code_guesses, lane)
    }

    /// Whether any password failure is on record, in either lane.
    #[must_use]
    pub(crate) fn has_password_failures(&self) -> bool {
        self.password_guesses.iter().any(|guesses| *guesses != Guesses::default())
    }
}

fn of_lane(guesses: &[Guesses; 2], lane: Lane) -> Guesses {
    let [stranger, known] = *guesses;
    match lane {
        Lane::Stranger => stranger,
        Lane::Known => known,
    }
}
