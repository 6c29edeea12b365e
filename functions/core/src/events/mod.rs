//! Security events, with stable names (ASVS 5.0 16.2, 16.3). They name accounts by id and hold no input and no secret.

pub mod logins;

use std::any::Any;

use self::logins::LoginEnd;
use crate::{
    accounts::user::UserId, http::client::ClientAddress, rate_limit::named::LimitName, sessions::session::Level,
};

/// An account was made.
pub fn registered(user: UserId, client: ClientAddress) {
    tracing::info!(event = "account.registered", outcome = "success", %user, client = %client.ip());
}

/// A login was completed, by these factors.
pub fn login_completed(user: UserId, client: ClientAddress, level: Level, by: &str) {
    logins::note(LoginEnd::Completed);
    tracing::info!(event = "login.completed", outcome = "success", %user, client = %client.ip(), assurance = level.as_str(), by);
}

/// The password was right and a second step is due.
pub fn login_pending(user: UserId, client: ClientAddress) {
    logins::note(LoginEnd::SecondStepDue);
    tracing::info!(event = "login.pending", outcome = "success", %user, client = %client.ip());
}

/// A login failed.
pub fn login_failed(client: ClientAddress, why: LoginEnd) {
    logins::note(why);
    tracing::warn!(event = "login.failed", outcome = "failure", client = %client.ip(), why = why.as_str());
}

/// A second step failed at a pending login.
pub fn second_step_failed(user: UserId, client: ClientAddress, why: LoginEnd) {
    logins::note(why);
    tracing::warn!(event = "login.second_step_failed", outcome = "failure", %user, client = %client.ip(), why = why.as_str());
}

/// Password or second step were asked again inside a session, and were wrong.
pub fn confirmation_failed(user: UserId, client: ClientAddress, why: &str) {
    tracing::warn!(event = "session.confirmation_failed", outcome = "failure", %user, client = %client.ip(), why);
}

/// A session ended by logout.
pub fn logged_out(client: ClientAddress) {
    tracing::info!(event = "session.logged_out", outcome = "success", client = %client.ip());
}

/// Sessions were ended from another one.
pub fn sessions_revoked(user: UserId, client: ClientAddress, count: usize) {
    tracing::info!(event = "session.revoked", outcome = "success", %user, client = %client.ip(), count);
}

/// A credential changed; every other session is dead. `what` is `password`, `totp_enabled` or `totp_disabled`.
pub fn credential_changed(user: UserId, client: ClientAddress, what: &str) {
    tracing::info!(event = "credential.changed", outcome = "success", %user, client = %client.ip(), what);
}

/// Recovery codes were replaced.
pub fn recovery_codes_replaced(user: UserId, client: ClientAddress) {
    tracing::info!(event = "recovery_codes.replaced", outcome = "success", %user, client = %client.ip());
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

/// A handler panicked; the payload may hold input, so only our own fixed messages are logged.
pub fn panicked(payload: &(dyn Any + Send)) {
    let message = payload.downcast_ref::<&'static str>().copied().unwrap_or("a formatted message, withheld");
    tracing::error!(event = "panic", outcome = "failure", message);
}
