//! Sessions as they were read, kept for as long as nobody has written to their partition.
//!
//! Only where every write is seen, as with a store in this process, and so never late: a session that ended is refused
//! at once (attack 5.39). Elsewhere each check reads the store.

use std::sync::Arc;

use quick_cache::sync::Cache;
use uuid::Uuid;

use super::token::{SessionId, SessionToken};
use crate::{
    accounts::user::UserId,
    store::{StoreError, sessions::Found},
};

/// Tells a number that has grown whenever a user's partition of the sessions may have been written to.
pub type Revisions = Arc<dyn Fn(&str) -> u64 + Send + Sync>;

/// What was read of sessions, and when. A cheap clone.
#[derive(Clone)]
pub(crate) struct SessionCache {
    revisions: Revisions,
    kept: Arc<Cache<(UserId, SessionId), Kept>>,
}

#[derive(Clone)]
struct Kept {
    revision: u64,
    found: Found,
}

/// Some 600 bytes each; of more, those that are asked for least are read again.
const KEPT_MAX: usize = 16_384;

impl SessionCache {
    pub(crate) fn new(revisions: Revisions) -> Self {
        Self { revisions, kept: Arc::new(Cache::new(KEPT_MAX)) }
    }

    /// What `read` gave when nobody had written since, or else what it gives now.
    pub(crate) async fn find<Read: Future<Output = Result<Option<Found>, StoreError>>>(
        &self,
        token: &SessionToken,
        read: impl FnOnce() -> Read,
    ) -> Result<Option<Found>, StoreError> {
        let key = (token.user(), token.id());
        // Taken before the read: a write in between makes what was read look older than it is, never newer.
        let revision = (self.revisions)(token.user().0.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
        if let Some(kept) = self.kept.get(&key).filter(|kept| kept.revision == revision) {
            return Ok(Some(kept.found));
        }
        let found = read().await?;
        match &found {
            Some(found) => self.kept.insert(key, Kept { revision, found: found.clone() }),
            None => drop(self.kept.remove(&key)),
        }
        Ok(found)
    }
}
