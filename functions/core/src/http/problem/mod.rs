//! Every problem document (RFC 9457) there is, and the only code that renders them.
//!
//! Server errors say nothing of their cause; it is logged once, where it is handled.

mod causes;
mod kind;

use std::borrow::Cow;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

pub use self::kind::Kind;
use super::{reason::Reason, reply::json};
use crate::rate_limit::{headers::stamp, limiter::Charged};

/// A problem, ready to be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    kind: Kind,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    retry_after_seconds: Option<i64>,
    charged: Option<Box<Charged>>,
    told_as: Option<StatusCode>,
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// The field's name as it was sent.
    pub field: String,
    /// What is wrong with it.
    pub detail: String,
    /// The same as a value, for pages in other languages.
    #[serde(skip)]
    pub(crate) reason: Reason,
}

/// The document, as it is sent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDocument<'a> {
    /// A URI that ends in the problem's name, such as `urn:hallpass:problem:rate-limited`.
    #[serde(rename = "type", serialize_with = "uri")]
    #[schema(value_type = String)]
    pub kind: Kind,
    /// What kind of problem it is; always the same for one type.
    pub title: &'static str,
    /// The status code.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// What happened this time.
    pub detail: &'a str,
    /// The fields that are wrong, for input errors.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(required = false)]
    pub errors: &'a [FieldError],
}

/// After this many seconds a store that was away or a full queue is worth another try.
const TRY_AGAIN_SECONDS: i64 = 2;

fn uri<S: Serializer>(kind: &Kind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("urn:hallpass:problem:{}", kind.slug()))
}

