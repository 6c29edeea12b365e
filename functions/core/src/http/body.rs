//! Bodies: JSON or a form, nothing else, at most 64 KiB, every field known and of its type.

use std::time::Duration;

use axum::{
    body::Body,
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
    response::Response,
};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::{problem::Problem, reason::Reason};
use crate::pages::{Filled, notice::Notice};

/// The largest body that is read, in bytes. The largest sensible one is a password change of some 3 KiB.
pub const BODY_MAX_BYTES: usize = 64 * 1024;

/// A client that takes longer to send a body is cut off.
const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// How a request was sent, and so how it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// JSON in, JSON out.
    Json,
    /// A form in, a redirect or a page out.
    Form,
}

/// A body that was read, and how it came.
#[derive(Debug)]
pub struct Submitted<T>(pub T, pub Style);

/// A text that is nobody else's business: a password, a code or a token. Wiped when dropped.
#[derive(serde::Deserialize)]
#[serde(from = "String")]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The text, for whoever checks it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

/// A body with no fields: none, `{}` or an empty form.
#[derive(Debug, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

impl Style {
    /// The style that a content type asks for; `None` for one that is not taken.
    ///
    /// Exact spelling only: a browser can be made to send look-alikes across origins without asking (attack 5.32).
    #[must_use]
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut types = headers.get_all(header::CONTENT_TYPE).into_iter();
        let (Some(content_type), None) = (types.next(), types.next()) else {
            return None;
        };
        let content_type = content_type.to_str().ok()?;
        let (essence, parameter) = content_type.split_once(';').unwrap_or((content_type, ""));
        if !matches!(parameter.trim().to_ascii_lowercase().as_str(), "" | "charset=utf-8" | "charset=\"utf-8\"") {
            return None;
        }
        match essence.trim_end() {
            "application/json" => Some(Self::Json),
            "application/x-www-form-urlencoded" => Some(Self::Form),
            _ => None,
        }
    }

    /// The answer: `json` as it is, or for a form a redirect to `page` with the same cookies.
    #[must_use]
    pub fn answer(self, json: Response, page: &str) -> Response {
        match self {
            Self::Json => json,
            Self::Form => super::reply::see_other(json, page),
        }
    }

    /// The same, where the page begins with a notice.
    #[must_use]
    pub fn answer_with_notice(self, json: Response, page: &str, notice: Notice) -> Response {
        match self {
            Self::Json => json,
            Self::Form => super::reply::with_cookies(super::reply::see_other(json, page), [notice.cookie()]),
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Submitted<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let style = Style::of(&parts.headers);
        let declared =
            parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if declared.is_some_and(|length| length > BODY_MAX_BYTES) {
            return Err(Problem::too_large(BODY_MAX_BYTES));
        }
        let read = tokio::time::timeout(BODY_DEADLINE, whole(body)).await;
        let bytes = read.map_err(|_| Problem::request_timeout())??;
        let style = match style {
            Some(style) => style,
            // Nothing was sent, so there is nothing to mistake.
            None if bytes.is_empty() && !parts.headers.contains_key(header::CONTENT_TYPE) => Style::Json,
            None => return Err(Problem::unsupported_media_type()),
        };
        if style == Style::Form
            && let Some(filled) = parts.extensions.get::<Filled>()
        {
            filled.note_fields(&bytes);
        }
        let fields = match style {
            Style::Json if bytes.is_empty() => from_json(b"{}"),
            Style::Json => from_json(&bytes),
            Style::Form => from_form(&bytes),
        };
        fields.map(|fields| Self(fields, style))
    }
}

/// The body in one piece. Its parts are copied: each keeps the whole buffer that it came in, however small it is.
async fn whole(mut body: Body) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::malformed("The body broke off."))?;
        let Some(part) = frame.data_ref() else { continue };
        if bytes.len().saturating_add(part.len()) > BODY_MAX_BYTES {
            return Err(Problem::too_large(BODY_MAX_BYTES));
        }
        bytes.extend_from_slice(part);
    }
    Ok(bytes)
}

fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // Serde would take an array for the fields in their order.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return Err(Problem::invalid_input("", Reason::NoObject));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        match inner.classify() {
            serde_json::error::Category::Data => wrong_field(&path, &inner.to_string()),
            serde_json::error::Category::Io
            | serde_json::error::Category::Syntax
            | serde_json::error::Category::Eof => Problem::malformed("The body is not JSON, or nested too deeply."),
        }
    })?;
    deserializer.end().map_err(|_| Problem::malformed("The body goes on after its JSON value."))?;
    Ok(value)
}

fn from_form<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // Decoding is lossy further in, and two passwords must not become one.
    percent_encoding::percent_decode(bytes).decode_utf8().map_err(|_| Problem::malformed("The form is not UTF-8."))?;
    let deserializer = serde_html_form::Deserializer::from_bytes(bytes);
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let path = error.path().to_string();
        wrong_field(&path, &error.into_inner().to_string())
    })
}

