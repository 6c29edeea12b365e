//! The authorizer of API Gateway: what two kinds of APIs are told (attack 5.34).

use futures_util::future::join_all;
use hallpass_tests::{Browser, World, recorder::Recorder};
use serde_json::{Value, json};

const METHOD_ARN: &str = "arn:aws:execute-api:eu-west-1:123456789012:abc123/prod/GET/orders/7";
const WHOLE_API: &str = "arn:aws:execute-api:eu-west-1:123456789012:abc123/prod/*";

/// What an HTTP API sends: cookies in a list of their own.
fn http_api(browser: &Browser, method: &str, cookies: &[String], headers: &[(&str, &str)]) -> Value {
    json!({
        "version": "2.0",
        "type": "REQUEST",
        "routeArn": METHOD_ARN,
        "identitySource": null,
        "routeKey": "$default",
        "rawPath": "/orders/7",
        "rawQueryString": "level=aal1",
        "cookies": cookies,
        "headers": headers.iter().copied().collect::<std::collections::BTreeMap<_, _>>(),
        "requestContext": {
            "accountId": "123456789012", "apiId": "abc123", "stage": "$default", "routeKey": "$default",
            "http": { "method": method, "path": "/orders/7", "protocol": "HTTP/1.1", "sourceIp": browser.address(), "userAgent": "" },
        },
    })
}

/// What a REST API sends for a request with these headers.
fn rest_api(browser: &Browser, method: &str, headers: &[(&str, &str)]) -> Value {
    let lists: std::collections::BTreeMap<_, _> = headers.iter().map(|(name, value)| (*name, vec![*value])).collect();
    json!({
        "type": "REQUEST",
        "methodArn": METHOD_ARN,
        "resource": "/orders/{id}",
        "path": "/orders/7",
        "httpMethod": method,
        "headers": headers.iter().copied().collect::<std::collections::BTreeMap<_, _>>(),
        "multiValueHeaders": lists,
        "requestContext": { "stage": "prod", "apiId": "abc123", "httpMethod": method, "identity": { "sourceIp": browser.address() } },
    })
}

fn cookies(browser: &Browser) -> Vec<String> {
    browser.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect()
}

/// The same request as both kinds of APIs send it.
pub(crate) fn asked_by_both(browser: &Browser, method: &str) -> [Value; 2] {
    let cookies = cookies(browser);
    [http_api(browser, method, &cookies, &[]), rest_api(browser, method, &[("Cookie", &cookies.join("; "))])]
}

#[track_caller]
fn expect_policy(answer: &Value, effect: &str) {
    let statement = &answer["policyDocument"]["Statement"][0];
    let expected = json!({ "Action": "execute-api:Invoke", "Effect": effect, "Resource": WHOLE_API });
    assert_eq!(*statement, expected, "{answer}");
}

#[tokio::test]
async fn a_session_passes_and_the_api_is_told_whose_it_is() {
    let world = World::new().await;
    let (name, mut browser) = world.somebody().await;
    let user = browser.get("/session").await.value()["user"].clone();
    let session = browser.get("/session").await.value()["session"].clone();
    let expected = json!({
        "user_id": user["id"], "username": name, "email": "", "level": "aal1", "methods": "pwd",
        "session_id": session["id"],
    });
    let [http, rest] = asked_by_both(&browser, "GET");
    let answer = world.authorize(http).await.unwrap();
    assert_eq!(answer, json!({ "isAuthorized": true, "context": expected }));
    let answer = world.authorize(rest).await.unwrap();
    expect_policy(&answer, "Allow");
    assert_eq!((&answer["principalId"], &answer["context"]), (&user["id"], &expected));
}

#[tokio::test]
async fn a_bearer_token_passes_as_well_as_a_cookie_but_not_beside_one() {
    let world = World::new().await;
    let (name, browser) = world.somebody().await;
    let credentials = json!({ "username": name, "password": hallpass_tests::PASSWORD, "delivery": "token" });
    let token = world.browser().post("/login", credentials).await.expect(200).value();
    let bearer = format!("Bearer {}", token["token"].as_str().unwrap());
    let answer = world.authorize(http_api(&browser, "POST", &[], &[("authorization", &bearer)])).await.unwrap();
    assert_eq!(answer["isAuthorized"], true);
    expect_policy(&world.authorize(rest_api(&browser, "POST", &[("Authorization", &bearer)])).await.unwrap(), "Allow");

    let both =
        world.authorize(http_api(&browser, "GET", &cookies(&browser), &[("authorization", &bearer)])).await.unwrap();
    assert_eq!(both["isAuthorized"], false);
}

