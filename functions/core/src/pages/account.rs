//! The pages of the account: overview, security, sessions.

use askama::Template;
use axum::{http::StatusCode, response::Response};
use jiff::Timestamp;

use super::{
    device::browser_and_system,
    form::Form,
    trouble::{Marks, Trouble},
    visit::{Frame, Visit},
    words::Words,
};
use crate::{accounts::user::Profile, sessions::session::Session};

#[derive(Template)]
#[template(path = "account.html")]
struct Account<'a> {
    frame: Frame<'a>,
    words: &'a Words,
    user: &'a Profile,
    member_since: Moment,
    began: Moment,
    ends: Moment,
    methods: &'static str,
}

#[derive(Template)]
#[template(path = "security.html")]
struct Security<'a> {
    frame: Frame<'a>,
    words: &'a Words,
    /// Never shown; tells password managers whose password it is.
    username: &'a str,
    is_two_step_on: bool,
    password_hint: String,
    password: Marks<'a>,
    set_up: Marks<'a>,
    recovery_codes: Marks<'a>,
    turn_off: Marks<'a>,
}

#[derive(Template)]
#[template(path = "sessions.html")]
struct Sessions<'a> {
    frame: Frame<'a>,
    words: &'a Words,
    sessions: Vec<Row<'a>>,
}

/// One session in the list.
struct Row<'a> {
    id: String,
    is_current: bool,
    device: String,
    user_agent: &'a str,
    address: &'a str,
    began: Moment,
    last_seen: Moment,
    last_seen_ago: String,
}

/// A time for people; a script shows it in the reader's own time zone.
struct Moment(Timestamp);

impl Moment {
    /// For `datetime`.
    fn machine(&self) -> String {
        self.0.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    fn date(&self) -> String {
        self.0.strftime("%Y-%m-%d").to_string()
    }

    fn minute(&self) -> String {
        self.0.strftime("%Y-%m-%d %H:%M UTC").to_string()
    }
}

impl Visit {
    /// `/account`: whose account this is, and how it stands.
    #[must_use]
    pub fn account(&self, session: &Session) -> Response {
        let page = Account {
            frame: self.frame(Some(&session.user.username)),
            words: self.words,
            user: &session.user,
            member_since: Moment(session.user.created_at),
            began: Moment(session.created_at),
            ends: Moment(session.expires_at),
            methods: (self.words.methods)(&session.methods),
        };
        self.show(StatusCode::OK, &page)
    }

    /// `/account/security`: the password and the second step.
    #[must_use]
    pub fn security(&self, session: &Session) -> Response {
        self.security_forms(StatusCode::OK, session, None)
    }

    pub(super) fn security_forms(&self, status: StatusCode, session: &Session, trouble: Option<&Trouble>) -> Response {
        let page = Security {
            frame: self.frame(Some(&session.user.username)),
            words: self.words,
            username: &session.user.username,
            is_two_step_on: session.user.totp_enabled,
            password_hint: self.password_hint(),
            password: Trouble::at(trouble, Form::Password),
            set_up: Trouble::at(trouble, Form::SetUp),
            recovery_codes: Trouble::at(trouble, Form::RecoveryCodes),
            turn_off: Trouble::at(trouble, Form::TurnOff),
        };
        self.show(status, &page)
    }

    /// `/account/sessions`: where else one is logged in.
    #[must_use]
    pub fn sessions(&self, current: &Session, live: &[Session], now: Timestamp) -> Response {
        let page = Sessions {
            frame: self.frame(Some(&current.user.username)),
            words: self.words,
            sessions: live.iter().map(|session| self.row(session, session.id == current.id, now)).collect(),
        };
        self.show(StatusCode::OK, &page)
    }

    fn row<'a>(&self, session: &'a Session, is_current: bool, now: Timestamp) -> Row<'a> {
        let user_agent = session.client.user_agent.as_str();
        let known = browser_and_system(user_agent);
        let is_known = known.is_some();
        let device = known.map_or_else(
            || self.words.unknown_device.to_owned(),
            |(browser, system)| (self.words.browser_on_system)(browser, system),
        );
        Row {
            id: session.id.to_string(),
            is_current,
            device,
            // What is known needs no explanation, and fifty explanations are a heavy page.
            user_agent: if is_known { "" } else { cut(user_agent) },
            address: &session.client.address,
            began: Moment(session.created_at),
            last_seen: Moment(session.last_seen_at),
            last_seen_ago: (self.words.ago)(now.duration_since(session.last_seen_at).as_secs()),
        }
    }
}

/// As much of what a program calls itself as helps to tell which it is, measured as it stands in the page.
fn cut(user_agent: &str) -> &str {
    const MAX_BYTES: usize = 90;
    const ESCAPED_BYTES: usize = "&#60;".len();
    let mut bytes = 0;
    let end = user_agent.find(|c: char| {
        bytes += if "<>&\"'".contains(c) { ESCAPED_BYTES } else { c.len_utf8() };
        bytes > MAX_BYTES
    });
    end.and_then(|end| user_agent.get(..end)).unwrap_or(user_agent)
}
