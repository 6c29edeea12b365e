//! Every kind of problem: its name, which is the contract's, its title and its status.

use axum::http::StatusCode;

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the contract's, and the titles say what they mean")]
pub enum Kind {
    InvalidInput,
    WeakPassword,
    UsernameTaken,
    InvalidCredentials,
    InvalidCode,
    LoginExpired,
    SessionRequired,
    AmbiguousCredentials,
    MalformedRequest,
    CrossOrigin,
    SecondFactorRequired,
    NotFound,
    MethodNotAllowed,
    RequestTimeout,
    BodyTooLarge,
    UnsupportedMediaType,
    TotpAlreadyEnabled,
    TotpNotStarted,
    TotpNotEnabled,
    ChangedMeanwhile,
    RateLimited,
    Internal,
    Unavailable,
}

impl Kind {
    /// The name, such as `rate-limited`.
    #[must_use]
    pub fn slug(self) -> &'static str {
        self.described().0
    }

    /// A few words, always the same for one kind.
    pub(super) fn title(self) -> &'static str {
        self.described().1
    }

    /// The status code.
    #[must_use]
    pub fn status(self) -> StatusCode {
        self.described().2
    }

    fn described(self) -> (&'static str, &'static str, StatusCode) {
        match self {
            Self::InvalidInput => ("invalid-input", "Invalid input", StatusCode::UNPROCESSABLE_ENTITY),
            Self::WeakPassword => ("weak-password", "Weak password", StatusCode::UNPROCESSABLE_ENTITY),
            Self::UsernameTaken => ("username-taken", "Name taken", StatusCode::CONFLICT),
            Self::InvalidCredentials => ("invalid-credentials", "Invalid credentials", StatusCode::UNAUTHORIZED),
            Self::InvalidCode => ("invalid-code", "Invalid code", StatusCode::UNAUTHORIZED),
            Self::LoginExpired => ("login-expired", "Login expired", StatusCode::UNAUTHORIZED),
            Self::SessionRequired => ("session-required", "Session required", StatusCode::UNAUTHORIZED),
            Self::AmbiguousCredentials => ("ambiguous-credentials", "Ambiguous credentials", StatusCode::BAD_REQUEST),
            Self::MalformedRequest => ("malformed-request", "Malformed request", StatusCode::BAD_REQUEST),
            Self::CrossOrigin => ("cross-origin", "Cross-origin request refused", StatusCode::FORBIDDEN),
            Self::SecondFactorRequired => ("second-factor-required", "Second factor required", StatusCode::FORBIDDEN),
            Self::NotFound => ("not-found", "Not found", StatusCode::NOT_FOUND),
            Self::MethodNotAllowed => ("method-not-allowed", "Method not allowed", StatusCode::METHOD_NOT_ALLOWED),
            Self::RequestTimeout => ("request-timeout", "Request timeout", StatusCode::REQUEST_TIMEOUT),
            Self::BodyTooLarge => ("body-too-large", "Body too large", StatusCode::PAYLOAD_TOO_LARGE),
            Self::UnsupportedMediaType => {
                ("unsupported-media-type", "Unsupported media type", StatusCode::UNSUPPORTED_MEDIA_TYPE)
            }
            Self::TotpAlreadyEnabled => ("totp-already-enabled", "Two-step verification is on", StatusCode::CONFLICT),
            Self::TotpNotStarted => ("totp-not-started", "No set-up under way", StatusCode::CONFLICT),
            Self::TotpNotEnabled => ("totp-not-enabled", "Two-step verification is off", StatusCode::CONFLICT),
            Self::ChangedMeanwhile => ("changed-meanwhile", "Changed meanwhile", StatusCode::CONFLICT),
            Self::RateLimited => ("rate-limited", "Rate limited", StatusCode::TOO_MANY_REQUESTS),
            Self::Internal => ("internal", "Internal error", StatusCode::INTERNAL_SERVER_ERROR),
            Self::Unavailable => ("unavailable", "Unavailable", StatusCode::SERVICE_UNAVAILABLE),
        }
    }
}
