//! Charges a route's limit before, or side by side with, its handler, and tells the client what is left.

use axum::{
    extract::{FromRequestParts, Request},
    http::request::Parts,
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
};
use futures_util::{
    FutureExt,
    future::{BoxFuture, Either, Shared, select},
};
use utoipa_axum::router::OpenApiRouter;

use super::{
    headers,
    limiter::{ChargeError, Charged, Route},
};
use crate::{
    app::Keyless,
    config::Function,
    http::{
        client::{ClientAddress, Partition},
        problem::Problem,
    },
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
    router.layer(from_fn(move |charge: Charge, request: Request, next: Next| async move {
        match charge.of(function).await {
            Ok(charged) => stamped(next.run(request).await, charged.as_ref()),
            Err(error) => refusal(error),
        }
    }))
}

/// Limits every route of `router`: the handler runs side by side with the charge, and takes an [`Admission`] to wait
/// for it before it does anything but read. Saves a round trip.
pub fn limited_beside<S: Clone + Send + Sync + 'static>(
    router: OpenApiRouter<S>,
    function: Function,
) -> OpenApiRouter<S> {
    router.layer(from_fn(move |charge: Charge, mut request: Request, next: Next| async move {
        let charge = async move { charge.of(function).await }.boxed().shared();
        request.extensions_mut().insert(Admission(charge.clone()));
        match select(charge, std::pin::pin!(next.run(request))).await {
            Either::Left((Ok(charged), response)) => stamped(response.await, charged.as_ref()),
            Either::Left((Err(error), _)) => refusal(error),
            Either::Right((response, charge)) => match charge.await {
                Ok(charged) => stamped(response, charged.as_ref()),
                Err(error) => refusal(error),
            },
        }
    }))
}

/// Limits an open route: while the store is away, a limiter of this process stands in, and the log says so.
pub fn limited_open<S: Clone + Send + Sync + 'static>(
    router: OpenApiRouter<S>,
    function: Function,
) -> OpenApiRouter<S> {
    router.layer(from_fn(move |charge: Charge, request: Request, next: Next| async move {
        let outcome = match charge.of(function).await {
            Err(ChargeError::Store(error)) => {
                tracing::warn!(event = "limit.in_process_only", function = function.name(), %error);
                charge.in_process(function)
            }
            outcome => outcome,
        };
        match outcome {
            Ok(charged) => stamped(next.run(request).await, charged.as_ref()),
            Err(error) => refusal(error),
        }
    }))
}

/// Who is charged for which route, and by what.
struct Charge {
    keyless: Keyless,
    client: Partition,
    route: Route,
}

impl Charge {
    async fn of(&self, function: Function) -> Result<Option<Charged>, ChargeError> {
        let Self { keyless, client, route } = self;
        keyless.limiter.charge(function, route, *client, keyless.clock.now()).await
    }

    fn in_process(&self, function: Function) -> Result<Option<Charged>, ChargeError> {
        self.keyless.limiter.charge_in_process(function, self.client, self.keyless.clock.now())
    }
}

impl<S: Sync> FromRequestParts<S> for Charge {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let client = ClientAddress::from_request_parts(parts, state).await?.partition();
        // There is one wherever the shell is; without it, fail closed.
        let Gate(keyless) = parts.extensions.get().cloned().ok_or_else(Problem::internal)?;
        let route = Route { method: parts.method.clone(), path: parts.extensions.get().cloned() };
        Ok(Self { keyless, client, route })
    }
}

fn stamped(mut response: Response, charged: Option<&Charged>) -> Response {
    if let Some(charged) = charged {
        headers::stamp(response.headers_mut(), std::slice::from_ref(charged));
    }
    response
}

fn refusal(error: ChargeError) -> Response {
    let problem = Problem::from(error);
    let charged = problem.charged().cloned();
    stamped(problem.into_response(), charged.as_ref())
}
