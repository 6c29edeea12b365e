//! What only the Lambda functions can show, and that they answer as the container does. Without functions to test
//! there is nothing to show here.

use std::{collections::BTreeSet, fs, path::Path, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, Method, Request, header},
};
use hallpass_tests::{
    Answer, Browser, PASSWORD, World,
    browser::Transport,
    functions::{Deployment, Grants, TEMPLATE, Toolchain, used_grants_file},
    world,
};
use serde_json::{Value, json};

/// Not behind the API: CloudFormation and other people's APIs call them.
const UNROUTED: [&str; 2] = ["hallpass-authorizer", "hallpass-sealing-key"];

#[test]
fn every_function_is_in_the_template_and_has_a_route() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../functions");
    let binaries: BTreeSet<String> = fs::read_dir(root)
        .unwrap()
        .map(|folder| folder.unwrap())
        .filter(|folder| folder.path().join("src/main.rs").exists())
        .map(|folder| format!("hallpass-{}", folder.file_name().to_str().unwrap()))
        .collect();
    let in_template: BTreeSet<String> = TEMPLATE.functions().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(binaries, in_template);
    for (name, has_route) in TEMPLATE.functions() {
        assert_eq!(has_route, !UNROUTED.contains(&name), "{name}");
    }
}

/// To be run after the whole suite ran against the functions; what they did is noted there.
#[test]
#[ignore = "needs the notes of a run of the whole suite against the functions"]
fn every_grant_of_the_template_is_used() {
    let notes = fs::read_to_string(used_grants_file()).unwrap();
    let used: Grants = notes
        .lines()
        .map(|line| {
            let [function, action, table] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
            (function.to_owned(), action.to_owned(), table.to_owned())
        })
        .collect();
    let granted: Grants =
        TEMPLATE.grants().map(|(function, action, table)| (function.into(), action.into(), table.into())).collect();
    let unused: Vec<_> = granted.difference(&used).collect();
    assert!(unused.is_empty(), "{unused:?}");
}

/// Headers that tell one answer from another of the same meaning.
const OF_ONE_ANSWER: [&str; 4] = ["x-request-id", "set-cookie", "content-length", "date"];

fn comparable(answer: &Answer) -> (u16, Vec<(String, String)>, String) {
    let text_of = |name: &HeaderName, value: &HeaderValue| match value.to_str().unwrap() {
        // A set, in any order.
        methods if name == header::ALLOW => methods.split(',').collect::<BTreeSet<_>>().into_iter().collect::<String>(),
        text => text.to_owned(),
    };
    let headers = answer.headers.iter().map(|(name, value)| (name.to_string(), text_of(name, value)));
    let mut headers: Vec<_> = headers.filter(|(name, _)| !OF_ONE_ANSWER.contains(&name.as_str())).collect();
    headers.sort();
    (answer.status.as_u16(), headers, answer.text())
}

fn request(method: &str, path: &str, kind: &str, body: &str) -> Request<Body> {
    let request = Request::builder().method(method).uri(path);
    let request = if kind.is_empty() { request } else { request.header("content-type", kind) };
    request.body(Body::from(body.to_owned())).unwrap()
}

