//! Sessions and pending logins as records, and the rules that decide whether they live.

use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::token::{LoginId, SessionId};
use crate::{
    accounts::user::{CredentialVersion, Profile},
    clock::{later, to_rfc3339},
    config::SessionSettings,
    http::client::Client,
};

/// How a user proved who they are (RFC 8176 names).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Password.
    Pwd,
    /// One-time password: a TOTP code or a recovery code.
    Otp,
}

/// NIST SP 800-63B-4's authentication assurance levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// One factor.
    Aal1,
    /// Two factors.
    Aal2,
}

impl Method {
    /// The name in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pwd => "pwd",
            Self::Otp => "otp",
        }
    }
}

impl Level {
    /// The name in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aal1 => "aal1",
            Self::Aal2 => "aal2",
        }
    }

    /// Always computed from the methods, never stored beside them (attack 5.8, Kratos CVE-2024-45042).
    #[must_use]
    pub fn of(methods: &[Method]) -> Self {
        match methods.contains(&Method::Pwd) && methods.contains(&Method::Otp) {
            true => Self::Aal2,
            false => Self::Aal1,
        }
    }
}

/// Not the name of a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a level is aal1 or aal2")]
pub struct LevelError;

impl FromStr for Level {
    type Err = LevelError;

    fn from_str(text: &str) -> Result<Self, LevelError> {
        [Self::Aal1, Self::Aal2].into_iter().find(|level| level.as_str() == text).ok_or(LevelError)
    }
}

/// A session as it is stored. The token is not in it, only the digest of its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The public id.
    pub id: SessionId,
    /// Who it belongs to, as of the login: no later change of credentials lets it live.
    pub user: Profile,
    /// When it was opened.
    pub created_at: Timestamp,
    /// Last use, to within a twentieth of the idle timeout.
    pub last_seen_at: Timestamp,
    /// When it ends without use.
    pub idle_expires_at: Timestamp,
    /// When it ends in any case.
    pub expires_at: Timestamp,
    /// The credential version it was opened under.
    pub epoch: CredentialVersion,
    /// What proved the user.
    pub methods: Vec<Method>,
    /// Where it was opened from.
    pub client: Client,
}

/// The part of a session that tells whether it lives.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Validity {
    pub(crate) epoch: CredentialVersion,
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub(crate) idle_expires_at: Timestamp,
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub(crate) expires_at: Timestamp,
}

impl Validity {
    pub(crate) fn is_live(&self, epoch: CredentialVersion, now: Timestamp) -> bool {
        self.epoch >= epoch && now < self.idle_expires_at && now < self.expires_at
    }
}

impl Session {
    /// The idle expiry is moved at most this many times in one idle timeout, so that a busy session costs few writes.
    const TOUCHES_PER_IDLE: i32 = 20;
    /// The idle expiry of a session that some clock saw to be over: it is over by every clock (attack 5.40).
    pub(crate) const LAPSED: Timestamp = Timestamp::UNIX_EPOCH;

    /// A session that begins now.
    #[must_use]
    pub(crate) fn begin(
        id: SessionId,
        user: Profile,
        epoch: CredentialVersion,
        methods: Vec<Method>,
        client: Client,
        settings: &SessionSettings,
        now: Timestamp,
    ) -> Self {
        let expires_at = later(now, settings.lifetime.duration());
        let idle_expires_at = later(now, settings.idle.duration()).min(expires_at);
        Self { id, user, created_at: now, last_seen_at: now, idle_expires_at, expires_at, epoch, methods, client }
    }

    /// The same session after a credential change: a new id, a new epoch, perhaps another level, the same end.
    #[must_use]
    pub(crate) fn renewed(
        &self,
        id: SessionId,
        user: Profile,
        methods: Vec<Method>,
        settings: &SessionSettings,
        now: Timestamp,
    ) -> Self {
        let mut renewed = Self { id, user, epoch: self.epoch.next(), methods, ..self.clone() };
        renewed.touch(settings, now);
        renewed
    }

    /// Whether it opens anything at `now`, its partition's epoch being `epoch`.
    ///
    /// A newer session than the epoch is one whose change was committed between the two reads; it lives.
    #[must_use]
    pub fn is_live(&self, epoch: CredentialVersion, now: Timestamp) -> bool {
        let Self { epoch: own, idle_expires_at, expires_at, .. } = *self;
        Validity { epoch: own, idle_expires_at, expires_at }.is_live(epoch, now)
    }

    /// Whether it is over by this clock, and may not be by others.
    pub(crate) fn is_lapse_due(&self, now: Timestamp) -> bool {
        self.idle_expires_at > Self::LAPSED && now >= self.idle_expires_at
    }

    /// Whether its use should be written down.
    #[must_use]
    pub(crate) fn is_touch_due(&self, settings: &SessionSettings, now: Timestamp) -> bool {
        now.duration_since(self.last_seen_at) >= settings.idle.duration() / Self::TOUCHES_PER_IDLE
    }

    /// Moves last use and idle expiry; never the absolute one (ASVS 5.0 7.3.2).
    pub(crate) fn touch(&mut self, settings: &SessionSettings, now: Timestamp) {
        self.last_seen_at = now;
        self.idle_expires_at = later(now, settings.idle.duration()).min(self.expires_at);
    }

    /// The level of this session.
    #[must_use]
    pub fn level(&self) -> Level {
        Level::of(&self.methods)
    }

