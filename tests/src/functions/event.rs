//! API Gateway's side of an HTTP API with payload format 2.0.

use std::{collections::BTreeMap, net::IpAddr};

use axum::{
    body::Body,
    http::{Request, Response, header},
};
use http_body_util::BodyExt;
use serde_json::{Value, json};

/// The event that API Gateway makes of a request.
pub(super) async fn of(request: Request<Body>, route_key: &str, source: IpAddr) -> Value {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let text_of = |value: &header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in parts.headers.iter().filter(|(name, _)| **name != header::COOKIE) {
        let value = text_of(value);
        headers.entry(name.to_string()).and_modify(|line| *line = format!("{line},{value}")).or_insert(value);
    }
    let cookies: Vec<String> = parts
        .headers
        .get_all(header::COOKIE)
        .iter()
        .flat_map(|line| text_of(line).split("; ").map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let (method, path) = (parts.method.as_str(), parts.uri.path());
    let mut event = json!({
        "version": "2.0",
        "routeKey": route_key,
        "rawPath": path,
        "rawQueryString": parts.uri.query().unwrap_or_default(),
        "headers": headers,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "api",
            "domainName": "api.execute-api.us-east-1.amazonaws.com",
            "domainPrefix": "api",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": source,
                "userAgent": headers.get("user-agent").cloned().unwrap_or_default(),
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": route_key,
            "stage": "$default",
            "time": "01/Jan/2026:00:00:00 +0000",
            "timeEpoch": 1_767_225_600_000_i64,
        },
        "isBase64Encoded": false,
    });
    if !cookies.is_empty() {
        event["cookies"] = json!(cookies);
    }
    if !body.is_empty() {
        let is_text = headers
            .get("content-type")
            .is_some_and(|kind| kind.starts_with("text/") || kind.starts_with("application/json"));
        match String::from_utf8(body.to_vec()) {
            Ok(text) if is_text => event["body"] = json!(text),
            // Forms too: they are no text to the gateway.
            Ok(_) | Err(_) => {
                event["body"] = json!(data_encoding::BASE64.encode(&body));
                event["isBase64Encoded"] = json!(true);
            }
        }
    }
    event
}

/// The response that API Gateway makes of a function's answer.
pub(super) fn answered(answer: String) -> Response<Body> {
    let answer: Value = serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{answer}"));
    let Some(status) = answer["statusCode"].as_u64() else {
        // The function failed: the gateway's own words.
        return Response::builder().status(500).body(Body::from(r#"{"message":"Internal Server Error"}"#)).unwrap();
    };
    let mut response = Response::builder().status(u16::try_from(status).unwrap());
    for (name, value) in answer["headers"].as_object().into_iter().flatten() {
        response = response.header(name, value.as_str().unwrap());
    }
    for cookie in answer["cookies"].as_array().into_iter().flatten() {
        response = response.header(header::SET_COOKIE, cookie.as_str().unwrap());
    }
    let body = answer["body"].as_str().unwrap_or_default();
    let body = match answer["isBase64Encoded"].as_bool() {
        Some(true) => data_encoding::BASE64.decode(body.as_bytes()).unwrap(),
        Some(false) | None => body.as_bytes().to_vec(),
    };
    response.body(Body::from(body)).unwrap()
}
