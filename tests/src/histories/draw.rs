//! What is asked in a race.

use std::{collections::BTreeSet, fmt};

use fastrand::Rng;

use super::{
    model::{Model, RECOVERY_CODES},
    request::{Code, Label, Offered, Request, Told, step_at},
    search::Asked,
};

/// What a race is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Theme {
    /// First steps.
    LogIns,
    /// Second steps by codes.
    Codes,
    /// Second steps by recovery codes.
    RecoveryCodes,
    /// Sessions are ended while they are asked for.
    Sessions,
    /// The password and the recovery codes change.
    Credentials,
    /// The second factor is turned off and on.
    SecondFactor,
    /// Registrations of one name.
    Names,
    /// One client's requests of a limited resource.
    Limit,
    /// Each request is about something else.
    Anything,
}

impl Theme {
    /// Every theme.
    pub const ALL: [Self; 9] = [
        Self::LogIns,
        Self::Codes,
        Self::RecoveryCodes,
        Self::Sessions,
        Self::Credentials,
        Self::SecondFactor,
        Self::Names,
        Self::Limit,
        Self::Anything,
    ];
}

impl fmt::Display for Theme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LogIns => "log-ins",
            Self::Codes => "codes",
            Self::RecoveryCodes => "recovery codes",
            Self::Sessions => "sessions",
            Self::Credentials => "credentials",
            Self::SecondFactor => "second factor",
            Self::Names => "names",
            Self::Limit => "limit",
            Self::Anything => "anything",
        })
    }
}

const REQUESTS_MIN: usize = 2;
const REQUESTS_MAX: usize = 5;
/// So many wrong passwords in a row make guesses wait, which the model knows nothing of.
const WRONG_PASSWORDS_MAX: usize = 10;
/// More than this many sessions and others are ended first, far below where a login ends the oldest.
const SESSIONS_MAX: usize = 25;
const SPELLINGS: usize = 4;

/// Draws requests that make sense, and some that don't.
#[derive(Debug)]
pub(super) struct Hand {
    labels: Label,
    /// Those that there ever were, and so with pending logins, secrets and sets of recovery codes.
    sessions: BTreeSet<Label>,
    logins: BTreeSet<Label>,
    secrets: BTreeSet<Label>,
    sets: BTreeSet<Label>,
    /// In a row, at most.
    wrong_passwords: usize,
}

impl Hand {
    pub(super) fn new() -> Self {
        let first = BTreeSet::from([0]);
        Self {
            labels: 0,
            sessions: first.clone(),
            logins: BTreeSet::new(),
            secrets: first.clone(),
            sets: first,
            wrong_passwords: 0,
        }
    }

    /// The requests of a race where this is true, each with the label of what it makes.
    pub(super) fn draw(&mut self, rng: &mut Rng, model: &Model, now: i64) -> (Theme, Vec<(Request, Label)>) {
        if self.wrong_passwords + REQUESTS_MAX > WRONG_PASSWORDS_MAX {
            // The right one, alone: then none are in a row any more.
            return (Theme::LogIns, vec![(Request::LogIn(model.password), self.label())]);
        }
        let theme = theme(rng, model);
        let requests: Vec<Request> =
            (0..rng.usize(REQUESTS_MIN..=REQUESTS_MAX)).filter_map(|_| self.request(rng, theme, model, now)).collect();
        (theme, requests.into_iter().map(|request| (request, self.label())).collect())
    }

    /// Whether each session that there ever was lives.
    pub(super) fn everyone(&mut self) -> Vec<(Request, Label)> {
        let sessions = self.sessions.clone();
        sessions.into_iter().map(|session| (Request::Check(session), self.label())).collect()
    }

    /// Keeps in mind what was handed out, and how many passwords were wrong.
    pub(super) fn heed(&mut self, asked: &[Asked]) {
        let is_alone = asked.len() == 1;
        for Asked { request, told, made } in asked {
            if told.is_success() {
                self.note(*request, told, *made);
            }
            if told.is(401, "invalid-credentials") {
                self.wrong_passwords += 1;
            } else if is_alone && matches!(request, Request::LogIn(_)) {
                self.wrong_passwords = 0;
            }
        }
    }

    fn note(&mut self, request: Request, told: &Told, made: Label) {
        match request {
            Request::LogIn(_) if told.is_level("") => self.logins.insert(made),
            Request::LogIn(_) | Request::Verify(..) | Request::ChangePassword(..) | Request::Disable(..) => {
                self.sessions.insert(made)
            }
            Request::Confirm(..) => {
                self.sets.insert(made);
                self.sessions.insert(made)
            }
            Request::Enrol(..) => self.secrets.insert(made),
            Request::ReplaceCodes(..) => self.sets.insert(made),
            Request::Check(_)
            | Request::Guard(_)
            | Request::LogOut(_)
            | Request::Revoke(..)
            | Request::RevokeOthers(_)
            | Request::Register(..)
            | Request::Resource => false,
        };
    }

    fn label(&mut self) -> Label {
        self.labels += 1;
        self.labels
    }

