//! What can be wrong with a field, as a value: the API says it in English, the pages in the reader's language.

use std::fmt;

use crate::accounts::{
    email::EmailError,
    password::{PasswordTooLong, WeakPassword},
    username::UsernameError,
};

/// Why a field is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It isn't there.
    Missing,
    /// No field of this form has that name.
    Unknown,
    /// It is there more than once.
    Repeated,
    /// It is of another type.
    WrongType,
    /// The body is JSON, but no object.
    NoObject,
    /// Somebody else has it.
    Taken,
    /// Neither a code nor a recovery code.
    NoSecondStep,
    /// A code and a recovery code.
    TwoSecondSteps,
    /// A language that the pages don't speak.
    NoSuchLanguage,
    /// Text that is no recovery code.
    NoRecoveryCode,
    /// No user name.
    Username(UsernameError),
    /// No e-mail address.
    Email(EmailError),
    /// Nobody's password.
    TooLong(PasswordTooLong),
    /// A password that may not be chosen.
    Weak(WeakPassword),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Missing => "is missing",
            Self::Unknown => "is not known here",
            Self::Repeated => "is there twice",
            Self::WrongType => "has the wrong type",
            Self::NoObject => "the body must be a JSON object",
            Self::Taken => "is taken",
            Self::NoSecondStep => "is missing; a recovery_code will do as well",
            Self::TwoSecondSteps => "goes without a code",
            Self::NoSuchLanguage => "is not spoken here",
            Self::NoRecoveryCode => "is no recovery code",
            Self::Username(error) => return error.fmt(f),
            Self::Email(error) => return error.fmt(f),
            Self::TooLong(error) => return error.fmt(f),
            Self::Weak(error) => return error.fmt(f),
        };
        f.write_str(text)
    }
}

impl From<UsernameError> for Reason {
    fn from(error: UsernameError) -> Self {
        Self::Username(error)
    }
}

impl From<EmailError> for Reason {
    fn from(error: EmailError) -> Self {
        Self::Email(error)
    }
}

impl From<PasswordTooLong> for Reason {
    fn from(error: PasswordTooLong) -> Self {
        Self::TooLong(error)
    }
}

impl From<WeakPassword> for Reason {
    fn from(error: WeakPassword) -> Self {
        Self::Weak(error)
    }
}
