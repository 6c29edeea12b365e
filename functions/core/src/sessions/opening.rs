//! How sessions are opened: every way in is a transaction with the proof that earned it.

use futures_util::FutureExt;
use jiff::Timestamp;

use super::{
    keeper::{Keeper, OpenError, Opened},
    session::{Method, PendingLogin, Session},
    token::{LoginToken, SessionId, SessionToken},
};
use crate::{
    accounts::{
        passwords::PasswordVerified,
        registration::NewAccount,
        user::{CredentialVersion, Profile},
    },
    clock::later,
    http::client::Client,
    second_factor::{SecondFactor, SecondFactorVerified},
    store::{
        Item, Refused, StoreError, Write,
        sessions::{read_epoch, read_open},
    },
};

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

/// Losing the last free place to others more often than this means they will end each other's sessions forever.
const OPEN_TRIES: u32 = 16;

impl Keeper {
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
        let why = |refused: &Refused| PasswordVerified::why_refused(id, lane, refused, now);
        if user.totp_secret.is_some() {
            let token = LoginToken::generate(id, &*self.random);
            let expires_at = later(now, PendingLogin::LIFETIME);
            let pending =
                PendingLogin { id: token.id(), epoch: user.credential_version, expires_at, failures: 0, next };
            let writes = vec![write, self.sessions.put_pending(id, &pending)?];
            return match self.sessions.commit(writes).await? {
                Ok(()) => Ok(PasswordStep::Pending { token, expires_at }),
                Err(refused) => Err(why(&refused).into()),
            };
        }
        let opened = self.begin(user.profile, user.credential_version, vec![Method::Pwd], client, now);
        match self.list_and_commit(vec![write], &opened.session, replaced, now).boxed().await? {
            Ok(()) => Ok(PasswordStep::Opened(Box::new(opened))),
            Err(refused) => Err(why(&refused).into()),
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
            match refused.only_at(list_index) {
                // An epoch that can't be read is no answer: nobody's password was wrong.
                Some(item) if read_epoch(item)? == session.epoch => {
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
        let mut open = read_open(epoch_item);
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
