//! What lines of the log tell (ASVS 5.0 16.2.1, 16.3.2, 16.3.3).

use axum::{body::Body, http::Request};
use hallpass_tests::{Browser, PASSWORD, process::Server, world::fresh_name};
use serde_json::{Value, json};

use crate::{BINARY, folder, load::memory_kib, replicas};

/// The lines of a server that has stopped.
async fn lines(server: Server) -> Vec<Value> {
    let (_, log) = server.stop().await;
    log.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The events of a request, in order.
fn events_of<'a>(lines: &'a [Value], request_id: &str) -> Vec<&'a str> {
    let of_request = lines.iter().filter(|line| line["request_id"] == request_id);
    of_request.map(|line| line["event"].as_str().unwrap()).collect()
}

/// The id that the browser's account has in the log.
async fn id_of(browser: &mut Browser) -> String {
    browser.get("/session").await.expect(200).value()["user"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn every_refusal_is_logged_with_who_asked_and_why() {
    let folder = folder();
    let server = Server::start(BINARY, folder.path(), &[]).await;
    let mut browser = server.browser();
    let name = fresh_name();
    browser.register(&name).await;
    let user = id_of(&mut browser).await;
    let mut stranger = server.browser();
    let wrong = stranger.log_in_with(&name, "not the password").await.expect(401);
    let forged = stranger.clone().header("authorization", "Bearer forged").get("/session").await.expect(401);
    let without = stranger.get("/api/authz/forward-auth").await.expect(401);
    let too_low = browser.get("/api/authz/forward-auth?level=aal2").await.expect(403);
    let foreign = browser.clone().header("sec-fetch-site", "cross-site").post("/logout", json!({})).await.expect(403);
    let absent = browser.delete(&format!("/sessions/{}", "A".repeat(43)), json!(null)).await.expect(404);
    let malformed = stranger.post("/login", json!({ "username": 7 })).await.expect(422);
    let lines = lines(server).await;
    for (answer, event, field, value) in [
        (&wrong, "login.failed", "user", user.as_str()),
        (&wrong, "login.failed", "why", "credentials"),
        (&wrong, "request", "problem", "invalid-credentials"),
        (&forged, "token.malformed", "outcome", "failure"),
        (&forged, "request", "problem", "session-required"),
        (&without, "guard.refused", "why", "session-required"),
        (&too_low, "guard.refused", "why", "second-factor-required"),
        (&too_low, "guard.refused", "user", user.as_str()),
        (&foreign, "origin.refused", "outcome", "failure"),
        (&absent, "request", "problem", "not-found"),
        (&malformed, "request", "problem", "invalid-input"),
    ] {
        let id = answer.header("x-request-id");
        let line = lines.iter().find(|line| line["request_id"] == id && line["event"] == event);
        let line = line.unwrap_or_else(|| panic!("no {event} of {id} in {lines:#?}"));
        assert_eq!((&line[field], &line["client"]), (&json!(value), &json!("127.0.0.1")), "{line}");
    }
}

#[tokio::test]
async fn a_refused_forms_page_is_logged_with_its_problem() {
    let folder = folder();
    let server = Server::start(BINARY, folder.path(), &[]).await;
    let form = [("username", "nobody"), ("password", PASSWORD)];
    let answer = server.browser().form("/login", &form).await.expect(401);
    let id = answer.header("x-request-id").to_owned();
    let lines = lines(server).await;
    let line = lines.iter().find(|line| line["request_id"] == id.as_str() && line["event"] == "request").unwrap();
    assert_eq!(line["problem"], "invalid-credentials");
}

#[tokio::test]
async fn a_name_that_nobody_has_is_one_account_in_the_log() {
    let folder = folder();
    let server = Server::start(BINARY, folder.path(), &[]).await;
    for name in ["nobody-a", "Nobody-A", "nobody-b"] {
        server.browser().log_in_with(name, PASSWORD).await.expect(401);
    }
    let lines = lines(server).await;
    let failed: Vec<&str> = lines
        .iter()
        .filter(|line| line["event"] == "login.failed")
        .map(|line| line["user"].as_str().unwrap())
        .collect();
    assert_eq!(failed.len(), 3);
    assert_eq!(failed[0], failed[1]);
    assert_ne!(failed[0], failed[2]);
}

/// As where one file of keys was put in the place of another.
#[tokio::test]
async fn a_password_whose_key_is_gone_gets_no_verdict_and_whoever_runs_the_server_is_told() {
    let folder = folder();
    let server = Server::start(BINARY, folder.path(), &[]).await;
    let name = fresh_name();
    server.browser().register(&name).await.expect(201);
    server.stop().await;
    let other_keys = folder.path().join("other-keys");
    std::fs::write(&other_keys, format!("{}=\n", "A".repeat(43))).unwrap();
    let server = Server::start(BINARY, folder.path(), &[("HALLPASS_KEYS_FILE", other_keys.to_str().unwrap())]).await;
    let answer = server.browser().log_in_with(&name, PASSWORD).await.expect_problem(503, "unavailable");
    let id = answer.header("x-request-id").to_owned();
    assert_eq!(events_of(&lines(server).await, &id), ["login.failed", "argon2.unusable_hash", "request"]);
}

/// One call of the store's API, as it is spoken to a store that is served.
async fn call(store: &Server, operation: &str, body: Value) -> Value {
    let request = Request::post("/")
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amz-target", format!("DynamoDB_20120810.{operation}"));
    store.browser().send(request.body(Body::from(body.to_string())).unwrap()).await.expect(200).value()
}

/// As whoever can write to the store could do it: a single login would take 4 GiB.
#[tokio::test]
async fn a_hash_of_hostile_cost_takes_no_memory_and_whoever_runs_the_server_is_told() {
    let folder = folder();
    let store = replicas::store(folder.path()).await;
    let server = replicas::replica(&store, folder.path()).await;
    let name = fresh_name();
    server.browser().register(&name).await;
    let users = call(&store, "Scan", json!({ "TableName": "hallpass-users" })).await;
    let user = users["Items"].as_array().unwrap().iter().find(|item| item["phc"].is_object()).unwrap();
    let hostile = user["phc"]["S"].as_str().unwrap().replacen("$m=64,", "$m=4194304,", 1);
    assert!(hostile.contains("$m=4194304,"), "{hostile}");
    let update = json!({
        "TableName": "hallpass-users", "Key": { "id": user["id"] },
        "UpdateExpression": "SET phc = :hostile", "ExpressionAttributeValues": { ":hostile": { "S": hostile } },
    });
    call(&store, "UpdateItem", update).await;

    let before = memory_kib(server.pid(), "VmPeak:");
    let answer = server.browser().log_in_with(&name, PASSWORD).await;
    assert!(memory_kib(server.pid(), "VmPeak:") < before + 1024 * 1024, "no part of 4 GiB was asked for");
    let answer = answer.expect_problem(503, "unavailable");
    let id = answer.header("x-request-id").to_owned();
    assert_eq!(events_of(&lines(server).await, &id), ["login.failed", "argon2.unusable_hash", "request"]);
}

#[tokio::test]
async fn a_flood_over_a_limit_is_one_line_of_the_log() {
    let folder = folder();
    let server = Server::start(BINARY, folder.path(), &[]).await;
    let mut browser = server.browser();
    for _ in 0..60 {
        browser.get("/api/resource").await;
    }
    let events = lines(server).await;
    assert_eq!(
        events.iter().filter(|logged| logged["event"] == "limit.hit" && logged["limit"] == "resource").count(),
        1
    );
    let hit = events.iter().find(|logged| logged["event"] == "limit.hit").unwrap();
    assert_eq!(hit["client"], "127.0.0.1");
    assert_eq!(events.iter().filter(|logged| logged["event"] == "request").count(), 0);
}

/// Another limit has refused the client before, and has seen that this one has nothing left.
#[tokio::test]
async fn a_limit_that_has_refused_nobody_is_logged_when_it_does() {
    let folder = folder();
    let limits = [("HALLPASS_LIMITS__AUTHZ", "202 per hour"), ("HALLPASS_GUARD__LIMITS__ORDERS", "1 per hour")];
    let server = Server::start(BINARY, folder.path(), &limits).await;
    let mut browser = server.browser();
    browser.register(&fresh_name()).await;
    browser.get("/api/authz/forward-auth?limit=orders").await.expect(200);
    for _ in 0..200 {
        browser.get("/api/authz/ext-authz").await.expect(200);
    }
    for refused in ["/api/authz/forward-auth?limit=orders", "/api/authz/ext-authz", "/api/authz/ext-authz"] {
        browser.get(refused).await.expect(429);
    }
    let hits = lines(server).await.into_iter().filter(|logged| logged["event"] == "limit.hit");
    assert_eq!(hits.map(|mut hit| hit["limit"].take()).collect::<Vec<_>>(), ["orders", "authz"]);
}

#[tokio::test]
async fn a_flood_of_a_proxys_questions_over_a_limit_is_one_line_of_the_log() {
    let folder = folder();
    let server = Server::start(BINARY, folder.path(), &[("HALLPASS_LIMITS__AUTHZ", "5 per minute")]).await;
    let mut browser = server.browser();
    browser.register(&fresh_name()).await;
    for question in 0..20 {
        let status = if question < 5 { 200 } else { 403 };
        browser.get("/api/authz/auth-request").await.expect(status);
    }
    let of_questions = lines(server).await.into_iter().filter(|logged| {
        logged["route"] == "/api/authz/auth-request" || logged["limit"] == "authz" || logged["event"] == "guard.refused"
    });
    let events: Vec<Value> = of_questions.map(|mut logged| logged["event"].take()).collect();
    assert_eq!(events, ["limit.hit"]);
}

#[tokio::test]
async fn a_request_of_another_sites_is_one_line_of_the_log() {
    let folder = folder();
    let server = Server::start(BINARY, folder.path(), &[]).await;
    let answer = server.browser().header("sec-fetch-site", "cross-site").post("/nothing", json!({})).await.expect(403);
    let id = answer.header("x-request-id").to_owned();
    assert_eq!(events_of(&lines(server).await, &id), ["origin.refused"]);
}

#[tokio::test]
async fn a_flood_of_requests_for_what_isnt_there_is_no_line_of_the_log() {
    let folder = folder();
    let server = Server::start(BINARY, folder.path(), &[]).await;
    let mut browser = server.browser();
    for _ in 0..20 {
        browser.get("/nothing").await.expect(404);
        browser.get("/login/verify/").await.expect(404);
        browser.post("/session", serde_json::json!({})).await.expect(405);
    }
    let of_requests = lines(server).await.into_iter().filter(|logged| logged["request_id"].is_string());
    assert_eq!(of_requests.count(), 0);
}

#[tokio::test]
async fn every_line_of_a_request_names_it() {
    let folder = folder();
    let server = Server::start(BINARY, folder.path(), &[]).await;
    let answer = server.browser().log_in_with(&fresh_name(), PASSWORD).await.expect(401);
    let id = answer.header("x-request-id").to_owned();
    let lines = lines(server).await;
    assert_eq!(events_of(&lines, &id), ["login.failed", "request"]);
    assert!(lines.iter().any(|line| line["event"] == "server.started" && line["request_id"].is_null()));
}