#[tokio::test]
async fn without_a_session_nobody_passes_the_authorizer() {
    let world = World::new().await;
    let (_, mut ended) = world.somebody().await;
    let old = ended.clone();
    ended.post("/logout", json!({})).await.expect(204);
    for browser in [&world.browser(), &old] {
        let [http, rest] = asked_by_both(browser, "GET");
        let refused = json!({ "isAuthorized": false, "context": { "reason": "session-required" } });
        assert_eq!(world.authorize(http).await.unwrap(), refused);
        // The one word of which a REST API makes a 401.
        assert_eq!(world.authorize(rest).await.unwrap_err(), "Unauthorized");
    }
}

#[tokio::test]
async fn a_pending_login_opens_no_guarded_api() {
    let world = World::new().await;
    let (name, browser, _, _) = world.somebody_with_totp().await;
    let mut half = browser.private_window();
    half.log_in(&name).await;
    let pending = half.cookies["__Host-login"].clone();
    for event in [
        http_api(&half, "GET", &cookies(&half), &[]),
        http_api(&half, "GET", &[format!("__Host-session={pending}")], &[]),
        http_api(&half, "GET", &[], &[("authorization", &format!("Bearer {pending}"))]),
    ] {
        assert_eq!(world.authorize(event.clone()).await.unwrap()["isAuthorized"], false, "{event}");
    }
}

#[tokio::test]
async fn the_level_that_the_settings_demand_is_demanded_whatever_the_request_says() {
    let world = World::with([("HALLPASS_AUTHORIZER__LEVEL", "aal2")]).await;
    let (_, one_factor) = world.somebody().await;
    let refused = json!({ "reason": "second-factor-required" });
    let [http, rest] = asked_by_both(&one_factor, "GET");
    let answer = world.authorize(http).await.unwrap();
    assert_eq!((&answer["isAuthorized"], &answer["context"]), (&json!(false), &refused));
    let answer = world.authorize(rest).await.unwrap();
    expect_policy(&answer, "Deny");
    assert_eq!(answer["context"], refused);

    let (name, browser, authenticator, _) = world.somebody_with_totp().await;
    let mut two_factors = browser.private_window();
    two_factors.log_in(&name).await;
    two_factors.verify(&authenticator.code(world.now())).await.expect(200);
    let answer = world.authorize(asked_by_both(&two_factors, "GET")[0].clone()).await.unwrap();
    assert_eq!((&answer["isAuthorized"], &answer["context"]["methods"]), (&json!(true), &json!("pwd otp")));
}

#[tokio::test]
async fn of_200_parallel_requests_to_a_guarded_api_exactly_its_limit_passes() {
    let vars = [("HALLPASS_GUARD__LIMITS__ORDERS", "10 per minute"), ("HALLPASS_AUTHORIZER__LIMIT", "orders")];
    let world = World::with(vars).await;
    let (_, browser) = world.somebody().await;
    let event = asked_by_both(&browser, "GET")[0].clone();
    let answers = join_all((0..200).map(|_| world.authorize(event.clone()))).await;
    let answers: Vec<Value> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.iter().filter(|answer| answer["isAuthorized"] == true).count(), 10);
    let refused = answers.iter().find(|answer| answer["isAuthorized"] == false).unwrap();
    let context = &refused["context"];
    assert_eq!((&context["reason"], &context["retry_after_seconds"]), (&json!("rate-limited"), &json!("60")));

    let answer = world.authorize(asked_by_both(&browser, "GET")[1].clone()).await.unwrap();
    expect_policy(&answer, "Deny");
    world.pass(60);
    assert_eq!(world.authorize(event).await.unwrap()["isAuthorized"], true);
}

#[tokio::test]
async fn a_request_to_a_guarded_api_keeps_its_session_alive() {
    let world = World::new().await;
    let (_, browser) = world.somebody().await;
    let event = asked_by_both(&browser, "GET")[0].clone();
    for _ in 0..3 {
        world.pass(40 * 60);
        assert_eq!(world.authorize(event.clone()).await.unwrap()["isAuthorized"], true);
    }
    world.pass(61 * 60);
    assert_eq!(world.authorize(event).await.unwrap()["isAuthorized"], false);
}

/// A user's browser, and what is asked about a second one of theirs, which passes.
async fn another_session_that_passes(world: &World) -> (Browser, Value) {
    let (name, owner) = world.somebody().await;
    let mut other = world.browser();
    other.log_in(&name).await;
    let event = asked_by_both(&other, "GET")[0].clone();
    assert_eq!(world.authorize(event.clone()).await.unwrap()["isAuthorized"], true);
    (owner, event)
}

