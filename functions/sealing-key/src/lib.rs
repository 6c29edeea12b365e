//! A custom resource of CloudFormation: makes the keys of a stack at its first deploy, so that nobody pastes one.
//!
//! It writes an SSM SecureString once and never overwrites it, whatever happens to the stack: an update, a second stack
//! of the same name, or a deletion leaves it as it is, since without it no account can be opened any more.

use aws_lambda_events::event::cloudformation::{
    CloudFormationCustomResourceRequest, CloudFormationCustomResourceResponse,
    CloudFormationCustomResourceResponseStatus as Status,
};
use hallpass_core::{
    config::Vars,
    https,
    lambda::{keys, platform::Platform},
    random::OsRandom,
};
use http_body_util::Full;
use hyper::{Method, Request, body::Bytes};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use lambda_runtime::LambdaEvent;
use serde::{Deserialize, Serialize};

/// What the template says of the resource.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Properties {
    /// Name of the parameter that holds the keys.
    pub parameter_name: String,
}

/// What CloudFormation asks for.
pub type Event = CloudFormationCustomResourceRequest<Properties, Properties>;

/// Why CloudFormation was not told the outcome; the stack then waits for its own deadline.
#[derive(Debug, thiserror::Error)]
pub enum ReplyError {
    /// Not even asked.
    #[error(transparent)]
    Tls(#[from] https::NoTls),
    /// The address or the answer can't be written down.
    #[error("malformed: {0}")]
    Malformed(String),
    /// The answer did not arrive.
    #[error("not sent: {0}")]
    NotSent(#[from] hyper_util::client::legacy::Error),
    /// It arrived and was refused.
    #[error("refused with {0}")]
    Refused(hyper::StatusCode),
}

/// Makes the keys where the stack is made, and tells CloudFormation how it went.
///
/// # Errors
/// [`ReplyError`].
pub async fn handle(event: LambdaEvent<Event>) -> Result<(), ReplyError> {
    let outcome = match &event.payload {
        Event::Create(request) => ensure(&request.resource_properties).await,
        Event::Update(request) => ensure(&request.resource_properties).await,
        // The keys outlive the stack: its users table does so too.
        Event::Delete(_) => Ok(()),
        _ => Err("an unknown kind of request".to_owned()),
    };
    if let Err(reason) = &outcome {
        tracing::error!(event = "keys.not_made", reason);
    }
    reply(&event.payload, outcome).await
}

async fn ensure(properties: &Properties) -> Result<(), String> {
    let platform = Platform::read(&mut Vars::of_process()).map_err(|error| error.to_string())?;
    let is_new = keys::make_once(&properties.parameter_name, &platform, &OsRandom).await?;
    tracing::info!(event = "keys.ensured", is_new);
    Ok(())
}

/// Answers where CloudFormation wants it: at an address signed for this one answer.
async fn reply(event: &Event, outcome: Result<(), String>) -> Result<(), ReplyError> {
    let (url, body) = answer(event, outcome);
    let body = serde_json::to_vec(&body).map_err(|error| ReplyError::Malformed(error.to_string()))?;
    // No content type: the signature was made without one.
    let request = Request::builder().method(Method::PUT).uri(url).body(Full::new(Bytes::from(body)));
    let request = request.map_err(|error| ReplyError::Malformed(error.to_string()))?;
    let status = Client::builder(TokioExecutor::new()).build(https::connector()?).request(request).await?.status();
    if status.is_success() { Ok(()) } else { Err(ReplyError::Refused(status)) }
}

/// The address, and what is said there.
#[must_use]
pub fn answer(event: &Event, outcome: Result<(), String>) -> (&str, CloudFormationCustomResourceResponse) {
    let mut answer = CloudFormationCustomResourceResponse::default();
    (answer.status, answer.reason) = match outcome {
        Ok(()) => (Status::Success, None),
        Err(reason) => (Status::Failed, Some(reason)),
    };
    let (url, stack, request, logical, physical) = match event {
        Event::Create(event) => (
            &event.response_url,
            &event.stack_id,
            &event.request_id,
            &event.logical_resource_id,
            &event.resource_properties.parameter_name,
        ),
        Event::Update(event) => (
            &event.response_url,
            &event.stack_id,
            &event.request_id,
            &event.logical_resource_id,
            &event.resource_properties.parameter_name,
        ),
        Event::Delete(event) => (
            &event.response_url,
            &event.stack_id,
            &event.request_id,
            &event.logical_resource_id,
            &event.physical_resource_id,
        ),
        // There are three kinds.
        _ => return ("", answer),
    };
    answer.stack_id.clone_from(stack);
    answer.request_id.clone_from(request);
    answer.logical_resource_id.clone_from(logical);
    // The parameter's name is its identity; another name is another resource, and the old one is kept.
    answer.physical_resource_id.clone_from(physical);
    (url, answer)
}
