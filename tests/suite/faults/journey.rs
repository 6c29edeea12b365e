//! The requests that may meet a fault, and what they come to.

/// One request that may meet a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Journey {
    Register,
    RegisterWithAddress,
    LogIn,
    LogInByForm,
    LogInHalfway,
    LogInAgain,
    LogInAtTheCap,
    LogInAtAnOlderCost,
    VerifyByCode,
    VerifyByRecoveryCode,
    LogOut,
    Session,
    Sessions,
    RevokeOne,
    RevokeOthers,
    ChangePassword,
    StartTotp,
    ConfirmTotp,
    TurnOffTotp,
    TurnOffTotpByRecoveryCode,
    ReplaceRecoveryCodes,
    Page,
    Resource,
    ForwardAuth,
    AuthRequest,
    ExtAuthz,
    GuardedByALimit,
    Authorizer,
    WrongPassword,
    UnknownName,
    WrongCode,
    UsedCode,
    EndedSession,
    EndedSessionAtTheGuard,
    LogOutHalfway,
    RevokeMany,
    VerifyUnderANewKey,
    OverALimit,
    HeldPassword,
    WrongPasswordAgain,
    WrongCodeAgain,
    WrongEnrolmentCode,
    NameTaken,
    AddressTaken,
    EndedSessionAtTheAuthorizer,
}

impl Journey {
    /// Every one.
    pub(super) const ALL: [Self; 45] = [
        Self::Register,
        Self::RegisterWithAddress,
        Self::LogIn,
        Self::LogInByForm,
        Self::LogInHalfway,
        Self::LogInAgain,
        Self::LogInAtTheCap,
        Self::LogInAtAnOlderCost,
        Self::VerifyByCode,
        Self::VerifyByRecoveryCode,
        Self::LogOut,
        Self::Session,
        Self::Sessions,
        Self::RevokeOne,
        Self::RevokeOthers,
        Self::ChangePassword,
        Self::StartTotp,
        Self::ConfirmTotp,
        Self::TurnOffTotp,
        Self::TurnOffTotpByRecoveryCode,
        Self::ReplaceRecoveryCodes,
        Self::Page,
        Self::Resource,
        Self::ForwardAuth,
        Self::AuthRequest,
        Self::ExtAuthz,
        Self::GuardedByALimit,
        Self::Authorizer,
        Self::WrongPassword,
        Self::UnknownName,
        Self::WrongCode,
        Self::UsedCode,
        Self::EndedSession,
        Self::EndedSessionAtTheGuard,
        Self::LogOutHalfway,
        Self::RevokeMany,
        Self::VerifyUnderANewKey,
        Self::OverALimit,
        Self::HeldPassword,
        Self::WrongPasswordAgain,
        Self::WrongCodeAgain,
        Self::WrongEnrolmentCode,
        Self::NameTaken,
        Self::AddressTaken,
        Self::EndedSessionAtTheAuthorizer,
    ];

    /// What is answered when all is well.
    pub(super) fn status(self) -> u16 {
        match self {
            Self::Register | Self::RegisterWithAddress => 201,
            Self::LogOut
            | Self::LogOutHalfway
            | Self::RevokeOne
            | Self::TurnOffTotp
            | Self::TurnOffTotpByRecoveryCode
            | Self::ChangePassword => 204,
            Self::LogInByForm => 303,
            Self::WrongPassword
            | Self::UnknownName
            | Self::WrongCode
            | Self::UsedCode
            | Self::EndedSession
            | Self::EndedSessionAtTheGuard
            | Self::EndedSessionAtTheAuthorizer
            | Self::WrongPasswordAgain
            | Self::WrongCodeAgain
            | Self::WrongEnrolmentCode => 401,
            Self::NameTaken | Self::AddressTaken => 409,
            Self::OverALimit | Self::HeldPassword => 429,
            Self::LogIn
            | Self::LogInHalfway
            | Self::LogInAgain
            | Self::LogInAtTheCap
            | Self::LogInAtAnOlderCost
            | Self::VerifyByCode
            | Self::VerifyByRecoveryCode
            | Self::VerifyUnderANewKey
            | Self::RevokeMany
            | Self::Session
            | Self::Sessions
            | Self::RevokeOthers
            | Self::StartTotp
            | Self::ConfirmTotp
            | Self::ReplaceRecoveryCodes
            | Self::Page
            | Self::Resource
            | Self::ForwardAuth
            | Self::AuthRequest
            | Self::ExtAuthz
            | Self::GuardedByALimit
            | Self::Authorizer => 200,
        }
    }

    /// Whether the account must have its second factor on.
    pub(super) fn has_totp(self) -> bool {
        use Journey::*;
        matches!(
            self,
            LogInHalfway
                | VerifyByCode
                | VerifyByRecoveryCode
                | TurnOffTotp
                | TurnOffTotpByRecoveryCode
                | ReplaceRecoveryCodes
                | WrongCode
                | UsedCode
                | LogOutHalfway
                | RevokeMany
                | WrongCodeAgain
        )
    }

    /// Whether it reads a session, whose use is noted from time to time; that may be lost.
    pub(super) fn reads_a_session(self) -> bool {
        use Journey::*;
        matches!(
            self,
            Session
                | Sessions
                | Page
                | ForwardAuth
                | AuthRequest
                | ExtAuthz
                | GuardedByALimit
                | OverALimit
                | Authorizer
        )
    }

    /// Whether API Gateway asks, which is told nothing but a verdict.
    pub(super) fn is_at_the_authorizer(self) -> bool {
        matches!(self, Self::Authorizer | Self::EndedSessionAtTheAuthorizer)
    }

    /// Whether a person's browser asks, which is shown a page.
    pub(super) fn is_by_a_person(self) -> bool {
        matches!(self, Self::LogInByForm | Self::Page)
    }
}