#[tokio::test]
async fn functions_and_container_give_the_same_answers() {
    let functions = World::new().await;
    if functions.deployment().is_none() {
        return;
    }
    let container = functions.another_instance().in_process();
    let (json, form) = ("application/json", "application/x-www-form-urlencoded");
    for (method, path, kind, body) in [
        ("GET", "/api/resource", "", ""),
        ("HEAD", "/api/resource", "", ""),
        ("POST", "/api/resource", json, "{}"),
        ("GET", "/nowhere", "", ""),
        ("GET", "/login", "", ""),
        ("PUT", "/login", json, "{}"),
        ("DELETE", "/register", "", ""),
        ("GET", "/session", "", ""),
        ("GET", "/api/authz/forward-auth", "", ""),
        ("POST", "/api/authz/auth-request?level=aal2", "", ""),
        ("DELETE", "/api/authz/ext-authz/orders/7?level=aal3", "", ""),
        ("GET", "/sessions", "", ""),
        ("DELETE", "/sessions/none", "", ""),
        ("POST", "/logout", json, ""),
        ("POST", "/login", json, "{"),
        ("POST", "/login", json, r#"{"username": "nobody", "password": "wrong horse battery"}"#),
        ("POST", "/login", form, "username=nobody&password=wrong+horse+battery"),
        ("POST", "/login", "text/plain", "{}"),
        ("POST", "/login/verify", json, r#"{"code": "123456"}"#),
        ("POST", "/register", json, r#"{"username": "x", "password": "short"}"#),
        ("POST", "/register", form, "username=%F0%9F%98%80&password=short"),
        ("POST", "/password", json, r#"{"current_password": "a", "new_password": "b"}"#),
        ("POST", "/totp", json, r#"{"password": "a"}"#),
        ("POST", "/totp/confirm", json, r#"{"code": "a"}"#),
        ("DELETE", "/totp", json, r#"{"password": "a", "code": "b"}"#),
        ("POST", "/recovery-codes", json, r#"{"password": "a", "code": "b"}"#),
        ("POST", "/totp", form, "password=a"),
        ("GET", "/account", "", ""),
        ("GET", "/account/sessions", "", ""),
        ("GET", "/login/verify", "", ""),
        ("POST", "/language", form, "language=zh-Hant&next=%2Flogin"),
        ("POST", "/language", form, "language=none"),
        ("GET", "/language", "", ""),
        ("POST", "/account/security/recovery-codes.txt", form, "codes=none"),
        ("GET", "/account/security/recovery-codes.txt", "", ""),
        ("GET", "/assets/none.css", "", ""),
        ("GET", "/openapi.json", "", ""),
        ("GET", "/docs", "", ""),
    ] {
        // Each from an address of its own, so that both find the same quota.
        let here = container.browser().send(request(method, path, kind, body)).await;
        let there = functions.browser().send(request(method, path, kind, body)).await;
        assert_eq!(comparable(&there), comparable(&here), "{method} {path} {kind} {body}");
    }
}

/// Between two instances of the same kind where there are no functions to test.
#[tokio::test]
async fn a_code_accepted_by_a_function_is_dead_at_the_container_and_the_other_way_round() {
    let functions = World::new().await;
    let container = functions.another_instance().in_process();
    for (first, second) in [(&functions, &container), (&container, &functions)] {
        let (name, _, authenticator, _) = first.somebody_with_totp().await;
        let code = authenticator.code(first.now());
        let mut browser = first.browser();
        browser.log_in(&name).await;
        browser.verify(&code).await.expect(200);
        let mut again = second.browser();
        again.log_in(&name).await;
        again.verify(&code).await.expect_problem(401, "invalid-code");
    }
}

fn event(changes: &[(&str, Value)]) -> Value {
    let mut event = json!({
        "version": "2.0",
        "routeKey": "POST /login",
        "rawPath": "/login",
        "rawQueryString": "",
        "headers": { "content-type": "application/json" },
        "requestContext": {
            "accountId": "1", "apiId": "a", "domainName": "d", "domainPrefix": "d", "requestId": "r", "stage": "$default",
            "routeKey": "POST /login", "time": "01/Jan/2026:00:00:00 +0000", "timeEpoch": 1,
            "http": { "method": "POST", "path": "/login", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "" },
        },
        "body": json!({ "username": "nobody", "password": PASSWORD }).to_string(),
        "isBase64Encoded": false,
    });
    for (pointer, value) in changes {
        match (event.pointer_mut(pointer), pointer.rsplit_once('/')) {
            (Some(place), _) => *place = value.clone(),
            (None, Some((parent, name))) => event.pointer_mut(parent).unwrap()[name] = value.clone(),
            (None, None) => *event.pointer_mut("").unwrap() = value.clone(),
        }
    }
    event
}

#[tokio::test]
async fn a_bad_event_gets_a_refusal_and_the_function_goes_on() {
    let world = World::new().await;
    let Some(deployment) = world.deployment() else {
        return;
    };
    for (what, event) in [
        ("nothing", json!({})),
        ("a list", json!([1, 2])),
        ("no request context", event(&[("/requestContext", Value::Null)])),
        ("no http", event(&[("/requestContext/http", json!({}))])),
        ("another version", event(&[("/version", json!("9.9"))])),
        ("no source address", event(&[("/requestContext/http/sourceIp", Value::Null)])),
        ("a source that is no address", event(&[("/requestContext/http/sourceIp", json!("unknown"))])),
        ("a body that is not what it says", event(&[("/isBase64Encoded", json!(true))])),
        ("bytes", event(&[("/body", json!("/wD+gA==")), ("/isBase64Encoded", json!(true))])),
        ("a huge body", event(&[("/body", json!("x".repeat(1 << 20)))])),
        ("a method that is none", event(&[("/requestContext/http/method", json!("NO SUCH\r\nMETHOD"))])),
        ("headers that are none", event(&[("/headers", json!({ "bad name\r\n": "x", "y": "\u{0}" }))])),
    ] {
        let answer = deployment.invoke("hallpass-login", event.to_string()).await;
        let answer: Value = serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{what}: {answer}"));
        let status = answer["statusCode"].as_u64();
        let is_refused =
            status.is_some_and(|status| (400..500).contains(&status)) || answer["errorMessage"].is_string();
        assert!(is_refused, "{what}: {answer}");
    }
    let answer = deployment.invoke("hallpass-login", event(&[]).to_string()).await;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["statusCode"], 401, "{answer}");
}

#[tokio::test]
async fn several_cookies_reach_a_function_and_come_back_from_it() {
    let world = World::new().await;
    let (name, mut browser) = world.somebody().await;
    browser.cookies.insert("other".to_owned(), "1".to_owned());
    browser.ask(Method::GET, "/session").await.expect(200);
    let answer = browser.log_in(&name).await;
    assert!(answer.headers.get_all("set-cookie").iter().count() >= 2, "session and device: {:?}", answer.headers);
}

/// With the store a loopback away: everything but the network's own time.
#[tokio::test]
#[ignore = "a time; to be run alone, against release builds"]
async fn every_function_is_ready_for_its_first_event_within_20_milliseconds() {
    let world = World::new().await;
    let deployment = world.deployment().expect("functions to test");
    for (function, has_route) in TEMPLATE.functions() {
        if !has_route {
            continue;
        }
        let mut times = Vec::new();
        for _ in 0..5 {
            times.push(deployment.init_time(function).await);
        }
        times.sort();
        println!("{function}: {:?} of init, median of 5", times[2]);
        assert!(times[2] <= Duration::from_millis(20), "{function}: {times:?}");
    }
}

/// CloudFormation's side of a custom resource: takes one answer and gives its body.
async fn one_answer(listener: tokio::net::TcpListener) -> Value {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut text = String::new();
    let body = loop {
        let mut part = [0; 4096];
        let length = stream.read(&mut part).await.unwrap();
        assert!(length > 0, "{text}");
        text.push_str(std::str::from_utf8(&part[..length]).unwrap());
        if let Some(Ok(body)) = text.split("\r\n\r\n").nth(1).map(serde_json::from_str::<Value>) {
            break body;
        }
    };
    assert!(text.starts_with("PUT ") && !text.to_lowercase().contains("content-type"), "{text}");
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    body
}

#[tokio::test]
async fn the_keys_are_made_once_never_overwritten_and_read_at_the_start() {
    #[expect(clippy::disallowed_methods, reason = "tests are told by the environment what to run against")]
    let ssm = std::env::var("HALLPASS_TEST_SSM");
    let (Some(toolchain), Ok(ssm)) = (Toolchain::of_process(), ssm) else {
        return;
    };
    let world = World::new().await;
    let name = format!("/{}/keys", world::fresh_name());
    let cold = || {
        Deployment::new(toolchain.clone(), &world.settings(), world.recorder.clone(), world.now())
            .with_var("AWS_ENDPOINT_URL_SSM", &ssm)
            .with_var("HALLPASS_KEYS_SSM", &name)
    };
    let browser = || Browser::new(Transport::Functions(Arc::new(cold())), world::fresh_address());
    let deployment = cold();
    let user = world::fresh_name();
    // Before there are keys no function starts, and says so.
    let early = deployment.invoke("hallpass-login", event(&[]).to_string()).await;
    assert!(!early.contains("statusCode"), "{early}");
    let mut answers = Vec::new();
    for kind in ["Create", "Update", "Delete", "Create"] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/signed?for=this", listener.local_addr().unwrap());
        let properties = json!({ "ParameterName": name, "ServiceToken": "arn" });
        let event = json!({
            "RequestType": kind, "ResponseURL": url, "StackId": "stack", "RequestId": "request",
            "ResourceType": "Custom::SealingKey", "LogicalResourceId": "SealingKey", "PhysicalResourceId": name,
            "ResourceProperties": properties, "OldResourceProperties": properties,
        });
        let (answer, _) = futures_util::future::join(
            one_answer(listener),
            deployment.invoke("hallpass-sealing-key", event.to_string()),
        )
        .await;
        assert_eq!(answer["Status"], "SUCCESS", "{kind}: {answer}");
        answers.push(answer);
        if kind == "Create" {
            let login = deployment.invoke("hallpass-login", self::event(&[]).to_string()).await;
            let login: Value = serde_json::from_str(&login).unwrap();
            assert_eq!(login["statusCode"], 401, "{login}");
        }
        if answers.len() == 1 {
            browser().register(&user).await;
        }
    }
    // The key that the password was hashed under is still the one that is read.
    browser().log_in(&user).await;
    for answer in answers {
        assert_eq!((&answer["PhysicalResourceId"], &answer["StackId"]), (&json!(name), &json!("stack")), "{answer}");
        assert!(!answer.to_string().contains("Hallpass keys"), "no key in what CloudFormation hears");
    }
}
