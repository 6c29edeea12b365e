//! A custom authorizer of API Gateway, for other people's APIs: may this request pass, and whose is it? The rule is in
//! `core::guard`; here is how two kinds of APIs ask, and how they are told.
//!
//! HTTP APIs ask in payload format 2.0 and get the simple answer. REST APIs ask with type `REQUEST` and get a policy for
//! the whole API, so that an answer which the gateway keeps is right for every other route as well. What to demand is
//! in the settings of the function, never in the event: the path decides nothing.

mod answer;
mod question;

use axum::http::Method;
use hallpass_core::{
    app::Keyless,
    events,
    guard::{Credential, Demand, Identity},
    http::origin,
    logging::{self, Asked},
    random,
    rate_limit::named::LimitName,
};
use serde_json::Value;

use self::{answer::Denied, question::Question};
pub use self::{answer::Unanswered, question::Malformed};

/// Answers one event of API Gateway.
///
/// # Errors
/// [`Unanswered`]: the gateway then lets nobody pass.
pub async fn authorize(keyless: &Keyless, event: Value) -> Result<Value, Unanswered> {
    let question = Question::read(event, &keyless.settings.trusted_proxies);
    let client = question.as_ref().ok().map(|question| question.client);
    logging::of_request(Asked { id: random::request_id(), client }, async {
        let answer = match question {
            Ok(question) => Box::pin(answer(keyless, question)).await,
            Err(malformed) => Err(malformed.into()),
        };
        match &answer {
            // Logged by whoever refused.
            Ok(_) | Err(Unanswered::Unauthorized) => {}
            Err(error) => tracing::error!(event = "authorizer.unanswered", %error),
        }
        answer
    })
    .await
}

async fn answer(keyless: &Keyless, question: Question) -> Result<Value, Unanswered> {
    let outcome = if is_cross_origin(keyless, &question) {
        events::cross_origin_refused();
        Err(Denied::CrossOrigin)
    } else {
        ask(keyless, &question).await
    };
    answer::of(&question.gateway, outcome)
}

/// A cookie that another site's page sends along is no consent (attack 5.31); only where the API shares our host does
/// a cookie of ours come at all.
fn is_cross_origin(keyless: &Keyless, question: &Question) -> bool {
    let method = Method::from_bytes(question.method.as_bytes()).unwrap_or(Method::POST);
    origin::is_cross_origin(&method, &question.headers, &keyless.settings.public_url)
}

async fn ask(keyless: &Keyless, question: &Question) -> Result<Identity, Denied> {
    let settings = &keyless.settings.authorizer;
    let demand =
        Demand { level: settings.level, limits: settings.limit.iter().cloned().map(LimitName::Named).collect() };
    let credential = Credential::of(&question.headers);
    let verdict = keyless.guard.ask(&credential, question.client, Ok(demand), keyless.clock.now()).await;
    verdict.outcome.map_err(Denied::from)
}
