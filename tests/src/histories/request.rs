//! What is asked, and what is told.

/// Names a session, a pending login, a TOTP secret or a set of recovery codes: the number of the request that made it.
pub type Label = usize;

/// The code that the authenticator of a secret shows in a time step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// The secret.
    pub secret: Label,
    /// The step.
    pub step: u64,
}

impl Code {
    /// Whether its step is that of now, or beside it.
    #[must_use]
    pub fn is_near(self, now: i64) -> bool {
        self.step.abs_diff(step_at(now)) <= 1
    }
}

/// The time step of RFC 6238.
#[must_use]
pub fn step_at(now: i64) -> u64 {
    u64::try_from(now / 30).unwrap_or(0)
}

/// What is offered as a second step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offered {
    /// A code of the authenticator.
    Code(Code),
    /// A recovery code: its set, and its place in it.
    RecoveryCode((Label, usize)),
}

impl From<Code> for Offered {
    fn from(code: Code) -> Self {
        Self::Code(code)
    }
}

/// One request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Is this session alive?
    Check(Label),
    /// The same, asked of the guard.
    Guard(Label),
    /// Ends it.
    LogOut(Label),
    /// The first ends the second.
    Revoke(Label, Label),
    /// Ends all others, and logins that wait for their second step.
    RevokeOthers(Label),
    /// The first step, by one of the passwords.
    LogIn(usize),
    /// The second step of a pending login.
    Verify(Label, Offered),
    /// In a session, from one password to another.
    ChangePassword(Label, usize, usize),
    /// In a session, by a password: begins to turn the second factor on, with a secret of its own.
    Enrol(Label, usize),
    /// In a session: turns it on, by the first code of the secret.
    Confirm(Label, Code),
    /// In a session, by a password and a second step: turns it off.
    Disable(Label, usize, Offered),
    /// In a session, by a password and a code.
    ReplaceCodes(Label, usize, Code),
    /// A name, in one of its spellings.
    Register(usize, usize),
    /// The limited resource.
    Resource,
}

impl Request {
    /// The session that must be alive before anything else is looked at. It is looked at once, and what the request then
    /// does may come after others have ended it.
    #[must_use]
    pub fn by(self) -> Option<Label> {
        match self {
            Self::Revoke(session, _)
            | Self::RevokeOthers(session)
            | Self::ChangePassword(session, ..)
            | Self::Enrol(session, _)
            | Self::Confirm(session, _)
            | Self::Disable(session, ..)
            | Self::ReplaceCodes(session, ..) => Some(session),
            Self::Check(_)
            | Self::Guard(_)
            | Self::LogOut(_)
            | Self::LogIn(_)
            | Self::Verify(..)
            | Self::Register(..)
            | Self::Resource => None,
        }
    }

    /// Whether it turns the second factor on or off, if it succeeds.
    #[must_use]
    pub fn changes_factor(self) -> bool {
        matches!(self, Self::Confirm(..) | Self::Disable(..))
    }

    /// Whether an enrolment that was read before it can't be confirmed after it as it was read.
    #[must_use]
    pub fn changes_enrolment(self) -> bool {
        matches!(self, Self::Enrol(..) | Self::Confirm(..) | Self::ChangePassword(..))
    }
}

/// What was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The status.
    pub status: u16,
    /// The problem's name, empty for none.
    pub problem: String,
    /// The level of the session that the answer tells of, empty for none.
    pub level: String,
}

impl Told {
    /// Whether it is this problem.
    #[must_use]
    pub fn is(&self, status: u16, problem: &str) -> bool {
        self.status == status && self.problem == problem
    }

    /// Whether it tells of a session of this level, or of none for the empty level.
    #[must_use]
    pub fn is_level(&self, level: &str) -> bool {
        self.status == 200 && self.level == level
    }

    /// Whether what was asked for was done.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}
