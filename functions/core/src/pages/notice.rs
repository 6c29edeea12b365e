//! One line at the top of the next page, after a form has done what it was for. It travels in a cookie that the page
//! takes back, so that a reload doesn't show it again and no URL holds it.

use axum::http::{HeaderMap, HeaderValue};

use super::words::Words;
use crate::http::cookies::Cookie;

/// What the next page says first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// An account was made.
    Registered,
    /// The session was ended by its user.
    LoggedOut,
    /// The password was changed.
    PasswordChanged,
    /// Two-step verification was turned off.
    TwoStepTurnedOff,
    /// Another session was ended.
    SessionEnded,
    /// All other sessions were ended.
    SessionsEnded,
}

/// Nobody takes longer from one page to the next.
const LIFETIME_SECONDS: i64 = 60;

impl Notice {
    const ALL: [Self; 6] = [
        Self::Registered,
        Self::LoggedOut,
        Self::PasswordChanged,
        Self::TwoStepTurnedOff,
        Self::SessionEnded,
        Self::SessionsEnded,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::LoggedOut => "logged-out",
            Self::PasswordChanged => "password-changed",
            Self::TwoStepTurnedOff => "two-step-turned-off",
            Self::SessionEnded => "session-ended",
            Self::SessionsEnded => "sessions-ended",
        }
    }

    pub(super) fn text(self, words: &Words) -> &'static str {
        match self {
            Self::Registered => words.registered,
            Self::LoggedOut => words.logged_out,
            Self::PasswordChanged => words.password_changed,
            Self::TwoStepTurnedOff => words.two_step_turned_off,
            Self::SessionEnded => words.session_ended,
            Self::SessionsEnded => words.sessions_ended,
        }
    }

    pub(super) fn read(headers: &HeaderMap) -> Option<Self> {
        let name = Cookie::Notice.read(headers)?;
        Self::ALL.into_iter().find(|notice| notice.name() == name)
    }

    pub(crate) fn cookie(self) -> Option<HeaderValue> {
        Cookie::Notice.set(self.name(), LIFETIME_SECONDS)
    }
}
