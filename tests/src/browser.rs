//! A client that keeps cookies as a browser does, and asks in the two ways there are: JSON and forms.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use hallpass_core::http::client::Peer;
use http_body_util::BodyExt;
use hyper_util::{client::legacy::Client as HttpClient, rt::TokioExecutor};
use jiff::Timestamp;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::{PASSWORD, authenticator::Authenticator, functions::Deployment};

/// How requests reach Hallpass.
#[derive(Clone)]
pub enum Transport {
    /// Straight into the routers.
    InProcess(Router),
    /// Over HTTP to this origin.
    Http(String),
    /// As events to the functions of a deployment.
    Functions(Arc<Deployment>),
}

/// Somebody's browser: an address and a jar of cookies.
#[derive(Clone)]
pub struct Browser {
    transport: Transport,
    address: IpAddr,
    /// Cookies by name.
    pub cookies: BTreeMap<String, String>,
    headers: Vec<(String, String)>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Browser {
    /// A browser without cookies.
    #[must_use]
    pub fn new(transport: Transport, address: IpAddr) -> Self {
        Self { transport, address, cookies: BTreeMap::new(), headers: Vec::new() }
    }

    /// A header to be sent with every request from here on.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A copy without cookies: another browser at the same address.
    #[must_use]
    pub fn private_window(&self) -> Self {
        Self { cookies: BTreeMap::new(), ..self.clone() }
    }

    /// Where it asks from.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Sends a request as it is, with cookies, and keeps the cookies that come back.
    pub async fn send(&mut self, mut request: Request<Body>) -> Answer {
        if !self.cookies.is_empty() {
            let line =
                self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
            request.headers_mut().append(header::COOKIE, line.parse().unwrap());
        }
        for (name, value) in &self.headers {
            request
                .headers_mut()
                .append(header::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        let (parts, body) = match &self.transport {
            Transport::InProcess(router) => {
                request.extensions_mut().insert(Peer(Some(self.address)));
                router.clone().oneshot(request).await.unwrap().into_parts()
            }
            Transport::Functions(deployment) => Box::pin(deployment.send(request, self.address)).await.into_parts(),
            Transport::Http(origin) => {
                let path = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
                *request.uri_mut() = format!("{origin}{path}").parse().unwrap();
                let client: HttpClient<_, Body> = HttpClient::builder(TokioExecutor::new()).build_http();
                let (parts, body) = client.request(request).await.unwrap().into_parts();
                (parts, Body::new(body))
            }
        };
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        self.keep_cookies(&parts.headers);
        Answer { status: parts.status, headers: parts.headers, body }
    }

    fn keep_cookies(&mut self, headers: &HeaderMap) {
        for line in headers.get_all(header::SET_COOKIE) {
            let line = line.to_str().unwrap();
            assert!(
                line.starts_with("__Host-")
                    && line.contains("; Secure")
                    && line.contains("; HttpOnly")
                    && line.contains("; Path=/")
                    && !line.contains("Domain"),
                "{line}"
            );
            let (pair, attributes) = line.split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if attributes.contains("Max-Age=0;") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    /// A request without a body.
    pub async fn ask(&mut self, method: Method, path: &str) -> Answer {
        self.send(Request::builder().method(method).uri(path).body(Body::empty()).unwrap()).await
    }

    /// `GET`.
    pub async fn get(&mut self, path: &str) -> Answer {
        self.ask(Method::GET, path).await
    }

    /// `POST` of JSON.
    pub async fn post(&mut self, path: &str, body: Value) -> Answer {
        self.json(Method::POST, path, &body).await
    }

    /// `DELETE`, with JSON where there is something to say.
    pub async fn delete(&mut self, path: &str, body: Value) -> Answer {
        if body.is_null() {
            return self.ask(Method::DELETE, path).await;
        }
        self.json(Method::DELETE, path, &body).await
    }

    /// JSON, sent by this method.
    ///
    /// # Panics
    /// If it is no path.
    pub async fn json(&mut self, method: Method, path: &str, body: &Value) -> Answer {
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    /// `POST` of a form, as a page of ours sends it.
    pub async fn form(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = Request::post(path)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin");
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    /// Registers `name` and stays logged in.
    pub async fn register(&mut self, name: &str) -> Answer {
        let answer = self.post("/register", json!({ "username": name, "password": PASSWORD })).await;
        answer.expect(201)
    }

    /// Tries to log in.
    pub async fn log_in_with(&mut self, name: &str, password: &str) -> Answer {
        self.post("/login", json!({ "username": name, "password": password })).await
    }

    /// Logs in, or gets as far as the second step.
    pub async fn log_in(&mut self, name: &str) -> Answer {
        self.log_in_with(name, PASSWORD).await.expect(200)
    }

    /// Offers a second step.
    pub async fn verify(&mut self, code: &str) -> Answer {
        self.post("/login/verify", json!({ "code": code })).await
    }

    /// Whether the browser holds a session that lives.
    pub async fn is_logged_in(&mut self) -> bool {
        match self.get("/session").await.status.as_u16() {
            200 => true,
            401 => false,
            other => panic!("{other}"),
        }
    }

    /// Turns two-step verification on.
    pub async fn enable_totp(&mut self, now: Timestamp) -> (Authenticator, Vec<String>) {
        let started = self.post("/totp", json!({ "password": PASSWORD })).await.expect(200).value();
        let authenticator = Authenticator::scan(started["secret"].as_str().unwrap());
        let confirmed =
            self.post("/totp/confirm", json!({ "code": authenticator.code(now) })).await.expect(200).value();
        let codes = confirmed["recovery_codes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|code| code.as_str().unwrap().to_owned())
            .collect();
        (authenticator, codes)
    }
}

impl Answer {
    /// The answer, which must have this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        self
    }

    /// The answer, which must be a problem document of this status and name.
    #[track_caller]
    pub fn expect_problem(self, status: u16, slug: &str) -> Self {
        let answer = self.expect(status);
        assert_eq!(answer.headers[header::CONTENT_TYPE], "application/problem+json");
        let document = answer.value();
        assert_eq!(document["type"].as_str().unwrap(), format!("urn:hallpass:problem:{slug}"), "{document}");
        assert_eq!(document["status"], status);
        assert!(document["title"].is_string() && document["detail"].is_string());
        answer
    }

    /// The last part of a problem document's type; nothing for another answer.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let document: Value = serde_json::from_slice(&self.body).ok()?;
        document["type"].as_str()?.strip_prefix("urn:hallpass:problem:").map(str::to_owned)
    }

    /// All that it tells: status, headers and body, without the id of its request.
    #[must_use]
    pub fn told(mut self) -> (StatusCode, HeaderMap, String) {
        self.headers.remove("x-request-id");
        let body = self.text();
        (self.status, self.headers, body)
    }

    /// The body as JSON.
    #[track_caller]
    #[must_use]
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{}", self.text()))
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's value.
    #[track_caller]
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}")).to_str().unwrap()
    }
}
