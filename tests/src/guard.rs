//! How proxies put their questions to the guard, and the headers that they are told.

use axum::{body::Body, http::Request};

use crate::{Answer, Browser};

/// Whose a request is; nobody but the guard may say it.
pub const IDENTITY: [&str; 6] =
    ["remote-user", "remote-name", "remote-email", "x-hallpass-user-id", "x-hallpass-level", "x-hallpass-methods"];

/// Sends one request with the browser's cookies and these headers. The browser keeps nothing of the answer.
pub async fn send(browser: &Browser, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    browser.clone().send(request.body(Body::empty()).unwrap()).await
}
