//! Problems of forms, as pages: the same status and headers, a message that people can read, a way back.

use askama::Template;
use axum::{
    extract::Request,
    http::{HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{body::Style, problem::Problem};

#[derive(Template)]
#[template(path = "problem.html")]
struct Page<'a> {
    title: &'a str,
    detail: &'a str,
    back: &'a str,
}

/// The page that holds the form which posts to `path`.
fn form_page(path: &str) -> &'static str {
    match path {
        "/login" => "/login",
        "/login/verify" => "/login/verify",
        "/register" => "/register",
        path if path.starts_with("/sessions") => "/account/sessions",
        "/password" | "/totp" | "/totp/confirm" | "/totp/disable" | "/recovery-codes" => "/account/security",
        _ => "/",
    }
}

/// Turns the problem documents that answer forms into pages.
pub(crate) async fn as_pages(request: Request, next: Next) -> Response {
    let is_form = Style::of(request.headers()) == Some(Style::Form);
    let back = form_page(request.uri().path());
    let response = next.run(request).await;
    match response.extensions().get::<Problem>().cloned() {
        Some(problem) if is_form => page(response, &problem, back),
        Some(_) | None => response,
    }
}

fn page(response: Response, problem: &Problem, back: &str) -> Response {
    let Ok(html) = (Page { title: problem.title(), detail: problem.detail(), back }).render() else {
        return response;
    };
    let (parts, _) = response.into_parts();
    let mut page = (parts.status, html).into_response();
    for (name, value) in &parts.headers {
        if *name != header::CONTENT_TYPE && *name != header::CONTENT_LENGTH {
            page.headers_mut().append(name, value.clone());
        }
    }
    page.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    page
}
