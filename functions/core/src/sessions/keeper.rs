//! Opens, renews and ends sessions. Every way in is a transaction with the proof that earned it.

use std::collections::HashSet;

use futures_util::FutureExt;
use jiff::Timestamp;

use super::{
    cache::{Revisions, SessionCache},
    session::{Method, PendingLogin, Session},
    token::{LoginToken, SessionId, SessionToken},
};
use crate::{
    accounts::{
        passwords::{PasswordError, PasswordVerified},
        registration::NewAccount,
        user::{CredentialVersion, Profile, UserId},
    },
    config::SessionSettings,
    http::client::Client,
    random::SharedRandom,
    second_factor::{SecondFactor, SecondFactorError, SecondFactorVerified},
    store::{
        Item, Refused, Sessions, StoreError, Write,
        sessions::{UserPartition, read_epoch},
    },
    turns::Turns,
};

/// The power to read, open and end sessions. A cheap clone.
#[derive(Clone)]
pub struct Keeper {
    sessions: Sessions,
    cache: Option<SessionCache>,
    settings: SessionSettings,
    random: SharedRandom,
    turns: Turns<UserId>,
}

/// A session that was just opened, with the only copy of its token.
#[derive(Debug)]
pub struct Opened {
    /// To be handed out once.
    pub token: SessionToken,
    /// What was stored.
    pub session: Session,
}

