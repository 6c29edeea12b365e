//! An account as it would be if one thing happened after the other.

use std::collections::{BTreeMap, BTreeSet};

/// Names a session, a pending login or a set of recovery codes: the number of the request that made it.
pub type Label = usize;

/// Wrong codes that end a pending login.
const WRONG_CODES_MAX: u32 = 5;
const PENDING_SECONDS: i64 = 300;
const WINDOW_SECONDS: i64 = 60;

/// What is true of an account, of a few names and of one client's limit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Model {
    /// Which of the passwords is in force.
    pub password: usize,
    /// All steps up to it are burnt.
    pub last_time_step: u64,
    /// Recovery codes that are left: their set, and their place in it.
    pub codes: BTreeSet<(Label, usize)>,
    /// Sessions that live.
    pub sessions: BTreeSet<Label>,
    /// Pending logins that live, when each is over, in seconds, and the wrong codes at it.
    pub pending: BTreeMap<Label, (i64, u32)>,
    /// Names that somebody has.
    pub names: BTreeSet<usize>,
    /// When requests were admitted, in seconds; those of the window.
    pub admitted: Vec<i64>,
    /// The limit on them.
    pub quota: usize,
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
    /// The second step of a pending login, by the code of a time step.
    Verify(Label, u64),
    /// The same, by a recovery code.
    VerifyByRecoveryCode(Label, (Label, usize)),
    /// In a session, from one password to another.
    ChangePassword(Label, usize, usize),
    /// In a session, by a password and the code of a time step.
    ReplaceCodes(Label, usize, u64),
    /// A name, in one of its spellings.
    Register(usize, usize),
    /// The limited resource.
    Resource,
}

/// What was told: a status, and a problem's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The status.
    pub status: u16,
    /// The problem, empty for none.
    pub problem: String,
}

impl Told {
    fn is(&self, status: u16, problem: &str) -> bool {
        self.status == status && self.problem == problem
    }
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
            | Self::ReplaceCodes(session, ..) => Some(session),
            Self::Check(_)
            | Self::Guard(_)
            | Self::LogOut(_)
            | Self::LogIn(_)
            | Self::Verify(..)
            | Self::VerifyByRecoveryCode(..)
            | Self::Register(..)
            | Self::Resource => None,
        }
    }

    /// Whether it may change what others have read.
    #[must_use]
    pub fn may_overtake(self) -> bool {
        matches!(self, Self::ChangePassword(..) | Self::ReplaceCodes(..) | Self::Verify(..))
    }
}

impl Model {
    /// What is true after a request that was told this; `None` if it can't have been.
    ///
    /// `made` is the label of whatever it makes; `is_overtaken` whether another request may have changed the account
    /// between what this one read and what it wrote.
    #[must_use]
    pub fn after(&self, request: Request, told: &Told, made: Label, is_overtaken: bool, now: i64) -> Option<Self> {
        let mut next = self.clone();
        next.pending.retain(|_, (over_at, _)| now < *over_at);
        let is_possible = match request {
            Request::Check(session) | Request::Guard(session) => match self.sessions.contains(&session) {
                true => told.status == 200,
                false => told.is(401, "session-required"),
            },
            Request::LogOut(session) => {
                next.sessions.remove(&session);
                told.status == 204
            }
            Request::Revoke(_, other) => match next.sessions.remove(&other) {
                true => told.status == 204,
                false => told.is(404, "not-found"),
            },
            Request::RevokeOthers(session) => {
                next.sessions.retain(|other| *other == session);
                next.pending.clear();
                told.status == 200
            }
            Request::LogIn(password) => next.logged_in(password, told, made, now),
            Request::Verify(login, step) => {
                let is_fresh = step > self.last_time_step && step.abs_diff(step_at(now)) <= 1;
                let is_told = next.verified(login, is_fresh, told, made);
                if told.status == 200 {
                    next.last_time_step = step;
                }
                is_told
            }
            Request::VerifyByRecoveryCode(login, code) => {
                let is_left = self.codes.contains(&code);
                let is_told = next.verified(login, is_left, told, made);
                if told.status == 200 {
                    next.codes.remove(&code);
                }
                is_told
            }
            Request::ChangePassword(session, from, to) => next.changed(session, (from, to), told, made, is_overtaken),
            Request::ReplaceCodes(session, password, step) => {
                let is_fresh = step > self.last_time_step && step.abs_diff(step_at(now)) <= 1;
                next.replaced(session, password, (step, is_fresh), told, made, is_overtaken)
            }
            Request::Register(name, _) => match next.names.insert(name) {
                true => told.status == 201,
                false => told.is(409, "username-taken"),
            },
            Request::Resource => next.charged(told, now),
        };
        is_possible.then_some(next)
    }

    fn logged_in(&mut self, password: usize, told: &Told, made: Label, now: i64) -> bool {
        if password != self.password {
            return told.is(401, "invalid-credentials");
        }
        self.pending.insert(made, (now + PENDING_SECONDS, 0));
        told.status == 200
    }

    fn verified(&mut self, login: Label, is_right: bool, told: &Told, made: Label) -> bool {
        let Some((_, wrong)) = self.pending.get_mut(&login) else {
            return told.is(401, "login-expired");
        };
        if is_right {
            self.pending.remove(&login);
            self.sessions.insert(made);
            return told.status == 200;
        }
        *wrong += 1;
        if *wrong >= WRONG_CODES_MAX {
            self.pending.remove(&login);
        }
        told.is(401, "invalid-code")
    }

    fn changed(
        &mut self,
        session: Label,
        (from, to): (usize, usize),
        told: &Told,
        made: Label,
        is_overtaken: bool,
    ) -> bool {
        if told.status != 204 {
            return (told.is(401, "session-required") && !self.sessions.contains(&session))
                || (told.is(401, "invalid-credentials") && self.password != from)
                || (told.is(409, "changed-meanwhile") && is_overtaken);
        }
        let is_possible = self.sessions.contains(&session) && self.password == from;
        self.password = to;
        self.sessions = BTreeSet::from([made]);
        self.pending.clear();
        is_possible
    }

    fn replaced(
        &mut self,
        session: Label,
        password: usize,
        (step, is_fresh): (u64, bool),
        told: &Told,
        made: Label,
        is_overtaken: bool,
    ) -> bool {
        if told.status != 200 {
            return (told.is(401, "session-required") && !self.sessions.contains(&session))
                || (told.is(401, "invalid-credentials") && self.password != password)
                || (told.is(401, "invalid-code") && (!is_fresh || is_overtaken))
                || (told.is(409, "changed-meanwhile") && is_overtaken);
        }
        let is_possible = self.sessions.contains(&session) && self.password == password && is_fresh;
        self.last_time_step = step;
        self.codes = (0..10).map(|place| (made, place)).collect();
        is_possible
    }

    fn charged(&mut self, told: &Told, now: i64) -> bool {
        self.admitted.retain(|at| *at > now - WINDOW_SECONDS);
        if self.admitted.len() >= self.quota {
            return told.is(429, "rate-limited");
        }
        self.admitted.push(now);
        told.status == 200
    }
}

/// The time step of RFC 6238.
#[must_use]
pub fn step_at(now: i64) -> u64 {
    u64::try_from(now / 30).unwrap_or(0)
}
