//! Answers that hand out tokens, and redirects for forms.

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{body::Style, cookies::Cookie};
use crate::{
    accounts::{known_device::KnownDevices, user::Profile},
    sessions::{
        keeper::Opened,
        session::{PendingLogin, SessionView},
        token::LoginToken,
    },
};

/// How a client wants its token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
// By way of text: JSON has another way to name a variant, `{"token": null}`, which is no word of ours.
#[serde(rename_all = "lowercase", try_from = "String")]
pub enum Delivery {
    /// As a cookie, which scripts never see.
    #[default]
    Cookie,
    /// In the body, to be sent back as `Authorization: Bearer`.
    Token,
}

impl TryFrom<String> for Delivery {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        match text.as_str() {
            "cookie" => Ok(Self::Cookie),
            "token" => Ok(Self::Token),
            _ => Err("must be cookie or token"),
        }
    }
}

impl Delivery {
    /// A form's answer is a redirect, which has no place for a token but its cookies.
    #[must_use]
    pub fn for_style(self, style: Style) -> Self {
        match style {
            Style::Json => self,
            Style::Form => Self::Cookie,
        }
    }
}

/// The answer to a completed login.
#[derive(Debug, Serialize, ToSchema)]
pub struct LoggedIn {
    /// Who logged in.
    pub user: Profile,
    /// The session that was opened.
    pub session: SessionView,
    /// The bearer token, where one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// The new token of a bearer session after a credential change; cookies are replaced by cookies.
pub const NEW_TOKEN: HeaderName = HeaderName::from_static("x-session-token");

const CLEAR_SITE_DATA_NAME: HeaderName = HeaderName::from_static("clear-site-data");

/// The answer that hands out a session that was just opened.
pub fn logged_in(
    status: StatusCode,
    opened: &Opened,
    delivery: Delivery,
    devices: &KnownDevices,
    now: Timestamp,
) -> Response {
    let answer = |token| {
        let (user, session) = opened.session.clone().into_view(true);
        (status, json(&LoggedIn { user, session, token })).into_response()
    };
    match delivery {
        Delivery::Token => answer(Some(opened.token.reveal().to_string())),
        Delivery::Cookie => with_session_cookies(answer(None), opened, devices, now),
    }
}

/// Room for a session and its user, which is most of what is answered.
const JSON_BYTES: usize = 768;

/// Room for its headers, and those that a limit and the shell add.
const HEADERS: usize = 12;

/// A JSON answer, written at once: `axum::Json` grows its buffer from little, piece by piece.
pub fn json(document: &impl Serialize) -> Response {
    let mut body = Vec::with_capacity(JSON_BYTES);
    match serde_json::to_writer(&mut body, document) {
        Ok(()) => {
            let mut response = Response::new(body.into());
            response.headers_mut().reserve(HEADERS);
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
        // None of our documents has keys that JSON can't spell.
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Adds the cookies of a completed login: the session, the known device, and no pending login any more.
pub fn with_session_cookies(response: Response, opened: &Opened, devices: &KnownDevices, now: Timestamp) -> Response {
    let device = devices.issue(opened.session.user.id, opened.session.epoch, now);
    let seconds_left = opened.session.expires_at.as_second().saturating_sub(now.as_second());
    with_cookies(
        response,
        [
            Cookie::Session.set(&opened.token.reveal(), seconds_left),
            Cookie::Device.set(&device, KnownDevices::LIFETIME.as_secs()),
            Cookie::Login.clear(),
        ],
    )
}

/// Adds the new token of a session whose credentials changed, the way the old one came.
pub fn with_renewed(
    mut response: Response,
    opened: &Opened,
    delivery: Delivery,
    devices: &KnownDevices,
    now: Timestamp,
) -> Response {
    match delivery {
        Delivery::Cookie => with_session_cookies(response, opened, devices, now),
        Delivery::Token => {
            if let Ok(mut token) = HeaderValue::from_str(&opened.token.reveal()) {
                token.set_sensitive(true);
                response.headers_mut().insert(NEW_TOKEN, token);
            }
            response
        }
    }
}

/// Adds the cookie of a pending login.
pub fn with_login_cookie(response: Response, token: &LoginToken) -> Response {
    with_cookies(response, [Cookie::Login.set(&token.reveal(), PendingLogin::LIFETIME.as_secs())])
}

/// Not `"cookies"`: the known device would be forgotten, and the cookies of sibling hosts too.
const CLEAR_SITE_DATA: HeaderValue = HeaderValue::from_static("\"cache\", \"storage\"");

/// Takes the cookies of session and pending login back, and what the browser kept of the pages. The device stays known:
/// that is what it is for.
pub fn with_cookies_cleared(mut response: Response) -> Response {
    response.headers_mut().insert(CLEAR_SITE_DATA_NAME, CLEAR_SITE_DATA);
    with_cookies(response, [Cookie::Session.clear(), Cookie::Login.clear()])
}

/// Adds `Set-Cookie` lines.
pub fn with_cookies<const N: usize>(mut response: Response, cookies: [Option<HeaderValue>; N]) -> Response {
    for cookie in cookies.into_iter().flatten() {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// `303 See Other` to a page of ours, with the cookies of the answer it stands for.
pub(crate) fn see_other(answer: Response, page: &str) -> Response {
    let Ok(location) = HeaderValue::from_str(page) else {
        return answer;
    };
    let mut redirect = StatusCode::SEE_OTHER.into_response();
    redirect.headers_mut().insert(header::LOCATION, location);
    for (name, value) in answer.headers() {
        if [header::SET_COOKIE, NEW_TOKEN, CLEAR_SITE_DATA_NAME].contains(name) {
            redirect.headers_mut().append(name, value.clone());
        }
    }
    redirect
}

/// Where a form's user wanted to go, if it is a path of ours.
///
/// One slash, then visible ASCII without a backslash: whatever a browser's URL parser makes of it stays on this
/// origin (attack 5.29).
#[must_use]
pub fn local_path(next: &str) -> Option<&str> {
    let rest = next.strip_prefix('/')?;
    let is_local = next.len() <= 2048
        && !rest.starts_with('/')
        && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    is_local.then_some(next)
}
