//! Security events, with stable names (ASVS 5.0 16.2, 16.3). They name accounts by id and hold no input and no secret.
//! Which request of which client a line is of, the log adds ([`logging`](crate::logging)).

pub mod logins;

use std::{any::Any, panic::PanicHookInfo};

use self::logins::LoginEnd;
use crate::{
    accounts::user::UserId, guard::Refusal, http::problem::Kind, rate_limit::named::LimitName, sessions::session::Level,
};

/// An account was made.
pub fn registered(user: UserId) {
    tracing::info!(event = "account.registered", outcome = "success", %user);
}

/// A login was completed, by these factors.
pub fn login_completed(user: UserId, level: Level, by: &str) {
    logins::note(LoginEnd::Completed);
    tracing::info!(event = "login.completed", outcome = "success", %user, assurance = level.as_str(), by);
}

/// The password was right and a second step is due.
pub fn login_pending(user: UserId) {
    logins::note(LoginEnd::SecondStepDue);
    tracing::info!(event = "login.pending", outcome = "success", %user);
}

/// A login failed. `user` is the shadow of a name that nobody has, and nobody where the login itself is unknown.
pub fn login_failed(user: Option<UserId>, why: LoginEnd) {
    logins::note(why);
    tracing::warn!(
        event = "login.failed",
        outcome = "failure",
        user = user.map(tracing::field::display),
        why = why.as_str()
    );
}

/// A second step failed at a pending login.
pub fn second_step_failed(user: UserId, why: LoginEnd) {
    logins::note(why);
    tracing::warn!(event = "login.second_step_failed", outcome = "failure", %user, why = why.as_str());
}

/// Password or second step were asked again inside a session, and were wrong.
pub fn confirmation_failed(user: UserId, why: &str) {
    tracing::warn!(event = "session.confirmation_failed", outcome = "failure", %user, why);
}

/// A session ended by logout.
pub fn logged_out(user: UserId) {
    tracing::info!(event = "session.logged_out", outcome = "success", %user);
}

/// Sessions were ended from another one.
pub fn sessions_revoked(user: UserId, count: usize) {
    tracing::info!(event = "session.revoked", outcome = "success", %user, count);
}

/// A credential changed; every other session is dead. `what` is `password`, `totp_enabled` or `totp_disabled`.
pub fn credential_changed(user: UserId, what: &str) {
    tracing::info!(event = "credential.changed", outcome = "success", %user, what);
}

/// Recovery codes were replaced.
pub fn recovery_codes_replaced(user: UserId) {
    tracing::info!(event = "recovery_codes.replaced", outcome = "success", %user);
}

/// A limit refused a request, as the store says. The requests that follow are refused from memory, and only counted:
/// a flood is no flood of lines.
pub fn limit_hit(limit: &LimitName) {
    tracing::warn!(event = "limit.hit", outcome = "failure", limit = limit.as_str());
}

/// A browser said that another site caused a state change.
pub fn cross_origin_refused() {
    tracing::warn!(event = "origin.refused", outcome = "failure");
}

/// Something came where a session token should be, and never was one of ours: cut, edited, doubled or made up.
pub fn token_malformed() {
    tracing::warn!(event = "token.malformed", outcome = "failure");
}

/// The guard let somebody not pass. A limit that refuses and a store that doesn't answer have events of their own.
pub fn guard_refused(refusal: &Refusal) {
    let (why, user) = match refusal {
        Refusal::Unauthenticated => (Kind::SessionRequired, None),
        Refusal::Ambiguous => (Kind::AmbiguousCredentials, None),
        Refusal::LevelTooLow(user) => (Kind::SecondFactorRequired, Some(*user)),
        Refusal::Limited(_) | Refusal::NoSuchLimit | Refusal::Unreadable | Refusal::Unavailable(_) => return,
    };
    let user = user.map(tracing::field::display);
    tracing::info!(event = "guard.refused", outcome = "failure", user, why = why.slug());
}

/// A handler panicked; the payload may hold input, so only our own fixed messages are logged.
pub fn panicked(payload: &(dyn Any + Send)) {
    let message = payload.downcast_ref::<&'static str>().copied().unwrap_or("a formatted message, withheld");
    tracing::error!(event = "panic", outcome = "failure", message);
}

/// A thread panicked, in a request or not: where. Never with what, which may hold input.
pub fn panicked_at(panic: &PanicHookInfo<'_>) {
    tracing::error!(event = "panic.at", outcome = "failure", location = panic.location().map(tracing::field::display));
}
