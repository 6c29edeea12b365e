//! How API Gateway is told.

use hallpass_core::{
    guard::{Identity, Refusal},
    http::problem::Kind,
};
use serde_json::{Value, json};

use crate::question::{Gateway, Malformed};

/// Why a request may not pass.
#[derive(Debug)]
pub(crate) enum Denied {
    /// The guard says so.
    Guard(Refusal),
    /// Another site is behind it.
    CrossOrigin,
}

/// No answer, on which the gateway lets nobody pass. The words of the first are what a REST API makes a 401 of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// No session, or one that has ended.
    #[error("Unauthorized")]
    Unauthorized,
    /// The store gave no answer.
    #[error("unavailable: cut off from the store")]
    Unavailable,
    /// The settings name no such limit.
    #[error("HALLPASS_AUTHORIZER__LIMIT: no such policy in HALLPASS_GUARD__LIMITS")]
    NoSuchLimit,
    /// The event is no question.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

impl From<Refusal> for Denied {
    fn from(refusal: Refusal) -> Self {
        Self::Guard(refusal)
    }
}

/// The answer to `gateway`.
///
/// # Errors
/// [`Unanswered`].
pub(crate) fn of(gateway: &Gateway, outcome: Result<Identity, Denied>) -> Result<Value, Unanswered> {
    let (is_allowed, principal, context) = match outcome {
        Ok(identity) => (true, identity.user.to_string(), identity_context(&identity)),
        Err(denied) => (false, "nobody".to_owned(), refusal_context(gateway, &denied)?),
    };
    Ok(match gateway {
        Gateway::HttpApi => json!({ "isAuthorized": is_allowed, "context": context }),
        Gateway::RestApi { whole_api } => json!({
            "principalId": principal,
            "policyDocument": {
                "Version": "2012-10-17",
                "Statement": [{
                    "Action": "execute-api:Invoke",
                    "Effect": if is_allowed { "Allow" } else { "Deny" },
                    "Resource": whole_api,
                }],
            },
            "context": context,
        }),
    })
}

/// What the guarded API is told. Texts alone: a REST API takes nothing nested, and nothing that is null.
fn identity_context(identity: &Identity) -> Value {
    json!({
        "user_id": identity.user.to_string(),
        "username": identity.username,
        "email": identity.email.as_deref().unwrap_or_default(),
        "level": identity.level.as_str(),
        "methods": identity.method_names(),
        "session_id": identity.session.to_string(),
    })
}

/// What a gateway's own answer can be made of: `$context.authorizer.reason`.
fn refusal_context(gateway: &Gateway, denied: &Denied) -> Result<Value, Unanswered> {
    let reason = match denied {
        Denied::CrossOrigin => Kind::CrossOrigin,
        Denied::Guard(Refusal::LevelTooLow(_)) => Kind::SecondFactorRequired,
        Denied::Guard(Refusal::Limited(charged)) => {
            let seconds = charged.retry_after_seconds().to_string();
            return Ok(json!({ "reason": Kind::RateLimited.slug(), "retry_after_seconds": seconds }));
        }
        Denied::Guard(Refusal::Unauthenticated | Refusal::Ambiguous) => match gateway {
            Gateway::HttpApi => Kind::SessionRequired,
            Gateway::RestApi { .. } => return Err(Unanswered::Unauthorized),
        },
        Denied::Guard(Refusal::Unavailable(_)) => return Err(Unanswered::Unavailable),
        // The demand is the settings' own.
        Denied::Guard(Refusal::NoSuchLimit | Refusal::Unreadable) => return Err(Unanswered::NoSuchLimit),
    };
    Ok(json!({ "reason": reason.slug() }))
}