    fn request(&self, rng: &mut Rng, theme: Theme, model: &Model, now: i64) -> Option<Request> {
        match theme {
            Theme::LogIns => Some(Request::LogIn(password(rng, model))),
            Theme::Codes => Some(Request::Verify(self.login(rng, model)?, self.code(rng, model, now)?.into())),
            Theme::RecoveryCodes => Some(Request::Verify(self.login(rng, model)?, self.recovery_code(rng, model)?)),
            Theme::Sessions => self.about_a_session(rng, model),
            Theme::Credentials => self.about_credentials(rng, model, now),
            Theme::SecondFactor => self.about_the_factor(rng, model, now),
            Theme::Names => Some(Request::Register(rng.usize(..3) + model.names.len(), rng.usize(..SPELLINGS))),
            Theme::Limit => Some(Request::Resource),
            Theme::Anything => {
                // Not itself again.
                let theme = Theme::ALL[rng.usize(..Theme::ALL.len() - 1)];
                self.request(rng, theme, model, now)
            }
        }
    }

    fn about_a_session(&self, rng: &mut Rng, model: &Model) -> Option<Request> {
        // Mostly one that lives.
        let any = if now_and_then(rng) { pick(rng, &self.sessions) } else { pick(rng, &model.sessions) }?;
        Some(match rng.u8(..8) {
            0 => Request::LogOut(any),
            1 => Request::RevokeOthers(any),
            2 | 3 => Request::Revoke(any, pick(rng, &self.sessions)?),
            4 => Request::Guard(any),
            _ => Request::Check(any),
        })
    }

    fn about_credentials(&self, rng: &mut Rng, model: &Model, now: i64) -> Option<Request> {
        let session = pick(rng, &model.sessions)?;
        match rng.u8(..4) {
            0 => Some(Request::ReplaceCodes(session, model.password, self.code(rng, model, now)?)),
            1 => Some(Request::LogIn(model.password)),
            2 => self.about_a_session(rng, model),
            _ => Some(Request::ChangePassword(session, model.password, model.password + 1 + rng.usize(..2))),
        }
    }

    fn about_the_factor(&self, rng: &mut Rng, model: &Model, now: i64) -> Option<Request> {
        let session = pick(rng, &model.sessions)?;
        let (password, code) = (password(rng, model), self.code(rng, model, now)?);
        let is_on = model.factor.is_some() != now_and_then(rng);
        let is_begun = model.enrolment.is_some();
        Some(match rng.u8(..8) {
            0 => Request::LogIn(password),
            1 => self.about_a_session(rng, model)?,
            2 if is_on => Request::Verify(self.login(rng, model)?, code.into()),
            3 if is_on => Request::ReplaceCodes(session, password, code),
            4 if is_on => Request::Disable(session, password, self.recovery_code(rng, model)?),
            5.. if is_on => Request::Disable(session, password, code.into()),
            4.. if is_begun => Request::Confirm(session, code),
            2..7 => Request::Enrol(session, password),
            _ => Request::Confirm(session, code),
        })
    }

    fn login(&self, rng: &mut Rng, model: &Model) -> Option<Label> {
        let is_dead = model.pending.is_empty() || now_and_then(rng);
        if is_dead { pick(rng, &self.logins) } else { coveted(rng, &model.pending.keys().copied().collect()) }
    }

    /// The code of a step of now, or beside it; mostly of the secret that is in force, or would be.
    fn code(&self, rng: &mut Rng, model: &Model, now: i64) -> Option<Code> {
        let right = model.factor.map(|factor| factor.secret).or(model.enrolment.map(|enrolment| enrolment.secret));
        let secret = if now_and_then(rng) { pick(rng, &self.secrets) } else { right.or(pick(rng, &self.secrets)) }?;
        Some(Code { secret, step: step_at(now) - 1 + rng.u64(..3) })
    }

    /// Mostly one that is left.
    fn recovery_code(&self, rng: &mut Rng, model: &Model) -> Option<Offered> {
        let is_any = model.codes.is_empty() || now_and_then(rng);
        let code = match is_any {
            true => (pick(rng, &self.sets)?, rng.usize(..RECOVERY_CODES)),
            false => coveted(rng, &model.codes)?,
        };
        Some(Offered::RecoveryCode(code))
    }
}

fn theme(rng: &mut Rng, model: &Model) -> Theme {
    let is_on = model.factor.is_some();
    if model.sessions.len() > SESSIONS_MAX {
        Theme::Sessions
    } else if is_on && model.pending.len() < 3 && rng.bool() {
        Theme::LogIns
    } else if !is_on && rng.bool() {
        // Or it would stay off for most of a history.
        Theme::SecondFactor
    } else {
        Theme::ALL[rng.usize(..Theme::ALL.len())]
    }
}

/// Mostly the one that is in force, or one that nobody chooses.
fn password(rng: &mut Rng, model: &Model) -> usize {
    if now_and_then(rng) { model.password + 7 } else { model.password }
}

fn now_and_then(rng: &mut Rng) -> bool {
    rng.u8(..8) == 0
}

fn pick<T: Copy>(rng: &mut Rng, among: &BTreeSet<T>) -> Option<T> {
    rng.choice(among.iter().copied().collect::<Vec<_>>())
}

/// Half of the time all want the same one.
fn coveted<T: Copy>(rng: &mut Rng, among: &BTreeSet<T>) -> Option<T> {
    if rng.bool() { among.iter().next().copied() } else { pick(rng, among) }
}