    /// Its user, and the session as that user may see it.
    #[must_use]
    pub fn into_view(self, is_current: bool) -> (Profile, SessionView) {
        let level = self.level();
        let Self { id, user, created_at, last_seen_at, idle_expires_at, expires_at, methods, client, epoch: _ } = self;
        let view = SessionView {
            id: id.to_string(),
            current: is_current,
            created_at,
            last_seen_at,
            idle_expires_at,
            expires_at,
            level,
            methods,
            client,
        };
        (user, view)
    }
}

/// A login that has passed the password and waits for the second step. Opens nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingLogin {
    /// Under which it is stored.
    pub id: LoginId,
    /// The credential version of the password step.
    pub epoch: CredentialVersion,
    /// When it is dead.
    pub expires_at: Timestamp,
    /// Wrong codes so far.
    pub failures: u32,
    /// Where a form's user wanted to go.
    pub next: Option<String>,
}

impl PendingLogin {
    /// Time for the second step.
    pub const LIFETIME: SignedDuration = SignedDuration::from_mins(5);
    /// Wrong codes until the password step must start anew.
    pub const FAILURES_MAX: u32 = 5;

    /// Whether a code may still be tried.
    #[must_use]
    pub fn is_live(&self, epoch: CredentialVersion, now: Timestamp) -> bool {
        self.epoch == epoch && now < self.expires_at && self.failures < Self::FAILURES_MAX
    }
}

/// A session as its user may see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Session)]
pub struct SessionView {
    /// The public id: a digest, not the token.
    pub id: String,
    /// Whether this request came with it.
    pub current: bool,
    /// When it was opened.
    #[serde(serialize_with = "to_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Last use, to within a twentieth of the idle timeout.
    #[serde(serialize_with = "to_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub last_seen_at: Timestamp,
    /// When it ends without use.
    #[serde(serialize_with = "to_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub idle_expires_at: Timestamp,
    /// When it ends in any case.
    #[serde(serialize_with = "to_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// One factor or two.
    pub level: Level,
    /// What proved the user, as RFC 8176 names.
    pub methods: Vec<Method>,
    /// Where it was opened from.
    pub client: Client,
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{accounts::user::UserId, config::Span, random::OsRandom, sessions::token::SessionToken};

    const NOON: Timestamp = Timestamp::constant(1_800_000_000, 0);
    const FIRST: CredentialVersion = CredentialVersion::FIRST;

    fn settings() -> SessionSettings {
        SessionSettings { idle: Span::hours(1), lifetime: Span::hours(24), max_per_user: 50 }
    }

    fn session() -> Session {
        let user = Profile {
            id: UserId(Uuid::from_u128(1)),
            username: "ada".into(),
            email: None,
            totp_enabled: false,
            created_at: NOON,
        };
        let id = SessionToken::generate(user.id, &OsRandom).id();
        Session::begin(
            id,
            user,
            FIRST,
            vec![Method::Pwd],
            Client { address: "192.0.2.1".into(), user_agent: String::new() },
            &settings(),
            NOON,
        )
    }

    fn at(seconds: i64) -> Timestamp {
        NOON + SignedDuration::from_secs(seconds)
    }

    #[test]
    fn a_session_lives_until_its_idle_timeout() {
        assert!(session().is_live(FIRST, at(3599)));
        assert!(!session().is_live(FIRST, at(3600)));
    }

    #[test]
    fn use_moves_the_idle_timeout_and_never_the_absolute_one() {
        let mut session = session();
        for hour in 1..48 {
            session.touch(&settings(), at(hour * 1800));
        }
        assert_eq!(session.expires_at, at(24 * 3600));
        assert!(session.is_live(FIRST, at(24 * 3600 - 1)));
        assert!(!session.is_live(FIRST, at(24 * 3600)));
    }

    #[test]
    fn a_session_of_an_older_epoch_is_dead_and_of_a_newer_one_alive() {
        assert!(!session().is_live(FIRST.next(), NOON));
        let renewed = session().renewed(session().id, session().user, vec![Method::Pwd], &settings(), NOON);
        assert!(renewed.is_live(FIRST, NOON) && renewed.is_live(FIRST.next(), NOON));
    }

    #[test]
    fn a_touch_is_due_once_in_a_twentieth_of_the_idle_timeout() {
        assert!(!session().is_touch_due(&settings(), at(179)));
        assert!(session().is_touch_due(&settings(), at(180)));
    }

    #[test]
    fn two_factors_make_aal2_and_one_does_not() {
        assert_eq!(Level::of(&[Method::Pwd]), Level::Aal1);
        assert_eq!(Level::of(&[Method::Otp, Method::Otp]), Level::Aal1);
        assert_eq!(Level::of(&[Method::Pwd, Method::Otp]), Level::Aal2);
    }

    #[test]
    fn a_pending_login_dies_of_age_of_failures_and_of_a_credential_change() {
        let id = crate::sessions::token::LoginToken::generate(UserId(Uuid::nil()), &OsRandom).id();
        let pending =
            PendingLogin { id, epoch: FIRST, expires_at: NOON + PendingLogin::LIFETIME, failures: 4, next: None };
        assert!(pending.is_live(FIRST, at(299)));
        assert!(!pending.is_live(FIRST, at(300)));
        assert!(!pending.is_live(FIRST.next(), NOON));
        assert!(!PendingLogin { failures: 5, ..pending }.is_live(FIRST, NOON));
    }
}
