//! Guards other people's APIs: may this request pass, and whose is it?
//!
//! This is the rule alone. Whoever asks has its own way of asking and of saying no: proxies through the endpoints of
//! `functions/authz`, API Gateway through an authorizer. The verdict depends on the credential, the client's address
//! and what is demanded, and on nothing else: not on the path, so no spelling of one gets past it (attack 5.34).

mod credential;

use futures_util::{FutureExt, TryFutureExt, future::try_join};
use jiff::Timestamp;

pub use self::credential::Credential;
use crate::{
    accounts::user::UserId,
    config::Function,
    events,
    http::client::ClientAddress,
    rate_limit::{
        limiter::{ChargeError, Charged, Limiter},
        named::LimitName,
    },
    sessions::{
        keeper::Keeper,
        session::{Level, Method, Session},
        token::SessionId,
    },
    store::StoreError,
};

/// The power to judge requests to guarded APIs. A cheap clone.
#[derive(Clone)]
pub struct Guard {
    keeper: Keeper,
    limiter: Limiter,
}

/// What the guarded API demands of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// The least level of the session.
    pub level: Level,
    /// What is charged besides the limit `authz`, which always is: policies of the settings, or other functions' limits.
    pub limits: Vec<LimitName>,
}

/// Who sends a request that may pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The user's id, which never changes and is never reused.
    pub user: UserId,
    /// The user name as it was typed at registration; no two users have one that folds alike.
    pub username: String,
    /// The e-mail address as it was given, not verified.
    pub email: Option<String>,
    /// The session's level.
    pub level: Level,
    /// What proved the user.
    pub methods: Vec<Method>,
    /// The session's public id.
    pub session: SessionId,
}

/// Why a request may not pass.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No session, or one that has ended.
    #[error("no session")]
    Unauthenticated,
    /// Cookie and bearer token together, or one of them twice.
    #[error("ambiguous credentials")]
    Ambiguous,
    /// The session of this user lives, but a second factor is demanded.
    #[error("the session's level is too low")]
    LevelTooLow(UserId),
    /// Over a limit.
    #[error("over the limit of {}", .0.name)]
    Limited(Charged),
    /// What is demanded names no limit, or one that is not for guarded APIs.
    #[error("no limit that may be demanded")]
    NoSuchLimit,
    /// What is demanded could not be read.
    #[error("a demand that can't be read")]
    Unreadable,
    /// The store gave no answer, so nobody passes.
    #[error(transparent)]
    Unavailable(#[from] StoreError),
}

/// The answer to one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Who may pass, or why not.
    pub outcome: Result<Identity, Refusal>,
    /// What was charged and admitted; a charge that refused is in the refusal.
    pub charges: Vec<Charged>,
}

/// A demand that could not be read. It is none that could be met, or a misspelt one would demand nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable;

impl Identity {
    /// What proved the user, as RFC 8176 names parted by spaces: `pwd otp`.
    #[must_use]
    pub fn method_names(&self) -> String {
        self.methods.iter().map(|method| method.as_str()).collect::<Vec<_>>().join(" ")
    }
}

impl Guard {
    /// Judges with these powers.
    #[must_use]
    pub fn new(keeper: Keeper, limiter: Limiter) -> Self {
        Self { keeper, limiter }
    }

    /// May a request of `client` pass? One round trip: the session is read while the limits are charged, and a client
    /// that is known to be over a limit costs none.
    pub async fn ask(
        &self,
        credential: &Credential,
        client: ClientAddress,
        demand: Result<Demand, Unreadable>,
        now: Timestamp,
    ) -> Verdict {
        let verdict = self.judge(credential, client, demand, now).await.unwrap_or_else(Verdict::refused);
        if let Err(refusal) = &verdict.outcome {
            events::guard_refused(refusal);
        }
        verdict
    }

    async fn judge(
        &self,
        credential: &Credential,
        client: ClientAddress,
        demand: Result<Demand, Unreadable>,
        now: Timestamp,
    ) -> Result<Verdict, Refusal> {
        let demand = match demand {
            Ok(demand) if self.knows(&demand) => demand,
            Ok(_) => return self.refuse(Refusal::NoSuchLimit, client, now).await,
            Err(Unreadable) => return self.refuse(Refusal::Unreadable, client, now).await,
        };
        // The charge is polled first: where memory refuses, nothing is read.
        let session = self.session(credential, now).map(Ok);
        let (charges, session) = try_join(self.charge(&demand, client, now), session).await?;
        Ok(Verdict { outcome: decide(session, demand.level), charges })
    }

    /// Refuses what no session could meet. It is charged all the same: no question is free.
    async fn refuse(&self, refusal: Refusal, client: ClientAddress, now: Timestamp) -> Result<Verdict, Refusal> {
        let charges = self.charge(&Demand::default(), client, now).await?;
        Ok(Verdict { outcome: Err(refusal), charges })
    }

