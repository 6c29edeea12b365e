//! Bad input of every kind is a problem document of the right 4xx, and changes nothing.

use axum::{
    body::Body,
    http::{Method, Request},
};
use hallpass_tests::{Answer, Browser, PASSWORD, World, world::fresh_name};
use serde_json::{Value, json};

async fn generous() -> World {
    World::with([
        ("HALLPASS_LIMITS__LOGIN", "100000 per minute"),
        ("HALLPASS_LIMITS__VERIFY", "100000 per minute"),
        ("HALLPASS_LIMITS__REGISTER", "100000 per minute"),
        ("HALLPASS_LIMITS__DEFAULT", "off"),
        ("HALLPASS_LIMITS__PASSWORD", "100000 per minute"),
    ])
    .await
}

/// Every route that takes a body, with one it would take.
fn routes() -> Vec<(Method, &'static str, Value)> {
    let second_step = json!({ "password": PASSWORD, "code": "123456" });
    vec![
        (
            Method::POST,
            "/register",
            json!({ "username": fresh_name(), "password": PASSWORD, "email": format!("{}@example.org", fresh_name()) }),
        ),
        (Method::POST, "/login", json!({ "username": fresh_name(), "password": PASSWORD })),
        (Method::POST, "/login/verify", json!({ "code": "123456" })),
        (
            Method::POST,
            "/password",
            json!({ "current_password": "not the password", "new_password": "another good password" }),
        ),
        (Method::POST, "/totp", json!({ "password": "not the password" })),
        (Method::POST, "/totp/confirm", json!({ "code": "123456" })),
        (Method::DELETE, "/totp", second_step.clone()),
        (Method::POST, "/totp/disable", second_step.clone()),
        (Method::POST, "/recovery-codes", second_step),
    ]
}

async fn raw(
    browser: &mut Browser,
    method: &Method,
    path: &str,
    content_type: Option<&str>,
    body: impl Into<Body>,
) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    browser.send(request.body(body.into()).unwrap()).await
}

#[track_caller]
fn assert_refused(answer: &Answer, statuses: &[u16], what: &str) {
    assert!(statuses.contains(&answer.status.as_u16()), "{what}: {} {}", answer.status, answer.text());
    assert_eq!(answer.header("content-type"), "application/problem+json", "{what}");
    let document = answer.value();
    assert_eq!(document["status"], answer.status.as_u16(), "{what}");
    for internal in ["serde", "panicked", "dynamo", "sqlite", "hallpass_", "src/"] {
        assert!(!answer.text().to_lowercase().contains(internal), "{what}: {document}");
    }
}

#[tokio::test]
async fn a_delivery_is_one_of_two_words_and_not_another_way_to_write_them() {
    let world = generous().await;
    let (name, mut browser) = world.somebody().await;
    for delivery in [json!({ "token": null }), json!(["token"]), json!("Token"), json!("header"), json!(1)] {
        let body = json!({ "username": name, "password": PASSWORD, "delivery": delivery });
        let answer = browser.post("/login", body).await.expect_problem(422, "invalid-input");
        assert_eq!(answer.value()["errors"][0]["field"], "delivery", "{delivery}");
    }
}

#[tokio::test]
async fn a_field_of_the_wrong_type_too_much_or_missing_is_named() {
    let world = generous().await;
    let (_, mut browser) = world.somebody().await;
    for (method, path, body) in routes() {
        for field in body.as_object().unwrap().keys() {
            for wrong in [json!(1), json!(true), json!([]), json!({}), json!(["a", "b"]), json!(1.5)] {
                let mut body = body.clone();
                body[field] = wrong;
                let answer = raw(&mut browser, &method, path, Some("application/json"), body.to_string()).await;
                assert_refused(&answer, &[422], &format!("{method} {path} {body}"));
                assert_eq!(answer.value()["errors"][0]["field"], *field);
            }
        }
        for extra in ["role", "is_admin", "totp_enabled", "__proto__", "id"] {
            let mut body = body.clone();
            body[extra] = json!(true);
            let answer = raw(&mut browser, &method, path, Some("application/json"), body.to_string()).await;
            assert_refused(&answer, &[422], &format!("{method} {path} {body}"));
            assert_eq!(answer.value()["errors"][0]["field"], extra);
        }
    }
}