impl Problem {
    fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after_seconds: None,
            charged: None,
            told_as: None,
        }
    }

    /// 422: a field breaks a rule.
    #[must_use]
    pub fn invalid_input(field: &str, reason: impl Into<Reason>) -> Self {
        let reason = reason.into();
        let error = FieldError { field: field.to_owned(), detail: reason.to_string(), reason };
        let detail =
            if error.field.is_empty() { error.detail.clone() } else { format!("{}: {}", error.field, error.detail) };
        Self { errors: vec![error], ..Self::new(Kind::InvalidInput, detail) }
    }

    /// 422: the password may not be chosen; says why, as NIST demands.
    #[must_use]
    pub fn weak_password(field: &str, reason: impl Into<Reason>) -> Self {
        let reason = reason.into();
        let error = FieldError { field: field.to_owned(), detail: format!("the password {reason}"), reason };
        let detail = format!("The password {reason}.");
        Self { errors: vec![error], ..Self::new(Kind::WeakPassword, detail) }
    }

    /// 409: somebody has that name or address.
    #[must_use]
    pub fn username_taken(field: &str) -> Self {
        let reason = Reason::Taken;
        let error = FieldError { field: field.to_owned(), detail: reason.to_string(), reason };
        Self {
            errors: vec![error],
            ..Self::new(Kind::UsernameTaken, format!("This {field} is taken; choose another."))
        }
    }

    /// 401: one answer for an unknown user, a wrong password and a closed lane (ASVS 5.0 6.3.8).
    #[must_use]
    pub fn invalid_credentials() -> Self {
        let detail = "Wrong user name or password. After very many wrong guesses an account answers only to devices that have logged in before.";
        Self::new(Kind::InvalidCredentials, detail)
    }

    /// 401: the second step's code is wrong, used or not answered any more.
    #[must_use]
    pub fn invalid_code() -> Self {
        let detail = "Wrong or used code. After very many wrong codes only a recovery code or a device that has logged in before is answered.";
        Self::new(Kind::InvalidCode, detail)
    }

    /// 401: the password step must start anew.
    #[must_use]
    pub fn login_expired() -> Self {
        Self::new(Kind::LoginExpired, "No login is waiting for a second step; log in again.")
    }

    /// 401: no session, or one that has ended.
    #[must_use]
    pub fn session_required() -> Self {
        Self::new(Kind::SessionRequired, "Log in first; there is no session, or it has ended.")
    }

    /// 400: cookie and bearer token in one request.
    #[must_use]
    pub fn ambiguous_credentials() -> Self {
        Self::new(
            Kind::AmbiguousCredentials,
            "Send either the session cookie or a bearer token, not both and none twice.",
        )
    }

    /// 400: the body can't be read at all.
    #[must_use]
    pub fn malformed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::MalformedRequest, detail)
    }

    /// 403: a browser says that another site caused this.
    #[must_use]
    pub fn cross_origin() -> Self {
        Self::new(Kind::CrossOrigin, "Another site may not change anything here.")
    }

    /// 403: the session has one factor, and two are demanded.
    #[must_use]
    pub fn second_factor_required() -> Self {
        Self::new(
            Kind::SecondFactorRequired,
            "This needs a login with a second step; turn on two-step verification and log in with it.",
        )
    }

    /// 404.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(Kind::NotFound, "There is nothing here.")
    }

    /// 405.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        Self::new(Kind::MethodNotAllowed, "This path doesn't take that method.")
    }

    /// 408: the body didn't arrive in time.
    #[must_use]
    pub fn request_timeout() -> Self {
        Self::new(Kind::RequestTimeout, "The body took too long to arrive.")
    }

    /// 413.
    #[must_use]
    pub fn too_large(max_bytes: usize) -> Self {
        Self::new(Kind::BodyTooLarge, format!("At most {max_bytes} bytes are read."))
    }

    /// 415.
    #[must_use]
    pub fn unsupported_media_type() -> Self {
        let detail = "Send application/json, or application/x-www-form-urlencoded where a page would.";
        Self::new(Kind::UnsupportedMediaType, detail)
    }

    /// 409: set up already.
    #[must_use]
    pub fn totp_already_enabled() -> Self {
        Self::new(Kind::TotpAlreadyEnabled, "Turn it off first to set it up anew.")
    }

    /// 409: nothing to confirm.
    #[must_use]
    pub fn totp_not_started() -> Self {
        Self::new(Kind::TotpNotStarted, "Start the set-up first; it lasts ten minutes and ten wrong codes.")
    }

    /// 409: nothing to turn off.
    #[must_use]
    pub fn totp_not_enabled() -> Self {
        Self::new(Kind::TotpNotEnabled, "Turn it on first.")
    }

    /// 409: another request changed the account first.
    #[must_use]
    pub fn changed_meanwhile() -> Self {
        Self::new(Kind::ChangedMeanwhile, "Another request changed the account first; look again and retry.")
    }

    /// 429, with the whole seconds after which one more is admitted.
    #[must_use]
    pub fn rate_limited(charged: Charged) -> Self {
        let seconds = charged.retry_after_seconds();
        Self { charged: Some(Box::new(charged)), ..Self::slowed_down(seconds) }
    }

    /// The same. Where a client must wait, so long that the limit admits it too, of which this request took one.
    pub(crate) fn after_charge(self, charged: &Charged) -> Self {
        match self.retry_after_seconds {
            Some(seconds) if self.kind == Kind::RateLimited => Self::slowed_down(charged.wait_seconds(seconds)),
            _ => self,
        }
    }

    /// The same by another status, for whoever knows but a few.
    #[must_use]
    pub fn told_as(self, status: StatusCode) -> Self {
        Self { told_as: Some(status), ..self }
    }

    fn slowed_down(seconds: i64) -> Self {
        let detail = format!("Too many requests; one more is admitted in {seconds} s.");
        Self { retry_after_seconds: Some(seconds), ..Self::new(Kind::RateLimited, detail) }
    }

    /// 500: a defect of ours.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(Kind::Internal, "Something went wrong here; it has been noted.")
    }

    /// 503: the store, the queue of hashes or the time ran out. Never a pass.
    #[must_use]
    pub fn unavailable() -> Self {
        let problem = Self::new(Kind::Unavailable, "Busy or cut off from the store; try again shortly.");
        Self { retry_after_seconds: Some(TRY_AGAIN_SECONDS), ..problem }
    }

    /// Which problem it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// A line for people, in English.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The fields that are wrong, for input errors.
    pub(crate) fn errors(&self) -> &[FieldError] {
        &self.errors
    }

    /// Whole seconds after which a retry is worth it.
    pub(crate) fn retry_after_seconds(&self) -> Option<i64> {
        self.retry_after_seconds
    }

    /// The status code.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.told_as.unwrap_or_else(|| self.kind.status())
    }

    /// What was charged, where a limit refused.
    pub(crate) fn charged(&self) -> Option<&Charged> {
        self.charged.as_deref()
    }

    /// The document to send.
    #[must_use]
    pub fn document(&self) -> ProblemDocument<'_> {
        ProblemDocument {
            kind: self.kind,
            title: self.kind.title(),
            status: self.status().as_u16(),
            detail: &self.detail,
            errors: &self.errors,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status(), json(&self.document())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(charged) = self.charged() {
            stamp(headers, std::slice::from_ref(charged));
        }
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.kind == Kind::SessionRequired {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        // A page is rendered from it further out, where one is wanted.
        response.extensions_mut().insert(self);
        response
    }
}
