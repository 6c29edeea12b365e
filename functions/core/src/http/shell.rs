//! What surrounds every router, in the container and in every Lambda function alike.

use std::{any::Any, convert::Infallible, panic::AssertUnwindSafe, time::Duration};

use axum::{
    Router,
    extract::{MatchedPath, Request},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{Route, future::RouteFuture},
};
use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::time::timeout;
use tower::{Service, layer::layer_fn, service_fn};
use uuid::Uuid;

use super::{
    client::{ClientAddress, Peer},
    origin,
    problem::{Kind, Problem},
};
use crate::{
    app::Keyless,
    events,
    logging::{self, Asked},
    pages::refusal::Person,
    random,
    rate_limit::admission::Gate,
};

/// The longest that a request may take: less than API Gateway waits, more than the store takes to give up.
pub const REQUEST_DEADLINE: Duration = Duration::from_secs(25);

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Sent with every answer, errors included (ASVS 5.0 3.2.1, 3.4.3 to 3.4.6, 14.2.2).
const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"),
    ),
];
/// Two years, only when the public URL is https.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=63072000; includeSubDomains");

/// Puts the endpoints into the shell: request ids, one log line each, panics and time limits as problems, the
/// client's address, cross-origin refusal, pages for people.
pub fn complete(router: Router, keyless: Keyless) -> Router {
    router
        .fallback(|| async { Problem::not_found() })
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        // One layer, for the router boxes each and clones what is inside it; a service, since axum's `from_fn` does so
        // once more.
        .layer(layer_fn(move |mut route: Route| {
            let keyless = keyless.clone();
            service_fn(move |request| shell(&keyless, request, &mut route).map(Ok::<_, Infallible>))
        }))
}

/// Gives the request an id, finds out who is asking, logs one line about it, and adds the headers that every answer
/// carries.
fn shell(keyless: &Keyless, mut request: Request, route: &mut Route) -> impl Future<Output = Response> + use<> {
    let id = random::request_id();
    let client = client(&request, keyless);
    if let Some(client) = client {
        request.extensions_mut().insert(client);
    }
    let started = keyless.clock.now();
    let line = Line::of(&request);
    let (mut request, person) = Person::behind(request, keyless);
    let mut answer = match turned_away(&request, keyless) {
        Some(problem) => Err(problem),
        None => {
            request.extensions_mut().insert(Gate(keyless.clone()));
            // Which does nothing yet: what it does, it does inside of what follows.
            Ok(route.call(request))
        }
    };
    let keyless = keyless.clone();
    logging::of_request(Asked { id, client }, async move {
        let response = match &mut answer {
            Ok(answer) => answered(answer).await,
            Err(problem) => {
                if problem.kind() == Kind::CrossOrigin {
                    events::cross_origin_refused();
                }
                problem.clone().into_response()
            }
        };
        let mut response = match person {
            Some(person) => person.shown(response),
            None => response,
        };
        line.log(&response, started, keyless.clock.now());
        decorate(&mut response, &keyless, id);
        response
    })
}

/// What the route answers in time, without a panic.
async fn answered(answer: &mut RouteFuture<Infallible>) -> Response {
    // What a panic leaves behind is this request's alone: it is dropped.
    match timeout(REQUEST_DEADLINE, AssertUnwindSafe(answer).catch_unwind()).await {
        Ok(Ok(Ok(response))) => response,
        Ok(Err(panic)) => panicked(panic.as_ref()),
        Err(_elapsed) => Problem::unavailable().into_response(),
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Response {
    events::panicked(panic);
    Problem::internal().into_response()
}

/// What comes from nowhere, and what another site caused.
fn turned_away(request: &Request, keyless: &Keyless) -> Option<Problem> {
    if request.extensions().get::<ClientAddress>().is_none() {
        return Some(Problem::malformed("The request has no source address."));
    }
    if origin::is_cross_origin(request.method(), request.headers(), &keyless.settings.public_url) {
        return Some(Problem::cross_origin());
    }
    None
}

fn client(request: &Request, keyless: &Keyless) -> Option<ClientAddress> {
    let Peer(peer) = *request.extensions().get()?;
    Some(ClientAddress::resolve(peer?, request.headers(), &keyless.settings.trusted_proxies))
}

fn decorate(response: &mut Response, keyless: &Keyless, id: Uuid) {
    let headers = response.headers_mut();
    headers.reserve(HEADERS.len() + 2);
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(value);
    }
    if keyless.settings.public_url.is_https() {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
    if let Ok(id) = HeaderValue::try_from(id.to_string()) {
        headers.insert(X_REQUEST_ID, id);
    }
}

/// The method, if it is one of HTTP's own (RFC 9110, RFC 5789); others are a client's choice, and not repeated.
#[must_use]
pub fn method_name(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// What the log says of a request: the route's pattern, never the path, which a client chooses.
struct Line {
    method: &'static str,
    route: Option<MatchedPath>,
}

impl Line {
    fn of(request: &Request) -> Self {
        Self { method: method_name(request.method()), route: request.extensions().get().cloned() }
    }

    /// A read that was answered, one more request of a client whose limit has refused it, or one that nothing here
    /// takes: nothing changed, they are most of the traffic, and a flood must not become one of lines.
    fn is_routine(&self, status: StatusCode, problem: Option<Kind>) -> bool {
        let is_read = matches!(self.method, "GET" | "HEAD");
        match problem {
            // What is to be changed and isn't there may be somebody else's.
            Some(Kind::NotFound) => is_read || self.route.is_none(),
            // They cost nothing to cause, and have events of their own where they matter.
            Some(Kind::RateLimited | Kind::MethodNotAllowed | Kind::CrossOrigin) => true,
            Some(_) => false,
            None => is_read && !status.is_client_error() && !status.is_server_error(),
        }
    }

    fn log(&self, response: &Response, started: Timestamp, ended: Timestamp) {
        let duration_micros = ended.as_microsecond().saturating_sub(started.as_microsecond());
        let route = self.route.as_ref().map_or("unmatched", MatchedPath::as_str);
        let (method, status) = (self.method, response.status().as_u16());
        let problem = response.extensions().get::<Problem>().map(Problem::kind);
        let is_routine = self.is_routine(response.status(), problem);
        let problem = problem.map(Kind::slug);
        match is_routine {
            true => tracing::debug!(event = "request", method, route, status, problem, duration_micros),
            false => tracing::info!(event = "request", method, route, status, problem, duration_micros),
        }
    }
}