/// A field's name is told again as it was sent, and ends no text, line or script that it may get into.
#[tokio::test]
async fn what_is_told_again_in_json_is_data_whatever_is_in_it() {
    let world = generous().await;
    let mut browser = world.browser();
    for text in
        ["\"", "\\", "\",\"status\":200,\"", "</script>", "<!--", "\u{2028}\u{2029}", "a\r\nb", "\0", "\u{1F980}"]
    {
        let body = json!({ "username": "somebody", "password": PASSWORD, text: 1 });
        let answer = browser.post("/login", body).await.expect_problem(422, "invalid-input");
        assert_eq!(answer.value()["errors"][0]["field"], text);
        assert!(!answer.text().contains(['\r', '\n', '\0']), "{text:?}: {}", answer.text());
    }
    let half_a_character = r#"{"username":"somebody","password":"\ud83e"}"#;
    let answer = raw(&mut browser, &Method::POST, "/login", Some("application/json"), half_a_character).await;
    answer.expect_problem(400, "malformed-request");
}

#[tokio::test]
async fn what_is_no_json_of_the_right_shape_is_refused() {
    let world = generous().await;
    let (_, mut browser) = world.somebody().await;
    let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    let deep_field = format!("{{\"username\":{}}}", "{\"a\":".repeat(5_000));
    let bodies: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"null".to_vec(),
        b"[]".to_vec(),
        b"\"text\"".to_vec(),
        b"1e999".to_vec(),
        b"{".to_vec(),
        b"{\"a\"".to_vec(),
        b"{}x".to_vec(),
        b"{'a':1}".to_vec(),
        b"\xff\xfe".to_vec(),
        b"\xef\xbb\xbf{}".to_vec(),
        b"{\"username\":\"\xc3\x28\",\"password\":\"x\"}".to_vec(),
        b"{\"username\":\"\\ud800\",\"password\":\"x\"}".to_vec(),
        b"\0".to_vec(),
        deep.into_bytes(),
        deep_field.into_bytes(),
    ];
    for (method, path, body) in routes() {
        let more_than_taken = ["{}", "x", "\0", ","].map(|more| format!("{body}{more}").into_bytes());
        for body in bodies.iter().chain(&more_than_taken) {
            let answer = raw(&mut browser, &method, path, Some("application/json"), body.clone()).await;
            assert_refused(
                &answer,
                &[400, 422],
                &format!("{method} {path} {:?}", String::from_utf8_lossy(&body[..body.len().min(40)])),
            );
        }
    }
}

#[tokio::test]
async fn a_body_that_is_one_value_is_no_field_of_that_name() {
    let world = generous().await;
    for body in ["7", "-1", "5.5", "true", "\"text\"", "null"] {
        let answer = raw(&mut world.browser(), &Method::POST, "/login", Some("application/json"), body).await;
        let answer = answer.expect_problem(422, "invalid-input").value();
        assert_eq!(answer["errors"][0]["field"], "", "{body}");
    }
}

