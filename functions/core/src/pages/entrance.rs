//! The pages for whoever isn't logged in: start, login, second step, registration.

use askama::Template;
use axum::{http::StatusCode, response::Response};

use super::{
    filled::{Fields, Filled},
    form::Form,
    trouble::{Marks, Trouble},
    visit::{Frame, Visit, with_next},
    words::Words,
};
use crate::sessions::session::Session;

#[derive(Template)]
#[template(path = "home.html")]
struct Home<'a> {
    frame: Frame<'a>,
    words: &'a Words,
}

#[derive(Template)]
#[template(path = "login.html")]
struct Login<'a> {
    frame: Frame<'a>,
    words: &'a Words,
    marks: Marks<'a>,
    username: &'a str,
    next: &'a str,
    register: String,
}

#[derive(Template)]
#[template(path = "register.html")]
struct Register<'a> {
    frame: Frame<'a>,
    words: &'a Words,
    marks: Marks<'a>,
    username: &'a str,
    email: &'a str,
    next: &'a str,
    password_hint: String,
    login: String,
}

#[derive(Template)]
#[template(path = "verify.html")]
struct Verify<'a> {
    frame: Frame<'a>,
    words: &'a Words,
    /// Of the code's form.
    marks: Marks<'a>,
    /// Of the recovery code's form.
    recovery_marks: Marks<'a>,
}

impl Visit {
    /// `/`: what this is, and whether one is logged in.
    #[must_use]
    pub fn home(&self, session: Option<&Session>) -> Response {
        let user = session.map(|session| session.user.username.as_str());
        self.show(StatusCode::OK, &Home { frame: self.frame(user), words: self.words })
    }

    /// `/login`.
    #[must_use]
    pub fn login(&self) -> Response {
        self.login_form(StatusCode::OK, None, &Fields::default())
    }

    /// `/register`.
    #[must_use]
    pub fn register(&self) -> Response {
        self.register_form(StatusCode::OK, None, &Fields::default())
    }

    /// `/login/verify`.
    #[must_use]
    pub fn verify(&self) -> Response {
        self.verify_form(StatusCode::OK, None, &Filled::default())
    }

    pub(super) fn login_form(&self, status: StatusCode, trouble: Option<&Trouble>, fields: &Fields) -> Response {
        let page = Login {
            frame: self.frame(None),
            words: self.words,
            marks: Trouble::at(trouble, Form::Login),
            username: &fields.username,
            next: self.next().unwrap_or_default(),
            register: self.leading_on("/register"),
        };
        self.show(status, &page)
    }

    pub(super) fn register_form(&self, status: StatusCode, trouble: Option<&Trouble>, fields: &Fields) -> Response {
        let page = Register {
            frame: self.frame(None),
            words: self.words,
            marks: Trouble::at(trouble, Form::Register),
            username: &fields.username,
            email: &fields.email,
            next: self.next().unwrap_or_default(),
            password_hint: self.password_hint(),
            login: self.leading_on("/login"),
        };
        self.show(status, &page)
    }

    pub(super) fn verify_form(&self, status: StatusCode, trouble: Option<&Trouble>, filled: &Filled) -> Response {
        let (with_code, with_recovery_code) = match filled.fields().has_recovery_code() {
            true => (None, trouble),
            false => (trouble, None),
        };
        let page = Verify {
            frame: self.frame(None),
            words: self.words,
            marks: Trouble::at(with_code, Form::Verify),
            recovery_marks: Trouble::at(with_recovery_code, Form::Verify),
        };
        self.show(status, &page)
    }

    fn leading_on(&self, page: &str) -> String {
        self.next().map_or_else(|| page.to_owned(), |next| with_next(page, next))
    }
}
