//! The pages that are shown once: the secret for the authenticator app, and the recovery codes.
//!
//! They are answers to forms. A redirect to a page of their own would need the secret to be kept for it.

use askama::Template;
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{
    form::Form,
    trouble::{Marks, Trouble},
    visit::{Frame, Visit},
    words::Words,
};
use crate::{second_factor::recovery::RecoveryCode, sessions::session::Session};

/// What the authenticator app needs.
pub struct SetUp<'a> {
    /// The secret in Base32.
    pub secret: &'a str,
    /// The `otpauth://` link.
    pub otpauth_url: &'a str,
    /// The link as a QR code: an SVG document.
    pub qr_svg: &'a str,
}

#[derive(Template)]
#[template(path = "set_up.html")]
struct SetUpPage<'a> {
    frame: Frame<'a>,
    words: &'a Words,
    marks: Marks<'a>,
    /// `None` once it was shown.
    key: Option<Key<'a>>,
}

struct Key<'a> {
    /// In groups of four, for typing.
    groups: Vec<&'a str>,
    otpauth_url: &'a str,
    /// An SVG element.
    qr: &'a str,
}

#[derive(Template)]
#[template(path = "recovery_codes.html")]
struct RecoveryCodes<'a> {
    frame: Frame<'a>,
    words: &'a Words,
    codes: Vec<String>,
    joined: String,
    is_first_set: bool,
}

const GROUP_CHARS: usize = 4;

impl Visit {
    /// The secret, and the form that confirms it.
    #[must_use]
    pub fn set_up(&self, session: &Session, set_up: &SetUp<'_>) -> Response {
        let starts = (0..set_up.secret.len()).step_by(GROUP_CHARS);
        let groups =
            starts.filter_map(|at| set_up.secret.get(at..).map(|rest| rest.get(..GROUP_CHARS).unwrap_or(rest)));
        // What comes before the element is for files.
        let qr = set_up.qr_svg.find("<svg").and_then(|at| set_up.qr_svg.get(at..)).unwrap_or_default();
        let key = Key { groups: groups.collect(), otpauth_url: set_up.otpauth_url, qr };
        self.show(StatusCode::OK, &self.set_up_page(session, Some(key), None))
    }

    /// The form that confirms, after a wrong code: the secret was shown, and isn't again.
    pub(super) fn confirm_form(&self, status: StatusCode, session: &Session, trouble: Option<&Trouble>) -> Response {
        self.show(status, &self.set_up_page(session, None, trouble))
    }

    fn set_up_page<'a>(
        &'a self,
        session: &'a Session,
        key: Option<Key<'a>>,
        trouble: Option<&'a Trouble>,
    ) -> SetUpPage<'a> {
        let marks = Trouble::at(trouble, Form::Confirm);
        SetUpPage { frame: self.frame_shown_once(session), words: self.words, marks, key }
    }

    fn frame_shown_once<'a>(&'a self, session: &'a Session) -> Frame<'a> {
        Frame { has_switch: false, ..self.frame(Some(&session.user.username)) }
    }

    /// The recovery codes; the first ones come with turning two-step verification on.
    #[must_use]
    pub fn recovery_codes(&self, session: &Session, codes: &[RecoveryCode], is_first_set: bool) -> Response {
        let codes: Vec<String> = codes.iter().map(RecoveryCode::reveal).collect();
        let page = RecoveryCodes {
            frame: self.frame_shown_once(session),
            words: self.words,
            joined: codes.join(" "),
            codes,
            is_first_set,
        };
        self.show(StatusCode::OK, &page)
    }

    /// The recovery codes as a file to keep.
    #[must_use]
    pub fn recovery_codes_file(&self, codes: &[RecoveryCode]) -> Response {
        let lines: Vec<String> = codes.iter().map(RecoveryCode::reveal).collect();
        let text = format!("{}\r\n{}\r\n\r\n{}\r\n", self.frame(None).name, self.words.codes_file, lines.join("\r\n"));
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
            (header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"recovery-codes.txt\"")),
        ];
        (headers, text).into_response()
    }
}
