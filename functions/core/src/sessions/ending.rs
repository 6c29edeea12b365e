//! How sessions are ended: one, all others of a user, or the one that a logout came with.

use std::collections::HashSet;

use futures_util::FutureExt;
use jiff::Timestamp;

use super::{
    keeper::{Ended, Keeper, OpenError},
    session::Session,
    token::{LoginToken, SessionId, SessionToken},
};
use crate::{
    accounts::user::UserId,
    store::{
        StoreError, WRITES_MAX, Write,
        sessions::{UserPartition, open_of},
    },
};

/// Ending others while new ones open is tried this often in vain.
const END_TRIES: u32 = 8;

impl Keeper {
    /// Ends one session of `user`.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Corrupt`] where the list that a living session should be on can't be read.
    pub async fn end(&self, user: UserId, id: SessionId, now: Timestamp) -> Result<Ended, StoreError> {
        let live = vec![self.sessions.delete_live(user, id, now)?, self.sessions.unlist(user, &[id])?];
        let Err(refused) = self.sessions.commit(live).await? else {
            return Ok(Ended::Living);
        };
        if refused.only_at(0).is_some() {
            let listed = vec![self.sessions.delete(user, id)?, self.sessions.unlist(user, &[id])?];
            // A refusal says that somebody else has ended it meanwhile.
            return Ok(self.sessions.commit(listed).await?.map_or(Ended::Nothing, |()| Ended::Over));
        }
        // There and not listed: it died with its epoch. Only a list that can be read shows that.
        let unlisted = refused.only_at(1).filter(|epoch| !epoch.is_empty());
        unlisted.map_or(Ok(Ended::Nothing), |epoch| open_of(Some(epoch)).map(|_| Ended::Nothing))
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
            let mut others = seen.listed_sessions()?;
            if !others.remove(&session.id) {
                // It was ended between the two items of one read: look again.
                refusals += 1;
                continue;
            }
            let live_others = live.intersection(&others).count();
            let mut writes = self.ending(session, &others, &seen, now)?;
            // All sessions fit, but who knows the password can begin any number of logins: the rest has the next turn.
            let is_all = writes.len() <= WRITES_MAX;
            writes.truncate(WRITES_MAX);
            match self.sessions.commit(writes).await? {
                Ok(()) if is_all => return Ok(ended + live_others),
                Ok(()) => ended += live_others,
                // A session was opened or ended meanwhile: look again.
                Err(_) => refusals += 1,
            }
        }
        Err(StoreError::Unavailable("the user's sessions change too fast".to_owned()).into())
    }

    /// On condition that no session was opened or ended since `seen`, ends others and then pending logins. Whatever lives is
    /// listed, and what opens it changes the list, so that what the read missed is ended or refuses.
    fn ending(
        &self,
        session: &Session,
        others: &HashSet<SessionId>,
        seen: &UserPartition,
        now: Timestamp,
    ) -> Result<Vec<Write>, StoreError> {
        let user = session.user.id;
        let mut writes = vec![self.sessions.unlist_others(session, seen)?];
        for id in others {
            writes.push(self.sessions.delete(user, *id)?);
        }
        for id in seen.pending_logins(now)? {
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
    ) -> Result<Ended, StoreError> {
        if let Some(token) = pending {
            self.sessions.forget_pending(token).await?;
        }
        match session {
            Some(token) => self.end(token.user(), token.id(), now).await,
            None => Ok(Ended::Nothing),
        }
    }
}