    async fn charge(&self, demand: &Demand, client: ClientAddress, now: Timestamp) -> Result<Vec<Charged>, Refusal> {
        self.limiter.charge_each(demand.charged(), client.partition(), now).map_err(Refusal::from).await
    }

    fn knows(&self, demand: &Demand) -> bool {
        demand.limits.iter().all(|name| self.limiter.may_be_demanded(name))
    }

    async fn session(&self, credential: &Credential, now: Timestamp) -> Result<Session, Refusal> {
        match credential {
            Credential::Missing => Err(Refusal::Unauthenticated),
            Credential::Ambiguous => Err(Refusal::Ambiguous),
            Credential::Token(token) => self.keeper.find(token, now).await?.ok_or(Refusal::Unauthenticated),
        }
    }
}

impl Verdict {
    /// The charge itself was refused, by a limit or for want of the store.
    fn refused(refusal: Refusal) -> Self {
        Self { outcome: Err(refusal), charges: Vec::new() }
    }
}

/// The rule, once everything is known.
fn decide(session: Result<Session, Refusal>, demanded: Level) -> Result<Identity, Refusal> {
    let session = session?;
    let level = session.level();
    if level < demanded {
        return Err(Refusal::LevelTooLow(session.user.id));
    }
    let Session { id, user, methods, .. } = session;
    Ok(Identity { user: user.id, username: user.username, email: user.email, level, methods, session: id })
}

impl Demand {
    fn charged(&self) -> impl Iterator<Item = LimitName> {
        const ALWAYS: LimitName = LimitName::Function(Function::Authz);
        std::iter::once(ALWAYS).chain(self.limits.iter().filter(|name| **name != ALWAYS).cloned())
    }
}

impl Default for Demand {
    fn default() -> Self {
        Self { level: Level::Aal1, limits: Vec::new() }
    }
}

impl From<ChargeError> for Refusal {
    fn from(error: ChargeError) -> Self {
        match error {
            ChargeError::Limited(charged) => Self::Limited(charged),
            ChargeError::Store(error) => Self::Unavailable(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        accounts::user::{CredentialVersion, Profile},
        config::Settings,
        http::client::Client,
        random::OsRandom,
        sessions::token::SessionToken,
    };

    const NOON: Timestamp = Timestamp::constant(1_800_000_000, 0);

    fn session(methods: &[Method]) -> Session {
        let user = Profile {
            id: UserId(Uuid::from_u128(7)),
            username: "Ada".into(),
            email: Some("ada@example.org".into()),
            totp_enabled: true,
            created_at: NOON,
        };
        let id = SessionToken::generate(user.id, &OsRandom).id();
        let client = Client { address: "192.0.2.1".into(), user_agent: String::new() };
        let settings = Settings::default().session;
        Session::begin(id, user, CredentialVersion::FIRST, methods.to_vec(), client, &settings, NOON)
    }

    #[test]
    fn a_session_of_the_demanded_level_or_more_passes_with_its_users_identity() {
        let (one, two) = (session(&[Method::Pwd]), session(&[Method::Pwd, Method::Otp]));
        assert_eq!(decide(Ok(one.clone()), Level::Aal1).unwrap().level, Level::Aal1);
        assert_eq!(decide(Ok(one.clone()), Level::Aal2), Err(Refusal::LevelTooLow(one.user.id)));
        for demanded in [Level::Aal1, Level::Aal2] {
            let identity = decide(Ok(two.clone()), demanded).unwrap();
            assert_eq!((identity.user, identity.session), (two.user.id, two.id));
            assert_eq!((identity.username.as_str(), identity.level), ("Ada", Level::Aal2));
            assert_eq!(identity.email.as_deref(), Some("ada@example.org"));
            assert_eq!(identity.methods, [Method::Pwd, Method::Otp]);
        }
    }

    #[test]
    fn a_second_factor_without_a_first_is_one_factor() {
        let session = session(&[Method::Otp]);
        let user = session.user.id;
        assert_eq!(decide(Ok(session), Level::Aal2), Err(Refusal::LevelTooLow(user)));
    }

    #[test]
    fn without_a_session_or_an_answer_nobody_passes() {
        let away = Refusal::Unavailable(StoreError::Unavailable("away".into()));
        for refusal in [Refusal::Unauthenticated, Refusal::Ambiguous, away] {
            assert_eq!(decide(Err(refusal.clone()), Level::Aal1), Err(refusal));
        }
    }

    #[test]
    fn our_own_limit_is_always_charged_once_and_others_besides() {
        let [authz, orders, resource] = ["authz", "orders", "resource"].map(|name| name.parse::<LimitName>().unwrap());
        let charged = |limits: &[&LimitName]| {
            let demand = Demand { limits: limits.iter().copied().cloned().collect(), ..Demand::default() };
            demand.charged().collect::<Vec<_>>()
        };
        for nothing_more in [&[][..], &[&authz]] {
            assert_eq!(charged(nothing_more), std::slice::from_ref(&authz));
        }
        assert_eq!(charged(&[&orders, &resource]), [authz, orders, resource]);
    }
}
