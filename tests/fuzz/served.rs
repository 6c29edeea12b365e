//! One Hallpass that everything drawn is sent to, and what holds for every answer of it.

use std::sync::OnceLock;

use axum::{
    body::Body,
    http::{HeaderName, Request, header},
};
use hallpass_tests::{Answer, Browser, World};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// Where it is reached.
pub(crate) const ORIGIN: &str = "https://login.example.org";

/// One world for all requests of this process, with limits that none of them reaches, and somebody who is logged in.
pub(crate) struct Shared {
    pub(crate) runtime: Runtime,
    pub(crate) world: World,
    pub(crate) somebody: Browser,
}

pub(crate) fn shared() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(|| {
        let runtime = Runtime::new().unwrap();
        let endless = "1000000000 per hour";
        let vars = [
            ("HALLPASS_PUBLIC_URL", ORIGIN),
            ("HALLPASS_TRUSTED_PROXIES", "10.0.0.0/8"),
            ("HALLPASS_GUARD__LIMITS__ORDERS", endless),
            ("HALLPASS_LIMITS__DEFAULT", "off"),
            ("HALLPASS_LIMITS__AUTHZ", endless),
            ("HALLPASS_LIMITS__PAGES", endless),
            ("HALLPASS_LIMITS__SESSION", endless),
            ("HALLPASS_LIMITS__SESSIONS", endless),
            ("HALLPASS_LIMITS__REGISTER", endless),
            ("HALLPASS_LIMITS__LOGIN", endless),
            ("HALLPASS_LIMITS__VERIFY", endless),
            ("HALLPASS_LIMITS__PASSWORD", endless),
        ];
        let (world, somebody) = runtime.block_on(async {
            let world = World::with(vars).await.in_process();
            let (_, somebody) = world.somebody().await;
            (world, somebody)
        });
        Shared { runtime, world, somebody }
    })
}

/// Somebody new, so that nothing is left of what was sent before: no wrong guess, no session that ended.
pub(crate) fn newcomer() -> Browser {
    let Shared { runtime, world, .. } = shared();
    runtime.block_on(world.somebody()).1
}

pub(crate) fn sent(method: &str, path: &str, headers: &[(HeaderName, &[u8])], body: &[u8]) -> Answer {
    sent_by(shared().world.browser(), method, path, headers, body)
}

pub(crate) fn sent_by(
    mut browser: Browser,
    method: &str,
    path: &str,
    headers: &[(HeaderName, &[u8])],
    body: &[u8],
) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    let request = request.body(Body::from(body.to_vec())).unwrap();
    shared().runtime.block_on(browser.send(request))
}

/// A success, or a problem document that tells the same status as the answer.
pub(crate) fn is_answered(answer: &Answer) -> Result<(), TestCaseError> {
    let status = answer.status.as_u16();
    prop_assert!(status < 500, "{} {}", status, answer.text());
    let is_document = answer.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/problem+json");
    if is_document {
        let document: Value = serde_json::from_slice(&answer.body).unwrap();
        prop_assert_eq!(&document["status"], &json!(status));
    } else {
        prop_assert!(status < 400 || answer.text().starts_with("<!doctype html>"), "{} {}", status, answer.text());
    }
    Ok(())
}
