//! An account as it would be if one thing happened after the other.

use std::collections::{BTreeMap, BTreeSet};

use super::request::{Code, Label, Offered, Request, Told};

/// Wrong codes that end a pending login.
const WRONG_CODES_MAX: u32 = 5;
const PENDING_SECONDS: i64 = 300;
/// Wrong codes that end an enrolment.
const WRONG_FIRST_CODES_MAX: u32 = 10;
const ENROLMENT_SECONDS: i64 = 600;
const WINDOW_SECONDS: i64 = 60;
/// Recovery codes of a set.
pub(super) const RECOVERY_CODES: usize = 10;

/// What is true of an account, of a few names and of one client's limit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Model {
    /// Which of the passwords is in force.
    pub password: usize,
    /// The second factor, if it is on.
    pub factor: Option<Factor>,
    /// What would turn it on.
    pub enrolment: Option<Enrolment>,
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

/// A second factor that is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Factor {
    /// Whose codes are right.
    pub secret: Label,
    /// All steps up to it are burnt.
    pub last_time_step: u64,
}

/// An enrolment that was begun and not confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Enrolment {
    /// Whose code confirms it.
    pub secret: Label,
    /// When it is over, in seconds.
    pub over_at: i64,
    /// Wrong codes at it.
    pub wrong: u32,
}

/// The turn of one request.
#[derive(Debug, Clone, Copy)]
pub struct Turn<'a> {
    /// What was told.
    pub told: &'a Told,
    /// The label of whatever it makes.
    pub made: Label,
    /// What others may have changed between what it read and what it wrote.
    pub overtaken: Overtaken,
    /// In seconds.
    pub now: i64,
}

/// What other requests of the same race changed.
#[derive(Debug, Clone, Copy)]
pub struct Overtaken {
    /// The second factor was turned on or off.
    pub factor: bool,
    /// An enrolment is not what it was.
    pub enrolment: bool,
}

impl Model {
    /// What is true after a request that was told this; `None` if it can't have been.
    #[must_use]
    pub fn after(&self, request: Request, turn: Turn) -> Option<Self> {
        let mut next = self.clone();
        next.pending.retain(|_, (over_at, _)| turn.now < *over_at);
        next.enrolment = next.enrolment.filter(|enrolment| turn.now < enrolment.over_at);
        let told = turn.told;
        let is_possible = match request {
            Request::Check(session) | Request::Guard(session) => next.checked(session, told),
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
            Request::LogIn(password) => next.logged_in(password, turn),
            Request::Verify(login, offered) => next.verified(login, offered, turn),
            Request::ChangePassword(session, from, to) => next.changed(session, (from, to), turn),
            Request::Enrol(session, password) => next.enrolled(session, password, turn),
            Request::Confirm(session, code) => next.confirmed(session, code, turn),
            Request::Disable(session, password, offered) => next.disabled(session, password, offered, turn),
            Request::ReplaceCodes(session, password, code) => next.replaced(session, password, code, turn),
            Request::Register(name, _) => match next.names.insert(name) {
                true => told.status == 201,
                false => told.is(409, "username-taken"),
            },
            Request::Resource => next.charged(turn),
        };
        is_possible.then_some(next)
    }

    /// A session that lives has the level that the second factor gives: whatever was opened before it changed is over.
    fn checked(&self, session: Label, told: &Told) -> bool {
        match self.sessions.contains(&session) {
            true => told.is_level(if self.factor.is_some() { "aal2" } else { "aal1" }),
            false => told.is(401, "session-required"),
        }
    }

    fn logged_in(&mut self, password: usize, turn: Turn) -> bool {
        let Turn { told, made, overtaken, now } = turn;
        if told.status != 200 {
            // The right password is no proof any more once the second factor changed, and is told nothing else.
            return told.is(401, "invalid-credentials") && (self.password != password || overtaken.factor);
        }
        let is_level = match self.factor {
            Some(_) => {
                self.pending.insert(made, (now + PENDING_SECONDS, 0));
                told.is_level("")
            }
            None => {
                self.sessions.insert(made);
                told.is_level("aal1")
            }
        };
        is_level && self.password == password
    }

    fn verified(&mut self, login: Label, offered: Offered, turn: Turn) -> bool {
        let Turn { told, made, now, .. } = turn;
        if !self.pending.contains_key(&login) {
            return told.is(401, "login-expired");
        }
        if self.spend(offered, now) {
            self.pending.remove(&login);
            self.sessions.insert(made);
            return told.is_level("aal2");
        }
        if let Some((_, wrong)) = self.pending.get_mut(&login) {
            *wrong += 1;
        }
        self.pending.retain(|_, (_, wrong)| *wrong < WRONG_CODES_MAX);
        told.is(401, "invalid-code")
    }