#[tokio::test]
async fn a_key_that_is_there_twice_is_refused() {
    let world = generous().await;
    let mut browser = world.browser();
    for (content_type, body) in [
        ("application/json", r#"{"username":"ada","username":"bob","password":"x"}"#),
        ("application/x-www-form-urlencoded", "username=ada&username=bob&password=x"),
    ] {
        let answer = raw(&mut browser, &Method::POST, "/login", Some(content_type), body).await;
        assert_eq!(answer.status, 422, "{content_type}");
    }
}

#[tokio::test]
async fn media_types_other_than_the_two_are_refused() {
    let world = generous().await;
    let (_, mut browser) = world.somebody().await;
    for (method, path, body) in routes() {
        for content_type in [
            None,
            Some("text/plain"),
            Some("text/html"),
            Some("multipart/form-data; boundary=x"),
            Some("application/xml"),
            Some("APPLICATION/JSON"),
            Some("application/json;charset=utf-16"),
            Some("application/octet-stream"),
        ] {
            let answer = raw(&mut browser, &method, path, content_type, body.to_string()).await;
            assert_refused(&answer, &[415], &format!("{method} {path} {content_type:?}"));
        }
    }
}

#[tokio::test]
async fn a_body_over_64_kib_is_refused_before_anything_is_done() {
    let world = generous().await;
    let (_, mut browser) = world.somebody().await;
    for (method, path, body) in routes() {
        let padded = format!("{body}{}", " ".repeat(64 * 1024));
        assert_refused(&raw(&mut browser, &method, path, Some("application/json"), padded).await, &[413], path);
    }
    let claims = Request::post("/login")
        .header("content-type", "application/json")
        .header("content-length", "10000000000")
        .body(Body::from("{}"))
        .unwrap();
    assert_refused(&browser.send(claims).await, &[413], "a huge content-length");
}

#[tokio::test]
async fn hostile_text_in_every_field_is_refused_or_taken_as_text() {
    let world = generous().await;
    let (_, browser) = world.somebody().await;
    let hostile = [
        "\0",
        "a\0b",
        "\u{202e}txt",
        "\u{200b}",
        "\u{feff}",
        "\u{fffd}",
        "\u{1b}[31m",
        "a\r\nb",
        "\u{2028}",
        "' OR 1=1 --",
        "${jndi:ldap://x}",
        "{{7*7}}",
        "<script>alert(1)</script>",
        "../../etc/passwd",
        "user#",
        "#ttl = :x",
        "%00",
        "%0d%0aSet-Cookie: a=b",
        "\u{1F469}\u{200d}\u{1F4BB}",
        "ﷺﷺﷺ",
    ];
    for (method, path, body) in routes() {
        for field in body.as_object().unwrap().keys() {
            for text in hostile.iter().map(|text| (*text).to_owned()).chain(["x".repeat(60_000)]) {
                let mut body = body.clone();
                body[field] = json!(text);
                let answer = raw(&mut browser.clone(), &method, path, Some("application/json"), body.to_string()).await;
                assert!(answer.status.as_u16() < 500, "{method} {path} {field} {text:?}: {}", answer.text());
            }
        }
    }
}

#[tokio::test]
async fn an_unknown_path_and_a_wrong_method_are_problems() {
    let world = generous().await;
    let mut browser = world.browser();
    for path in [
        "/nowhere",
        "/login/",
        "/LOGIN",
        "/login/verify/x",
        "//login",
        "/api",
        "/api/resource/x",
        "/.env",
        "/login%2Fverify",
    ] {
        browser.get(path).await.expect_problem(404, "not-found");
        browser.post(path, json!({})).await.expect_problem(404, "not-found");
    }
    for (method, path, allowed) in [
        (Method::GET, "/password", "POST"),
        (Method::PUT, "/login", "POST"),
        (Method::DELETE, "/session", "GET"),
        (Method::POST, "/api/resource", "GET"),
        (Method::TRACE, "/session", "GET"),
        (Method::PATCH, "/totp", "POST"),
        (Method::OPTIONS, "/login", "POST"),
    ] {
        let answer = browser.ask(method.clone(), path).await.expect_problem(405, "method-not-allowed");
        assert!(answer.header("allow").contains(allowed), "{method} {path}: {}", answer.header("allow"));
    }
}

#[tokio::test]
async fn a_refused_registration_leaves_nothing_behind() {
    let world = generous().await;
    let name = fresh_name();
    let address = format!("{name}@example.org");
    for body in [
        json!({ "username": name, "password": "short", "email": address }),
        json!({ "username": name, "password": PASSWORD, "email": "no address" }),
        json!({ "username": name, "password": PASSWORD, "email": address, "unknown": 1 }),
    ] {
        world.browser().post("/register", body).await.expect(422);
    }
    world
        .browser()
        .post("/register", json!({ "username": name, "password": PASSWORD, "email": address }))
        .await
        .expect(201);
}
