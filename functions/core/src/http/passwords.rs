//! Passwords as bodies bring them.

use super::{body::Secret, problem::Problem};
use crate::{accounts::password::Password, config::Settings};

/// A password that somebody has, as it was typed. One that is longer than any can be is wrong like others.
#[must_use]
pub fn typed(secret: &Secret) -> Password {
    Password::typed(secret.reveal())
}

/// A password that somebody chooses: as long as the settings ask, not common, none of their own names.
///
/// # Errors
/// 422, with the reason, as NIST SP 800-63B-4 demands.
pub fn chosen(
    secret: &Secret,
    field: &str,
    username: &str,
    email: Option<&str>,
    settings: &Settings,
) -> Result<Password, Problem> {
    let password = Password::parse(secret.reveal()).map_err(|error| Problem::weak_password(field, error))?;
    let min_chars = settings.password.min_length as usize;
    password
        .check_strength(username, email, settings.issuer.as_str(), min_chars)
        .map_err(|reason| Problem::weak_password(field, reason))?;
    Ok(password)
}