    /// Burns what is right and not burnt; `false` for anything else.
    fn spend(&mut self, offered: Offered, now: i64) -> bool {
        match (offered, &mut self.factor) {
            (Offered::Code(code), Some(factor)) => {
                let is_fresh = code.secret == factor.secret && code.step > factor.last_time_step && code.is_near(now);
                if is_fresh {
                    factor.last_time_step = code.step;
                }
                is_fresh
            }
            (Offered::RecoveryCode(code), Some(_)) => self.codes.remove(&code),
            (Offered::Code(_) | Offered::RecoveryCode(_), None) => false,
        }
    }

    fn changed(&mut self, session: Label, (from, to): (usize, usize), turn: Turn) -> bool {
        if turn.told.status != 204 {
            return self.refuses(session, from, turn);
        }
        let is_possible = self.is_proven(session, from);
        self.password = to;
        self.renew(turn.made);
        is_possible
    }

    fn enrolled(&mut self, session: Label, password: usize, turn: Turn) -> bool {
        let Turn { told, made, now, .. } = turn;
        if self.password != password || told.is(401, "invalid-credentials") {
            return self.refuses(session, password, turn);
        }
        if self.factor.is_some() {
            return told.is(409, "totp-already-enabled");
        }
        // In place of one that was begun before.
        self.enrolment = Some(Enrolment { secret: made, over_at: now + ENROLMENT_SECONDS, wrong: 0 });
        told.status == 200 && self.is_proven(session, password)
    }

    fn confirmed(&mut self, session: Label, code: Code, turn: Turn) -> bool {
        let told = turn.told;
        if told.is(409, "totp-not-started") {
            // One that was replaced, or whose account changed, counts as none.
            return turn.overtaken.enrolment || (self.enrolment.is_none() && self.factor.is_none());
        }
        let Some(enrolment) = &mut self.enrolment else {
            return told.is(409, "totp-already-enabled") && self.factor.is_some();
        };
        if code.secret != enrolment.secret || !code.is_near(turn.now) {
            enrolment.wrong += 1;
            self.enrolment = self.enrolment.filter(|enrolment| enrolment.wrong < WRONG_FIRST_CODES_MAX);
            return told.is(401, "invalid-code");
        }
        let is_possible = told.status == 200 && self.sessions.contains(&session);
        self.turn_on(code, turn.made);
        is_possible
    }

    /// The code that confirms is burnt.
    fn turn_on(&mut self, code: Code, made: Label) {
        self.factor = Some(Factor { secret: code.secret, last_time_step: code.step });
        self.enrolment = None;
        self.codes = new_codes(made);
        self.renew(made);
    }

    fn disabled(&mut self, session: Label, password: usize, offered: Offered, turn: Turn) -> bool {
        if let Some(is_possible) = self.refused(session, password, offered, turn) {
            return is_possible;
        }
        let is_possible = turn.told.status == 204 && self.is_proven(session, password);
        self.factor = None;
        self.codes.clear();
        self.renew(turn.made);
        is_possible
    }

    fn replaced(&mut self, session: Label, password: usize, code: Code, turn: Turn) -> bool {
        if let Some(is_possible) = self.refused(session, password, Offered::Code(code), turn) {
            return is_possible;
        }
        self.codes = new_codes(turn.made);
        turn.told.status == 200 && self.is_proven(session, password)
    }

    fn is_proven(&self, session: Label, password: usize) -> bool {
        self.sessions.contains(&session) && self.password == password
    }

    /// Whether a password may have been refused as told. The right one is no proof any more once the second factor changed,
    /// which ended the session.
    fn refuses(&self, session: Label, password: usize, turn: Turn) -> bool {
        let is_overtaken = turn.overtaken.factor && !self.sessions.contains(&session);
        turn.told.is(401, "invalid-credentials") && (self.password != password || is_overtaken)
    }

    /// Whether password and second step may have been refused as told; `None` if they were right, and are spent.
    fn refused(&mut self, session: Label, password: usize, offered: Offered, turn: Turn) -> Option<bool> {
        let told = turn.told;
        if self.password != password || told.is(401, "invalid-credentials") {
            return Some(self.refuses(session, password, turn));
        }
        if self.factor.is_none() {
            return Some(told.is(409, "totp-not-enabled"));
        }
        (!self.spend(offered, turn.now)).then(|| told.is(401, "invalid-code"))
    }

    /// A change of credentials ends everything else and gives its own session a new token.
    fn renew(&mut self, made: Label) {
        self.sessions = BTreeSet::from([made]);
        self.pending.clear();
    }

    fn charged(&mut self, turn: Turn) -> bool {
        self.admitted.retain(|at| *at > turn.now - WINDOW_SECONDS);
        if self.admitted.len() >= self.quota {
            return turn.told.is(429, "rate-limited");
        }
        self.admitted.push(turn.now);
        turn.told.status == 200
    }
}

/// A whole set.
pub(super) fn new_codes(set: Label) -> BTreeSet<(Label, usize)> {
    (0..RECOVERY_CODES).map(|place| (set, place)).collect()
}
