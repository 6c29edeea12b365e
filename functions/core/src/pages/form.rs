//! The forms on the pages, by the path they are sent to.

/// A form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Login,
    Verify,
    Register,
    Password,
    SetUp,
    Confirm,
    TurnOff,
    RecoveryCodes,
    Sessions,
    /// On every page, or on none.
    Elsewhere,
}

impl Form {
    pub(super) fn of(path: &str) -> Self {
        match path {
            "/login" => Self::Login,
            "/login/verify" => Self::Verify,
            "/register" => Self::Register,
            "/password" => Self::Password,
            "/totp" => Self::SetUp,
            "/totp/confirm" => Self::Confirm,
            "/totp/disable" => Self::TurnOff,
            "/recovery-codes" => Self::RecoveryCodes,
            path if path == "/sessions" || path.starts_with("/sessions/") => Self::Sessions,
            _ => Self::Elsewhere,
        }
    }

    /// The page that holds the form.
    pub(super) fn page(self) -> &'static str {
        match self {
            Self::Login => "/login",
            Self::Verify => "/login/verify",
            Self::Register => "/register",
            Self::Password | Self::SetUp | Self::Confirm | Self::TurnOff | Self::RecoveryCodes => "/account/security",
            Self::Sessions => "/account/sessions",
            Self::Elsewhere => "/",
        }
    }
}
