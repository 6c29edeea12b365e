//! Charges a route's limit before, or side by side with, its handler, and tells the client what is left.

use std::{convert::Infallible, future::ready};

use axum::{
    extract::{FromRequestParts, Request},
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
    routing::{Route, future::RouteFuture},
};
use futures_util::{
    FutureExt,
    future::{BoxFuture, Either, Shared, try_join},
};
use tower::{Service, layer::layer_fn, service_fn};
use utoipa_axum::router::OpenApiRouter;

use super::{
    headers,
    limiter::{ChargeError, Charged},
    named::LimitName,
    quota::{Endpoint, Quota},
};
use crate::{
    app::Keyless,
    config::Function,
    http::{client::ClientAddress, problem::Problem},
};

/// What charges requests; the shell puts it into every request.
#[derive(Clone)]
pub(crate) struct Gate(pub(crate) Keyless);

/// A charge under way beside the handler.
#[derive(Clone)]
pub struct Admission(Shared<BoxFuture<'static, Result<Option<Charged>, ChargeError>>>);

/// Proof that the limit admitted the request; hashing and spending ask for it.
#[derive(Debug)]
pub struct Admitted(());

impl Admission {
    /// Waits for the verdict. Nothing but harmless reads may come before it.
    ///
    /// # Errors
    /// 429 over the limit; 503 without an answer of the store.
    pub async fn admitted(self) -> Result<Admitted, Problem> {
        match self.0.await {
            Ok(_) => Ok(Admitted(())),
            Err(ChargeError::Limited(charged)) => Err(Problem::rate_limited(charged)),
            // Logged once, by the layer that started the charge.
            Err(ChargeError::Store(_)) => Err(Problem::unavailable()),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Admission {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        // There is one wherever `limited_beside` is; without it, fail closed.
        parts.extensions.get::<Self>().cloned().ok_or_else(Problem::internal)
    }
}

/// Limits every route of `router`: the handler runs once the request is admitted.
pub fn limited<S: Clone + Send + Sync + 'static>(router: OpenApiRouter<S>, function: Function) -> OpenApiRouter<S> {
    charging(router, function, |charge, request, route| {
        let mut response = route.call(request);
        async move { after(charge.spend().await, &mut response).await }
    })
}

/// Limits every route of `router`, whose handlers read and at most note that a session is in use, or over: they run side by
/// side with the charge, which saves a round trip. What they found is told to those who are admitted.
pub fn limited_reads<S: Clone + Send + Sync + 'static>(
    router: OpenApiRouter<S>,
    function: Function,
) -> OpenApiRouter<S> {
    charging(router, function, |charge, request, route| {
        side_by_side(async move { charge.spend().await }, route.call(request))
    })
}

/// Limits every route of `router`: the handler runs side by side with the charge, and takes an [`Admission`] to wait
/// for it before it does anything but read. Saves a round trip.
pub fn limited_beside<S: Clone + Send + Sync + 'static>(
    router: OpenApiRouter<S>,
    function: Function,
) -> OpenApiRouter<S> {
    charging(router, function, |charge, mut request, route| {
        let charge = async move { charge.spend().await }.boxed().shared();
        request.extensions_mut().insert(Admission(charge.clone()));
        side_by_side(charge, route.call(request))
    })
}

/// Limits an open route: while the store is away, a limiter of this process stands in, and the log says so.
pub fn limited_open<S: Clone + Send + Sync + 'static>(
    router: OpenApiRouter<S>,
    function: Function,
) -> OpenApiRouter<S> {
    charging(router, function, move |charge, request, route| {
        let mut response = route.call(request);
        async move {
            let outcome = match charge.spend().await {
                Err(ChargeError::Store(error)) => {
                    tracing::warn!(event = "limit.in_process_only", function = function.name(), %error);
                    charge.spend_in_process()
                }
                outcome => outcome,
            };
            after(outcome, &mut response).await
        }
    })
}

/// Puts `answer` in front of every route, with the charge that is to be made for each request. Whom memory refuses gets
/// that far only: neither route nor answer is asked. A route that is called does nothing before its answer is asked for,
/// so a refusal may drop that.
///
/// Services, not axum's `from_fn`, which boxes and clones what is behind it once more for each request.
fn charging<S, Answer, Answered>(router: OpenApiRouter<S>, function: Function, answer: Answer) -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Answer: Fn(Charge, Request, &mut Route) -> Answered + Clone + Send + Sync + 'static,
    Answered: Future<Output = Response> + Send + 'static,
{
    router.layer(layer_fn(move |mut route: Route| {
        let answer = answer.clone();
        service_fn(move |request: Request| {
            let answered = match Charge::of_request(function, &request) {
                Ok(charge) => Either::Left(answer(charge, request, &mut route)),
                Err(problem) => Either::Right(ready(problem.into_response())),
            };
            answered.map(Ok::<_, Infallible>)
        })
    }))
}

/// The endpoint's answer to a request that was admitted.
async fn after(outcome: Result<Option<Charged>, ChargeError>, response: &mut RouteFuture<Infallible>) -> Response {
    match outcome {
        Ok(charged) => stamped(response.await, charged.as_ref()),
        Err(error) => Problem::from(error).into_response(),
    }
}

/// The endpoint's answer to a request that is admitted meanwhile; a refusal does not wait for it.
fn side_by_side(
    charge: impl Future<Output = Result<Option<Charged>, ChargeError>>,
    response: RouteFuture<Infallible>,
) -> impl Future<Output = Response> {
    try_join(charge, response.map(Ok)).map(|both| match both {
        Ok((charged, response)) => stamped(response, charged.as_ref()),
        Err(error) => Problem::from(error).into_response(),
    })
}

/// The charge for one request: whose quota, and by what; `None` where it is not limited.
struct Charge {
    keyless: Keyless,
    quota: Option<Quota>,
}

impl Charge {
    /// The charge that is to be made, unless memory refuses it already.
    fn of_request(function: Function, request: &Request) -> Result<Self, Problem> {
        // Both are there wherever the shell is; without it, fail closed.
        let client: &ClientAddress = request.extensions().get().ok_or_else(Problem::internal)?;
        let Gate(keyless) = request.extensions().get().cloned().ok_or_else(Problem::internal)?;
        let endpoint = Endpoint { method: request.method().clone(), path: request.extensions().get().cloned() };
        let quota = keyless.limiter.quota(&LimitName::Function(function), Some(&endpoint), client.partition());
        keyless.limiter.let_by_memory(quota.as_slice(), keyless.clock.now())?;
        Ok(Self { keyless, quota })
    }

    async fn spend(&self) -> Result<Option<Charged>, ChargeError> {
        let Some(quota) = &self.quota else {
            return Ok(None);
        };
        self.keyless.limiter.charge(quota, self.keyless.clock.now()).await.map(Some)
    }

    fn spend_in_process(&self) -> Result<Option<Charged>, ChargeError> {
        let spend = |quota| self.keyless.limiter.charge_in_process(quota, self.keyless.clock.now());
        self.quota.as_ref().map(spend).transpose()
    }
}

fn stamped(response: Result<Response, Infallible>, charged: Option<&Charged>) -> Response {
    let Ok(mut response) = response;
    if let Some(charged) = charged {
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            response = held(response, charged);
        }
        headers::stamp(response.headers_mut(), std::slice::from_ref(charged));
    }
    response
}

/// What an endpoint refuses for a while although the limit admits: with a wait after which both do.
fn held(mut response: Response, charged: &Charged) -> Response {
    match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem.after_charge(charged).into_response(),
        None => response,
    }
}
