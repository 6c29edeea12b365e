//! State changes that another site caused are refused, whatever they are (attacks 5.31, 5.32).

use axum::http::Method;
use hallpass_tests::{PASSWORD, World, contract};
use serde_json::json;

use crate::sources;

#[tokio::test]
async fn cross_site_requests_change_nothing_anywhere() {
    let world = World::new().await;
    let (name, browser) = world.somebody().await;
    for (header, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("origin", "http://localhost:5001"),
    ] {
        let mut forged = browser.clone().header(header, value);
        for (method, path) in routes_that_change_something() {
            let answer = forged.ask(method.clone(), &path).await.expect_problem(403, "cross-origin");
            assert!(!answer.headers.contains_key("set-cookie"), "{method} {path}");
        }
        let answer = forged
            .post("/login", json!({ "username": name, "password": PASSWORD }))
            .await
            .expect_problem(403, "cross-origin");
        assert!(!answer.headers.contains_key("set-cookie"));
    }
    assert!(browser.clone().is_logged_in().await);
}

/// All of the contract that don't only read, and the forms that are the pages' own.
fn routes_that_change_something() -> Vec<(Method, String)> {
    let routes = contract::operations(&contract::of_the_code()).into_iter().chain(forms_of_pages());
    let changing = routes.filter(|route| !route.starts_with("GET "));
    changing
        .map(|route| {
            let (method, path) = route.split_once(' ').unwrap();
            (method.parse().unwrap(), path.replace("{id}", "x"))
        })
        .collect()
}

/// Pages aren't in the contract: their forms are read off whatever is routed besides. What a proxy asks the guard may come
/// from another site, and has tests of its own.
fn forms_of_pages() -> Vec<String> {
    let routes = sources::routes(&["functions"]).into_iter();
    let forms: Vec<String> = routes
        .filter(|route| !route.starts_with("GET ") && !route.contains(" /api/authz/") && route.contains(" /"))
        .collect();
    assert!(forms.len() >= 2, "{forms:?}");
    forms
}

#[tokio::test]
async fn our_own_pages_and_clients_that_are_no_browsers_pass() {
    let world = World::new().await;
    let (name, browser) = world.somebody().await;
    for (header, value) in
        [("sec-fetch-site", "same-origin"), ("sec-fetch-site", "none"), ("origin", "http://localhost:5000")]
    {
        let mut own = browser.private_window().header(header, value);
        own.log_in(&name).await;
        own.post("/logout", json!({})).await.expect(204);
    }
}

#[tokio::test]
async fn a_bearer_request_from_another_site_passes() {
    let world = World::new().await;
    let (name, _) = world.somebody().await;
    let mut client = world.bearer(&name).await.header("sec-fetch-site", "cross-site");
    client.post("/logout", json!({})).await.expect(204);
}

#[tokio::test]
async fn the_public_url_decides_which_origin_is_ours() {
    let world = World::with([
        ("HALLPASS_PUBLIC_URL", "https://Login.Example.org:443/"),
        ("HALLPASS_PASSWORD__MEMORY_KIB", "19456"),
    ])
    .await;
    let (name, _) = world.somebody().await;
    world.browser().header("origin", "https://login.example.org").log_in(&name).await;
    for origin in [
        "http://login.example.org",
        "https://login.example.org:8443",
        "https://login.example.org.evil.example",
        "https://evil-login.example.org",
    ] {
        world.browser().header("origin", origin).log_in_with(&name, PASSWORD).await.expect_problem(403, "cross-origin");
    }
}
