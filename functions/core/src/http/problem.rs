//! Every problem document (RFC 9457) there is, and the only code that renders them.
//!
//! Server errors say nothing of their cause; it is logged once, where it is handled.

use std::borrow::Cow;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{reason::Reason, reply::json};
use crate::{
    accounts::{guessing::Held, hasher::HashError, passwords::PasswordError, registration::RegistrationError},
    guard::Refusal,
    rate_limit::limiter::{ChargeError, Charged},
    second_factor::SecondFactorError,
    sessions::keeper::OpenError,
    store::StoreError,
};

/// A problem, ready to be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    slug: &'static str,
    title: &'static str,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    retry_after_seconds: Option<i64>,
    charged: Option<Box<Charged>>,
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
pub struct ProblemDocument {
    /// A URI that ends in the problem's name, such as `urn:hallpass:problem:rate-limited`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What kind of problem it is; always the same for one type.
    pub title: &'static str,
    /// The status code.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// What happened this time.
    pub detail: Cow<'static, str>,
    /// The fields that are wrong, for input errors.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<FieldError>,
}

/// After this many seconds a store that was away or a full queue is worth another try.
const TRY_AGAIN_SECONDS: i64 = 2;
const TYPE_PREFIX: &str = "urn:hallpass:problem:";

impl Problem {
    fn new(status: StatusCode, slug: &'static str, title: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            slug,
            title,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after_seconds: None,
            charged: None,
        }
    }

    /// 422: a field breaks a rule.
    #[must_use]
    pub fn invalid_input(field: &str, reason: impl Into<Reason>) -> Self {
        let reason = reason.into();
        let error = FieldError { field: field.to_owned(), detail: reason.to_string(), reason };
        let detail =
            if error.field.is_empty() { error.detail.clone() } else { format!("{}: {}", error.field, error.detail) };
        Self {
            errors: vec![error],
            ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-input", "Invalid input", detail)
        }
    }

    /// 422: the password may not be chosen; says why, as NIST demands.
    #[must_use]
    pub fn weak_password(field: &str, reason: impl Into<Reason>) -> Self {
        let reason = reason.into();
        let error = FieldError { field: field.to_owned(), detail: format!("the password {reason}"), reason };
        let detail = format!("The password {reason}.");
        Self {
            errors: vec![error],
            ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "weak-password", "Weak password", detail)
        }
    }

    /// 409: somebody has that name or address.
    #[must_use]
    pub fn username_taken(field: &str) -> Self {
        let reason = Reason::Taken;
        let error = FieldError { field: field.to_owned(), detail: reason.to_string(), reason };
        Self {
            errors: vec![error],
            ..Self::new(
                StatusCode::CONFLICT,
                "username-taken",
                "Name taken",
                format!("This {field} is taken; choose another."),
            )
        }
    }

    /// 401: one answer for an unknown user, a wrong password and a closed lane (ASVS 5.0 6.3.8).
    #[must_use]
    pub fn invalid_credentials() -> Self {
        let detail = "Wrong user name or password. After very many wrong guesses an account answers only to devices that have logged in before.";
        Self::new(StatusCode::UNAUTHORIZED, "invalid-credentials", "Invalid credentials", detail)
    }

    /// 401: the second step's code is wrong, used or not answered any more.
    #[must_use]
    pub fn invalid_code() -> Self {
        let detail = "Wrong or used code. After very many wrong codes only a recovery code or a device that has logged in before is answered.";
        Self::new(StatusCode::UNAUTHORIZED, "invalid-code", "Invalid code", detail)
    }

    /// 401: the password step must start anew.
    #[must_use]
    pub fn login_expired() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "login-expired",
            "Login expired",
            "No login is waiting for a second step; log in again.",
        )
    }

    /// 401: no session, or one that has ended.
    #[must_use]
    pub fn session_required() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "session-required",
            "Session required",
            "Log in first; there is no session, or it has ended.",
        )
    }

    /// 400: cookie and bearer token in one request.
    #[must_use]
    pub fn ambiguous_credentials() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "ambiguous-credentials",
            "Ambiguous credentials",
            "Send either the session cookie or a bearer token, not both and none twice.",
        )
    }

    /// 400: the body can't be read at all.
    #[must_use]
    pub fn malformed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed-request", "Malformed request", detail)
    }

    /// 403: a browser says that another site caused this.
    #[must_use]
    pub fn cross_origin() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "cross-origin",
            "Cross-origin request refused",
            "Another site may not change anything here.",
        )
    }

    /// 403: the session has one factor, and two are demanded.
    #[must_use]
    pub fn second_factor_required() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "second-factor-required",
            "Second factor required",
            "This needs a login with a second step; turn on two-step verification and log in with it.",
        )
    }

    /// 404.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", "There is nothing here.")
    }

    /// 405.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "Method not allowed",
            "This path doesn't take that method.",
        )
    }

    /// 408: the body didn't arrive in time.
    #[must_use]
    pub fn request_timeout() -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "request-timeout",
            "Request timeout",
            "The body took too long to arrive.",
        )
    }

    /// 413.
    #[must_use]
    pub fn too_large(max_bytes: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body-too-large",
            "Body too large",
            format!("At most {max_bytes} bytes are read."),
        )
    }

    /// 415.
    #[must_use]
    pub fn unsupported_media_type() -> Self {
        let detail = "Send application/json, or application/x-www-form-urlencoded where a page would.";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "Unsupported media type", detail)
    }

    /// 409: set up already.
    #[must_use]
    pub fn totp_already_enabled() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "totp-already-enabled",
            "Two-step verification is on",
            "Turn it off first to set it up anew.",
        )
    }

    /// 409: nothing to confirm.
    #[must_use]
    pub fn totp_not_started() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "totp-not-started",
            "No set-up under way",
            "Start the set-up first; it lasts ten minutes and ten wrong codes.",
        )
    }

    /// 409: nothing to turn off.
    #[must_use]
    pub fn totp_not_enabled() -> Self {
        Self::new(StatusCode::CONFLICT, "totp-not-enabled", "Two-step verification is off", "Turn it on first.")
    }

    /// 409: another request changed the account first.
    #[must_use]
    pub fn changed_meanwhile() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "changed-meanwhile",
            "Changed meanwhile",
            "Another request changed the account first; look again and retry.",
        )
    }

    /// 429, with the whole seconds after which one more is admitted.
    #[must_use]
    pub fn rate_limited(charged: Charged) -> Self {
        let seconds = charged.retry_after_seconds();
        Self { charged: Some(Box::new(charged)), ..Self::slowed_down(seconds) }
    }

    fn slowed_down(seconds: i64) -> Self {
        let detail = format!("Too many requests; one more is admitted in {seconds} s.");
        Self {
            retry_after_seconds: Some(seconds),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "rate-limited", "Rate limited", detail)
        }
    }

    /// 500: a defect of ours.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Internal error",
            "Something went wrong here; it has been noted.",
        )
    }

    /// 503: the store, the queue of hashes or the time ran out. Never a pass.
    #[must_use]
    pub fn unavailable() -> Self {
        let problem = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "Unavailable",
            "Busy or cut off from the store; try again shortly.",
        );
        Self { retry_after_seconds: Some(TRY_AGAIN_SECONDS), ..problem }
    }

    /// The problem's name.
    #[must_use]
    pub fn slug(&self) -> &'static str {
        self.slug
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
        self.status
    }

    /// What was charged, where a limit refused.
    pub(crate) fn charged(&self) -> Option<&Charged> {
        self.charged.as_deref()
    }

    /// The document to send.
    #[must_use]
    pub fn document(&self) -> ProblemDocument {
        ProblemDocument {
            kind: format!("{TYPE_PREFIX}{}", self.slug),
            title: self.title,
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            errors: self.errors.clone(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, json(&self.document())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.slug == "session-required" {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        // A page is rendered from it further out, where one is wanted.
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Unavailable(_) => tracing::error!(event = "store.unavailable", %error),
            StoreError::Corrupt(_) => tracing::error!(event = "store.corrupt", %error),
        }
        Self::unavailable()
    }
}

impl From<ChargeError> for Problem {
    fn from(error: ChargeError) -> Self {
        match error {
            ChargeError::Limited(charged) => Self::rate_limited(charged),
            ChargeError::Store(error) => error.into(),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unauthenticated => Self::session_required(),
            Refusal::Ambiguous => Self::ambiguous_credentials(),
            Refusal::LevelTooLow(_) => Self::second_factor_required(),
            Refusal::Limited(charged) => Self::rate_limited(charged),
            // Whoever runs the proxy has to know; what it asked for is not repeated.
            Refusal::NoSuchLimit => {
                tracing::error!(event = "guard.no_such_limit");
                Self::malformed("No limit of that name is set.")
            }
            // The second sentence is for whoever sets up a proxy that sends its client's query where it has none of its
            // own, as Caddy does.
            Refusal::Unreadable => Self::malformed(
                "A level is aal1 or aal2, a limit is the name of a policy in the settings; nothing else is read. \
                 A proxy must not send its client's query here: end the address with a question mark.",
            ),
            Refusal::Unavailable(error) => error.into(),
        }
    }
}

impl From<HashError> for Problem {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Busy => tracing::warn!(event = "argon2.queue_full"),
            HashError::Malformed | HashError::UnknownKey => tracing::error!(event = "argon2.unusable_hash", %error),
        }
        Self::unavailable()
    }
}

