//! What is asked in a race.

use std::collections::BTreeSet;

use fastrand::Rng;

use super::model::{Label, Model, Request, step_at};

/// What a race is about.
#[derive(Debug, Clone, Copy)]
enum Theme {
    LogIns,
    Codes,
    RecoveryCodes,
    Sessions,
    Credentials,
    Names,
    Limit,
    Anything,
}

const THEMES: [Theme; 8] = [
    Theme::LogIns,
    Theme::Codes,
    Theme::RecoveryCodes,
    Theme::Sessions,
    Theme::Credentials,
    Theme::Names,
    Theme::Limit,
    Theme::Anything,
];

/// Requests of one race.
const REQUESTS: std::ops::RangeInclusive<usize> = 2..=5;
/// Wrong passwords of one history: fewer than make guesses wait, which the model knows nothing of.
const WRONG_PASSWORDS_MAX: usize = 6;
/// Races for credentials in one history: each may cost several wrong passwords.
const CREDENTIAL_RACES_MAX: usize = 2;
/// More than this many sessions and others are ended first, far below where a login ends the oldest.
const SESSIONS_MAX: usize = 25;
const SPELLINGS: usize = 4;

/// Draws requests that make sense, and some that don't.
#[derive(Debug, Default)]
pub(super) struct Hand {
    labels: Label,
    ever: BTreeSet<Label>,
    wrong_passwords: usize,
    credential_races: usize,
}

impl Hand {
    /// The requests of a race where this is true, each with the label of what it makes.
    pub(super) fn draw(&mut self, rng: &mut Rng, model: &Model, now: i64) -> Vec<(Request, Label)> {
        self.ever.extend(&model.sessions);
        let theme = self.theme(rng, model);
        let requests: Vec<Request> =
            (0..rng.usize(REQUESTS)).filter_map(|_| self.request(rng, theme, model, now)).collect();
        requests.into_iter().map(|request| (request, self.label())).collect()
    }

    /// A session that there ever was, asked whether it lives.
    pub(super) fn ask_again(&mut self, number: usize) -> Vec<(Request, Label)> {
        let session = self.ever.iter().nth(number).copied();
        session.map(|session| (Request::Check(session), self.label())).into_iter().collect()
    }

    fn label(&mut self) -> Label {
        self.labels += 1;
        self.labels
    }

    fn theme(&mut self, rng: &mut Rng, model: &Model) -> Theme {
        if model.sessions.len() > SESSIONS_MAX {
            return Theme::Sessions;
        }
        if model.pending.len() < 3 && rng.bool() {
            return Theme::LogIns;
        }
        match THEMES[rng.usize(..THEMES.len())] {
            Theme::Credentials | Theme::Anything if self.credential_races >= CREDENTIAL_RACES_MAX => Theme::Codes,
            theme @ (Theme::Credentials | Theme::Anything) => {
                self.credential_races += 1;
                theme
            }
            theme @ (Theme::LogIns
            | Theme::Codes
            | Theme::RecoveryCodes
            | Theme::Sessions
            | Theme::Names
            | Theme::Limit) => theme,
        }
    }

    fn request(&mut self, rng: &mut Rng, theme: Theme, model: &Model, now: i64) -> Option<Request> {
        let session = |rng: &mut Rng| pick(rng, &model.sessions);
        match theme {
            Theme::LogIns => Some(Request::LogIn(self.password(rng, model))),
            Theme::Codes => Some(Request::Verify(self.pending(rng, model)?, near(rng, now))),
            Theme::RecoveryCodes => {
                Some(Request::VerifyByRecoveryCode(self.pending(rng, model)?, pick(rng, &model.codes)?))
            }
            Theme::Sessions => self.about_a_session(rng, model),
            Theme::Credentials => match rng.u8(..4) {
                0 => Some(Request::ReplaceCodes(session(rng)?, model.password, near(rng, now))),
                1 => Some(Request::LogIn(model.password)),
                2 => self.about_a_session(rng, model),
                _ => Some(Request::ChangePassword(session(rng)?, model.password, model.password + 1 + rng.usize(..2))),
            },
            Theme::Names => Some(Request::Register(rng.usize(..3) + model.names.len(), rng.usize(..SPELLINGS))),
            Theme::Limit => Some(Request::Resource),
            Theme::Anything => {
                // Not itself again.
                let theme = THEMES[rng.usize(..THEMES.len() - 1)];
                self.request(rng, theme, model, now)
            }
        }
    }

    fn about_a_session(&self, rng: &mut Rng, model: &Model) -> Option<Request> {
        // Mostly one that lives.
        let any = if rng.u8(..4) == 0 { pick(rng, &self.ever) } else { pick(rng, &model.sessions) }?;
        Some(match rng.u8(..8) {
            0 => Request::LogOut(any),
            1 => Request::RevokeOthers(any),
            2 | 3 => Request::Revoke(any, pick(rng, &self.ever)?),
            4 => Request::Guard(any),
            _ => Request::Check(any),
        })
    }

    fn password(&mut self, rng: &mut Rng, model: &Model) -> usize {
        let is_wrong = rng.u8(..8) == 0 && self.wrong_passwords < WRONG_PASSWORDS_MAX;
        self.wrong_passwords += usize::from(is_wrong);
        // The next one that nobody has chosen yet, or the one that is in force.
        if is_wrong { model.password + 7 } else { model.password }
    }

    fn pending(&self, rng: &mut Rng, model: &Model) -> Option<Label> {
        let logins: Vec<Label> = model.pending.keys().copied().collect();
        // Half of the time all want the same one.
        if rng.bool() { logins.first().copied() } else { rng.choice(logins) }
    }
}

fn pick<T: Copy>(rng: &mut Rng, among: &BTreeSet<T>) -> Option<T> {
    rng.choice(among.iter().copied().collect::<Vec<_>>())
}

/// The step of now, or one beside it.
fn near(rng: &mut Rng, now: i64) -> u64 {
    step_at(now) - 1 + rng.u64(..3)
}