/// What a right password opens.
#[derive(Debug)]
pub enum PasswordStep {
    /// No second step is due.
    Opened(Box<Opened>),
    /// A second step is due; the token opens nothing else.
    Pending {
        /// To be handed out once.
        token: LoginToken,
        /// When it is dead.
        expires_at: Timestamp,
    },
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

/// Losing the last free place to others more often than this means they will end each other's sessions forever.
const OPEN_TRIES: u32 = 16;
/// Ending others while new ones open is tried this often in vain.
const END_TRIES: u32 = 8;
/// DynamoDB commits no more writes than this at once.
const WRITES_MAX: usize = 100;

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
        let read = || self.sessions.find(token);
        let found = match &self.cache {
            Some(cache) => cache.find(token, read).await?,
            None => read().await?,
        };
        let Some(mut session) = found.and_then(|found| found.live(now)) else {
            return Ok(None);
        };
        if session.is_touch_due(&self.settings, now) {
            session.touch(&self.settings, now);
            match self.sessions.touch(&session).await {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                // The session was read as alive; only its extension is lost.
                Err(error) => tracing::warn!(event = "session.touch_failed", %error),
            }
        }
        Ok(Some(session))
    }

    /// Makes an account together with its first session.
    ///
    /// # Errors
    /// [`OpenError::UsernameTaken`], [`OpenError::EmailTaken`], [`OpenError::Store`].
    pub async fn open_first(&self, account: NewAccount, client: Client, now: Timestamp) -> Result<Opened, OpenError> {
        let NewAccount { user, mut writes } = account;
        let opened = self.begin(user.profile, user.credential_version, vec![Method::Pwd], client, now);
        writes.push(self.sessions.first_epoch(&opened.session)?);
        writes.push(self.sessions.put(&opened.session)?);
        match self.sessions.commit(writes).await? {
            Ok(()) => Ok(opened),
            // In the order of `Users::create`: the user, the name, the address.
            Err(refused) if refused.at(1).is_some() => Err(OpenError::UsernameTaken),
            Err(_) => Err(OpenError::EmailTaken),
        }
    }

    /// Opens a session, or a pending login where a second step is due. `replaced` is a session that the request came with.
    ///
    /// # Errors
    /// [`OpenError::Password`], [`OpenError::Store`].
    pub async fn open(
        &self,
        proof: PasswordVerified,
        client: Client,
        replaced: Option<&SessionToken>,
        next: Option<String>,
        now: Timestamp,
    ) -> Result<PasswordStep, OpenError> {
        let PasswordVerified { user, lane, write, .. } = proof;
        let id = user.profile.id;
        let why = |refused: &Refused| PasswordVerified::why_refused(id, lane, refused, 0, now);
        if user.totp_secret.is_some() {
            let token = LoginToken::generate(id, &*self.random);
            let expires_at = now.saturating_add(PendingLogin::LIFETIME).unwrap_or(Timestamp::MAX);
            let pending =
                PendingLogin { id: token.id(), epoch: user.credential_version, expires_at, failures: 0, next };
            let writes = vec![write, self.sessions.put_pending(id, &pending)?];
            return match self.sessions.commit(writes).await? {
                Ok(()) => Ok(PasswordStep::Pending { token, expires_at }),
                Err(refused) => Err(why(&refused).unwrap_or(PasswordError::Mismatch).into()),
            };
        }
        let opened = self.begin(user.profile, user.credential_version, vec![Method::Pwd], client, now);
        match self.list_and_commit(vec![write], &opened.session, replaced, now).boxed().await? {
            Ok(()) => Ok(PasswordStep::Opened(Box::new(opened))),
            Err(refused) => Err(why(&refused).unwrap_or(PasswordError::Mismatch).into()),
        }
    }

    /// Completes a pending login.
    ///
    /// # Errors
    /// [`OpenError::SecondFactor`], [`OpenError::Store`].
    pub async fn complete(
        &self,
        factor: &SecondFactor,
        proof: SecondFactorVerified,
        client: Client,
        replaced: Option<&SessionToken>,
        now: Timestamp,
    ) -> Result<Opened, OpenError> {
        let opened = self.begin(
            proof.user.profile.clone(),
            proof.user.credential_version,
            vec![Method::Pwd, Method::Otp],
            client,
            now,
        );
        match self.list_and_commit(proof.writes.clone(), &opened.session, replaced, now).boxed().await? {
            Ok(()) => Ok(opened),
            Err(refused) => Err(factor.refused(proof, &refused, now).boxed().await.into()),
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
            // The session and its epoch stand: what the change was for has changed.
            Err(refused) if (1..4).all(|index| refused.at(index).is_none()) => Err(OpenError::Superseded),
            Err(_) => Err(OpenError::SessionDied),
        }
    }

    /// Commits a write on behalf of a session, on condition that the session is still there.
    ///
    /// # Errors
    /// [`OpenError::Superseded`], [`OpenError::SessionDied`], [`OpenError::Store`].
    pub async fn commit_for(&self, session: &Session, write: Write) -> Result<(), OpenError> {
        let writes = vec![self.sessions.still_open(session)?, write];
        self.sessions.commit(writes).await?.map_err(|refused| match refused.at(0) {
            Some(_) => OpenError::SessionDied,
            None => OpenError::Superseded,
        })
    }

    /// A user's live sessions, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list(&self, user: UserId, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        self.sessions.live(user, now).boxed().await
    }

    /// Ends one session of `user`; `false` if none of that id lives.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end(&self, user: UserId, id: SessionId, now: Timestamp) -> Result<bool, StoreError> {
        let writes = vec![self.sessions.delete_live(user, id, now)?, self.sessions.unlist(user, &[id])?];
        Ok(self.sessions.commit(writes).await?.is_ok())
    }

    /// Ends every session of the user but this one, and every pending login; how many sessions they were.
    ///
    /// # Errors
    /// [`OpenError::SessionDied`], [`OpenError::Store`].
    pub async fn end_others(&self, session: &Session, now: Timestamp) -> Result<usize, OpenError> {
        let (mut ended, mut refusals) = (0, 0);
        while refusals < END_TRIES {
            let seen = self.sessions.look(session.user.id).boxed().await?;
            let live = seen.live_sessions(now)?;
            if !live.contains(&session.id) {
                return Err(OpenError::SessionDied);
            }
            let mut others = seen.listed_sessions();
            others.remove(&session.id);
            let mut writes = self.ending(session, &others, &seen, now)?;
            let live_others = live.iter().filter(|id| others.contains(id)).count();
            // All sessions fit, but who knows the password can begin any number of logins: the rest has the next turn.
            let is_all = writes.len() <= WRITES_MAX;
            writes.truncate(WRITES_MAX);
            match self.sessions.commit(writes).await? {
                Ok(()) if is_all => return Ok(ended + live_others),
                Ok(()) => ended += live_others,
                Err(refused) if refused.at(0).is_some() => return Err(OpenError::SessionDied),
                // A session was opened or ended meanwhile: look again.
                Err(_) => refusals += 1,
            }
        }
        Err(StoreError::Unavailable("the user's sessions change too fast".to_owned()).into())
    }

    /// On condition that the session is still there and no other was opened since `seen`, ends others and then pending
    /// logins. Whatever lives is listed, and what opens it changes the list, so that what the read missed is ended or refuses.
    fn ending(
        &self,
        session: &Session,
        others: &HashSet<SessionId>,
        seen: &UserPartition,
        now: Timestamp,
    ) -> Result<Vec<Write>, StoreError> {
        let user = session.user.id;
        let mut writes = vec![self.sessions.still_there(session)?, self.sessions.unlist_others(session, seen)?];
        for id in others {
            writes.push(self.sessions.delete(user, *id)?);
        }
        for id in seen.pending(now)? {
            writes.push(self.sessions.end_pending(user, id)?);
        }
        Ok(writes)
    }

    /// Ends whatever the tokens of a logout open, if anything.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn log_out(
        &self,
        session: Option<&SessionToken>,
        pending: Option<&LoginToken>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        if let Some(token) = pending {
            self.sessions.forget_pending(token).await?;
        }
        match session {
            Some(token) => self.end(token.user(), token.id(), now).await,
            None => Ok(false),
        }
    }

    fn begin(
        &self,
        user: Profile,
        epoch: CredentialVersion,
        methods: Vec<Method>,
        client: Client,
        now: Timestamp,
    ) -> Opened {
        let token = SessionToken::generate(user.id, &*self.random);
        let session = Session::begin(token.id(), user, epoch, methods, client, &self.settings, now);
        Opened { token, session }
    }

    /// Commits `proof` with a new session in a free place; where there is none, the oldest session makes room.
    ///
    /// The replaced session ends in the same transaction (ASVS 5.0 7.2.4). A refusal is one of the proof's writes.
    async fn list_and_commit(
        &self,
        proof: Vec<Write>,
        session: &Session,
        replaced: Option<&SessionToken>,
        now: Timestamp,
    ) -> Result<Result<(), Refused>, OpenError> {
        let user = session.user.id;
        let replaced = replaced.filter(|token| token.user() == user).map(SessionToken::id);
        let mut ended: Vec<SessionId> = replaced.into_iter().collect();
        let mut turn = None;
        for _ in 0..OPEN_TRIES {
            let mut writes = proof.clone();
            let list_index = writes.len();
            writes.push(self.sessions.list(session, &ended, self.settings.max_per_user)?);
            writes.push(self.sessions.put(session)?);
            for id in &ended {
                writes.push(self.sessions.delete(user, *id)?);
            }
            let refused = match self.sessions.commit(writes).await? {
                Ok(()) => return Ok(Ok(())),
                Err(refused) => refused,
            };
            match refused.at(list_index).filter(|_| (0..list_index).all(|index| refused.at(index).is_none())) {
                Some(item) if read_epoch(item) == Ok(session.epoch) => {
                    // Logins of one user that must make room for each other would spoil each other's choice.
                    if turn.is_none() {
                        turn = Some(self.turns.take(user).await);
                    }
                    ended = self.make_room(session, replaced, item, now).await?
                }
                // The proof was refused, or the credentials changed, which is the proof's business too.
                Some(_) | None => return Ok(Err(refused)),
            }
        }
        Err(StoreError::Unavailable("the user's sessions change too fast".to_owned()).into())
    }

    /// Which listed sessions end so that one more fits: the replaced one, those that are dead, then the oldest.
    async fn make_room(
        &self,
        session: &Session,
        replaced: Option<SessionId>,
        epoch_item: &Item,
        now: Timestamp,
    ) -> Result<Vec<SessionId>, StoreError> {
        let mut open = crate::store::sessions::read_open(epoch_item);
        let max = self.settings.max_per_user as usize;
        let mut ended: Vec<SessionId> = replaced.into_iter().filter(|id| open.contains_key(id)).collect();
        open.retain(|id, _| !ended.contains(id));
        if open.len() < max {
            return Ok(ended);
        }
        let live = self.sessions.look(session.user.id).boxed().await?.live_sessions(now)?;
        let mut by_age: Vec<(SessionId, Timestamp)> = open.into_iter().collect();
        // The dead first, then the oldest.
        by_age.sort_by_key(|(id, created_at)| (live.contains(id), *created_at));
        let dead = by_age.iter().filter(|(id, _)| !live.contains(id)).count();
        let surplus = (by_age.len() + 1).saturating_sub(max).max(dead);
        ended.extend(by_age.into_iter().take(surplus).map(|(id, _)| id));
        Ok(ended)
    }
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").field("settings", &self.settings).finish_non_exhaustive()
    }
}
