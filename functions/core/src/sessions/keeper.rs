//! Keeps sessions: finds, lists and renews them. How they begin and end is in `opening` and `ending`.

use futures_util::FutureExt;
use jiff::Timestamp;

use super::{
    cache::{Revisions, SessionCache},
    session::{Method, Session},
    token::SessionToken,
};
use crate::{
    accounts::{
        passwords::PasswordError,
        user::{Profile, UserId},
    },
    config::SessionSettings,
    random::SharedRandom,
    second_factor::SecondFactorError,
    store::{Sessions, StoreError, Write, sessions::Found},
    turns::Turns,
};

/// The power to read, open and end sessions. A cheap clone.
#[derive(Clone)]
pub struct Keeper {
    pub(super) sessions: Sessions,
    cache: Option<SessionCache>,
    pub(super) settings: SessionSettings,
    pub(super) random: SharedRandom,
    pub(super) turns: Turns<UserId>,
}

/// A session that was just opened, with the only copy of its token.
#[derive(Debug)]
pub struct Opened {
    /// To be handed out once.
    pub token: SessionToken,
    /// What was stored.
    pub session: Session,
}

/// What became of a session that was to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It lived.
    Living,
    /// It was over by our clock, and by another's it may have lived.
    Over,
    /// None of that id lives.
    Nothing,
}

/// Why a session was not opened or renewed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Guesses at the password were held or the credentials changed between proof and commit.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The code was spent or the pending login died between proof and commit.
    #[error(transparent)]
    SecondFactor(#[from] SecondFactorError),
    /// A name of a new account is taken.
    #[error("the user name is taken")]
    UsernameTaken,
    /// An address of a new account is taken.
    #[error("the e-mail address is taken")]
    EmailTaken,
    /// What the write was for changed between proof and commit.
    #[error("the account changed meanwhile")]
    Superseded,
    /// The session died meanwhile, by revocation or another credential change.
    #[error("the session is no longer alive")]
    SessionDied,
    /// The store gave no answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Keeper {
    /// Keeps the sessions in `sessions`; remembers what it read where `revisions` tells for how long.
    #[must_use]
    pub fn new(
        sessions: Sessions,
        revisions: Option<Revisions>,
        settings: SessionSettings,
        random: SharedRandom,
    ) -> Self {
        Self { sessions, cache: revisions.map(SessionCache::new), settings, random, turns: Turns::default() }
    }

    /// The session behind `token`, if it lives; its use is written down at most once in a part of the idle timeout.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find(&self, token: &SessionToken, now: Timestamp) -> Result<Option<Session>, StoreError> {
        // Both boxed, so that a check that needs no store doesn't hold the room for it.
        let read = || self.sessions.find(token).boxed();
        let found = match &self.cache {
            Some(cache) => cache.find(token, read).await?,
            None => read().await?,
        };
        let Some(found) = found else {
            return Ok(None);
        };
        if found.is_lapse_due(now) {
            self.lapse(&found).boxed().await;
        }
        match found.live(now) {
            Some(session) => Ok(self.touched(session, now).await),
            None => Ok(None),
        }
    }

    /// A session that was found alive, with its use written down if that is due; `None` if it ended meanwhile.
    async fn touched(&self, mut session: Session, now: Timestamp) -> Option<Session> {
        if session.is_touch_due(&self.settings, now) {
            session.touch(&self.settings, now);
            match self.sessions.touch(&session).boxed().await {
                Ok(true) => {}
                Ok(false) => return None,
                // The session was read as alive; only its extension is lost.
                Err(error) => tracing::warn!(event = "session.touch_failed", %error),
            }
        }
        Some(session)
    }

    /// What is over by our clock is over by all: one that is behind, or is set back, must not find it alive again.
    async fn lapse(&self, found: &Found) {
        if let Err(error) = self.sessions.lapse(found).await {
            tracing::warn!(event = "session.lapse_failed", %error);
        }
    }

    /// Commits a credential change: the caller's write, the next epoch, and a new token for this session.
    ///
    /// # Errors
    /// [`OpenError::Superseded`] where the change no longer applies; [`OpenError::SessionDied`] where the session or all
    /// credentials changed meanwhile; [`OpenError::Store`].
    pub async fn renew(
        &self,
        session: &Session,
        change: Write,
        totp_enabled: bool,
        methods: Vec<Method>,
        now: Timestamp,
    ) -> Result<Opened, OpenError> {
        let token = SessionToken::generate(session.user.id, &*self.random);
        let user = Profile { totp_enabled, ..session.user.clone() };
        let renewed = session.renewed(token.id(), user, methods, &self.settings, now);
        let writes = vec![
            change,
            self.sessions.next_epoch(&renewed, session.epoch)?,
            self.sessions.put(&renewed)?,
            self.sessions.delete_present(session.user.id, session.id)?,
        ];
        match self.sessions.commit(writes).await? {
            Ok(()) => Ok(Opened { token, session: renewed }),
            // The change alone failed; session and epoch stand: what the change was for has changed.
            Err(refused) if refused.only_at(0).is_some() => Err(OpenError::Superseded),
            Err(_) => Err(OpenError::SessionDied),
        }
    }

    /// Commits a write on behalf of a session, on condition that the session is still open.
    ///
    /// # Errors
    /// [`OpenError::Superseded`], [`OpenError::SessionDied`], [`OpenError::Store`].
    pub async fn commit_for(&self, session: &Session, write: Write) -> Result<(), OpenError> {
        let writes = vec![self.sessions.still_listed(session)?, self.sessions.not_lapsed(session)?, write];
        self.sessions.commit(writes).await?.map_err(|refused| match refused.only_at(2) {
            Some(_) => OpenError::Superseded,
            None => OpenError::SessionDied,
        })
    }

    /// A user's live sessions, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list(&self, user: UserId, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        self.sessions.live(user, now).boxed().await
    }
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").field("settings", &self.settings).finish_non_exhaustive()
    }
}