impl From<PasswordError> for Problem {
    fn from(error: PasswordError) -> Self {
        match error {
            // One answer for all three: nobody learns which names exist or which lanes are closed.
            PasswordError::Mismatch | PasswordError::Held(Held::Closed) => Self::invalid_credentials(),
            PasswordError::Held(Held::Until { seconds, .. }) => Self::slowed_down(seconds),
            PasswordError::Hash(error) => error.into(),
            PasswordError::Store(error) => error.into(),
        }
    }
}

impl From<RegistrationError> for Problem {
    fn from(error: RegistrationError) -> Self {
        match error {
            RegistrationError::Hash(error) => error.into(),
            RegistrationError::Store(error) => error.into(),
        }
    }
}

impl From<SecondFactorError> for Problem {
    fn from(error: SecondFactorError) -> Self {
        match error {
            SecondFactorError::InvalidCode => Self::invalid_code(),
            SecondFactorError::LoginExpired => Self::login_expired(),
            SecondFactorError::NotEnabled => Self::totp_not_enabled(),
            SecondFactorError::AlreadyEnabled => Self::totp_already_enabled(),
            SecondFactorError::NotStarted => Self::totp_not_started(),
            SecondFactorError::Sealed(error) => {
                tracing::error!(event = "keys.seal_broken", %error);
                Self::unavailable()
            }
            SecondFactorError::Store(error) => error.into(),
        }
    }
}

impl From<OpenError> for Problem {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Password(error) => error.into(),
            OpenError::SecondFactor(error) => error.into(),
            OpenError::UsernameTaken => Self::username_taken("username"),
            OpenError::EmailTaken => Self::username_taken("email"),
            OpenError::Superseded => Self::changed_meanwhile(),
            OpenError::SessionDied => Self::session_required(),
            OpenError::Store(error) => error.into(),
        }
    }
}