#[tokio::test]
async fn a_session_that_was_ended_elsewhere_passes_no_more() {
    let world = World::new().await;
    let (mut owner, event) = another_session_that_passes(&world).await;
    owner.delete("/sessions", Value::Null).await.expect(200);
    assert_eq!(world.authorize(event).await.unwrap()["isAuthorized"], false);
}

#[tokio::test]
async fn a_session_from_before_a_password_change_passes_no_more() {
    let world = World::new().await;
    let (mut owner, event) = another_session_that_passes(&world).await;
    let change =
        json!({ "current_password": hallpass_tests::PASSWORD, "new_password": "another horse battery staple" });
    owner.post("/password", change).await.expect(204);
    assert_eq!(world.authorize(event).await.unwrap()["isAuthorized"], false);
    let renewed = asked_by_both(&owner, "GET")[0].clone();
    assert_eq!(world.authorize(renewed).await.unwrap()["isAuthorized"], true);
}

#[tokio::test]
async fn another_sites_page_changes_nothing_at_a_guarded_api_with_a_cookie() {
    let world = World::new().await;
    let (_, browser) = world.somebody().await;
    let cookies = cookies(&browser);
    let ask = async |method: &str, site: &str| {
        world.authorize(http_api(&browser, method, &cookies, &[("sec-fetch-site", site)])).await.unwrap()
    };
    let refused = ask("POST", "cross-site").await;
    assert_eq!(refused, json!({ "isAuthorized": false, "context": { "reason": "cross-origin" } }));
    for (method, site) in [("POST", "same-origin"), ("GET", "cross-site")] {
        assert_eq!(ask(method, site).await["isAuthorized"], true, "{method} {site}");
    }
}

#[tokio::test]
async fn while_the_store_is_away_nobody_passes_a_guarded_api() {
    let world = World::new().await;
    let (_, browser) = world.somebody().await;
    world.recorder.cut_off(Recorder::ALL);
    for event in asked_by_both(&browser, "GET") {
        let error = world.authorize(event).await.unwrap_err();
        assert!(error.starts_with("unavailable"), "{error}");
    }
    world.recorder.reconnect();
    assert_eq!(world.authorize(asked_by_both(&browser, "GET")[0].clone()).await.unwrap()["isAuthorized"], true);
}

#[tokio::test]
async fn an_event_that_is_no_question_gets_an_error_and_the_authorizer_goes_on() {
    let world = World::new().await;
    let (_, browser) = world.somebody().await;
    for event in [
        json!({}),
        json!([1, 2]),
        json!("x"),
        json!({ "version": "2.0", "type": "REQUEST", "requestContext": { "http": { "method": "GET" } } }),
        json!({ "version": "1.0", "type": "REQUEST", "methodArn": METHOD_ARN }),
        json!({ "type": "TOKEN", "authorizationToken": "Bearer x", "methodArn": METHOD_ARN }),
        json!({ "type": "REQUEST", "methodArn": "*", "requestContext": { "identity": { "sourceIp": "192.0.2.7" } } }),
        http_api(&browser, "GET", &["\u{0}".to_owned()], &[]),
    ] {
        let error = world.authorize(event.clone()).await.unwrap_err();
        assert_ne!(error, "Unauthorized", "{event}");
    }
    assert_eq!(world.authorize(asked_by_both(&browser, "GET")[0].clone()).await.unwrap()["isAuthorized"], true);
}

#[tokio::test]
async fn limits_count_by_whom_a_trusted_proxy_names_and_by_nobody_elses_word() {
    let world = World::with([
        ("HALLPASS_TRUSTED_PROXIES", "192.0.2.0/24"),
        ("HALLPASS_GUARD__LIMITS__ORDERS", "1 per minute"),
        ("HALLPASS_AUTHORIZER__LIMIT", "orders"),
    ])
    .await;
    let (_, somebody) = world.somebody().await;
    let cookies = cookies(&somebody);
    let (stranger, proxy) = (world.browser(), world.browser_at("192.0.2.9".parse().unwrap()));
    let [one, other] = [world.browser().address().to_string(), world.browser().address().to_string()];
    for (asks, names, passes) in [
        (&stranger, &one, true),
        (&stranger, &other, false),
        (&proxy, &one, true),
        (&proxy, &one, false),
        (&proxy, &other, true),
    ] {
        let answer = world.authorize(http_api(asks, "GET", &cookies, &[("x-forwarded-for", names)])).await.unwrap();
        assert_eq!(answer["isAuthorized"], passes, "{names} by {}", asks.address());
    }
}