/// Names the field in serde's message; the message itself names types of ours, so it is not passed on.
fn wrong_field(path: &str, message: &str) -> Problem {
    let quoted = || message.split('`').nth(1).unwrap_or_default().chars().take(64).collect::<String>();
    let reason = match message {
        _ if message.starts_with("missing field") => Reason::Missing,
        _ if message.starts_with("unknown field") => Reason::Unknown,
        _ if message.starts_with("duplicate field") => Reason::Repeated,
        _ => Reason::WrongType,
    };
    let field = match path {
        // The body itself, of which the message quotes the value.
        "." | "?" if reason == Reason::WrongType => String::new(),
        "." | "?" => quoted(),
        _ => path.chars().take(64).collect(),
    };
    Problem::invalid_input(&field, reason)
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request};
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Login {
        username: String,
        password: String,
        next: Option<String>,
    }

    async fn read(content_type: Option<&str>, body: impl Into<Body>) -> Result<(Login, Style), (u16, String)> {
        let mut request = Request::post("/");
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let outcome = Submitted::<Login>::from_request(request.body(body.into()).unwrap(), &()).await;
        outcome
            .map(|Submitted(login, style)| (login, style))
            .map_err(|problem| (problem.status().as_u16(), problem.detail().to_owned()))
    }

    async fn status(content_type: Option<&str>, body: impl Into<Body>) -> u16 {
        read(content_type, body).await.unwrap_err().0
    }

    const GOOD: &str = r#"{"username":"ada","password":"x"}"#;

    #[tokio::test]
    async fn json_and_forms_are_read() {
        assert_eq!(read(Some("application/json"), GOOD).await.unwrap().1, Style::Json);
        assert_eq!(read(Some("application/json; charset=utf-8"), GOOD).await.unwrap().1, Style::Json);
        let (login, style) =
            read(Some("application/x-www-form-urlencoded"), "username=ada&password=a%2Bb+c").await.unwrap();
        assert_eq!((login.password.as_str(), style), ("a+b c", Style::Form));
    }

    #[tokio::test]
    async fn other_media_types_are_refused() {
        for content_type in [
            "text/plain",
            "text/json",
            "multipart/form-data; boundary=x",
            "application/xml",
            "Application/JSON",
            "APPLICATION/X-WWW-FORM-URLENCODED",
            "application/json; charset=latin1",
            "application/json; odd=1",
            "application/json, text/plain",
            "application/jsonx",
            "application/problem+json",
            "",
        ] {
            assert_eq!(status(Some(content_type), GOOD).await, 415, "{content_type}");
        }
        assert_eq!(status(None, GOOD).await, 415);
    }

    #[tokio::test]
    async fn every_wrong_field_is_named() {
        for (body, expected) in [
            (r#"{"username":"ada"}"#, "password: is missing"),
            (r#"{"username":"ada","password":"x","admin":true}"#, "admin: is not known here"),
            (r#"{"username":"ada","password":"x","password":"y"}"#, "password: is there twice"),
            (r#"{"username":["ada"],"password":"x"}"#, "username: has the wrong type"),
            (r#"{"username":1,"password":"x"}"#, "username: has the wrong type"),
            (r#"{"username":null,"password":"x"}"#, "username: has the wrong type"),
        ] {
            assert_eq!(read(Some("application/json"), body).await.unwrap_err(), (422, expected.to_owned()), "{body}");
        }
        for (body, expected) in
            [("username=ada", "password: is missing"), ("username=ada&password=x&admin=1", "admin: is not known here")]
        {
            assert_eq!(
                read(Some("application/x-www-form-urlencoded"), body).await.unwrap_err(),
                (422, expected.to_owned()),
                "{body}"
            );
        }
        assert_eq!(status(Some("application/x-www-form-urlencoded"), "username=ada&password=x&password=y").await, 422);
    }

    #[tokio::test]
    async fn what_is_no_json_or_no_utf8_is_malformed() {
        for body in [&b"{"[..], b"[", b"", b"nonsense", b"{\"username\":\"a\xff\",\"password\":\"x\"}", b"{} {}"] {
            let status = status(Some("application/json"), body.to_vec()).await;
            assert!(matches!(status, 400 | 422), "{body:?}: {status}");
        }
        assert_eq!(status(Some("application/json"), format!("{GOOD} x")).await, 400);
        assert_eq!(status(Some("application/json"), "[".repeat(60_000)).await, 422);
        assert_eq!(status(Some("application/x-www-form-urlencoded"), "username=%ff&password=x").await, 400);
    }

    #[tokio::test]
    async fn an_array_does_not_stand_for_the_fields_in_their_order() {
        assert_eq!(status(Some("application/json"), r#"["ada","x",null]"#).await, 422);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_waited_for_ten_seconds() {
        let stalled = Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
        let answer = tokio::time::timeout(2 * BODY_DEADLINE, status(Some("application/json"), stalled)).await;
        assert_eq!(answer, Ok(408));
    }

    #[tokio::test]
    async fn a_body_over_64_kib_is_refused_and_one_of_64_kib_is_read() {
        let padded = |length: usize| format!("{GOOD}{}", " ".repeat(length - GOOD.len()));
        assert!(read(Some("application/json"), padded(BODY_MAX_BYTES)).await.is_ok());
        assert_eq!(status(Some("application/json"), padded(BODY_MAX_BYTES + 1)).await, 413);
    }
}
