//! What a call is answered that goes wrong.

use std::time::Duration;

use aws_smithy_runtime_api::{
    client::{orchestrator::HttpResponse, result::ConnectorError},
    http::StatusCode,
};
use hallpass_embedded::wire;
use serde_json::{Value, json};

use super::kind::Fault;

/// Later than any answer, and far from the deadline.
const SLOW: Duration = Duration::from_millis(5);

pub(super) fn lost() -> Result<HttpResponse, ConnectorError> {
    Err(ConnectorError::timeout("lost by the test".into()))
}

pub(super) async fn gone_wrong(
    fault: Fault,
    asked: &Value,
    done: impl Future<Output = Result<HttpResponse, ConnectorError>>,
) -> Result<HttpResponse, ConnectorError> {
    let failed = || Ok(error(500, "InternalServerError"));
    match fault {
        Fault::LostBefore => lost(),
        Fault::LostAfter => done.await.and_then(|_| lost()),
        Fault::Throttled => Ok(error(400, "ProvisionedThroughputExceededException")),
        Fault::ThrottledInside => Ok(cancelled(asked, "ThrottlingError")),
        Fault::Conflict if asked["TransactItems"].is_array() => Ok(cancelled(asked, "TransactionConflict")),
        Fault::Conflict => Ok(error(400, "TransactionConflictException")),
        Fault::ServerError => failed(),
        Fault::ServerErrorAfter => done.await.and_then(|_| failed()),
        Fault::Slow => {
            tokio::time::sleep(SLOW).await;
            done.await
        }
        Fault::Page => done.await.map(|_| response(200, b"<html>Welcome to the hotel's network</html>".to_vec())),
        Fault::Truncated => done.await.map(|answer| {
            let body = answer.body().bytes().unwrap();
            response(answer.status().as_u16(), body[..body.len() / 2].to_vec())
        }),
        Fault::OtherTypes => unreachable!("depends on the answer"),
        Fault::Hangs | Fault::LateAfterRetry => unreachable!("has no answer"),
        Fault::FindsNothing => Ok(response(200, b"{}".to_vec())),
        Fault::Unprocessed => {
            let none = json!({ "Responses": {}, "UnprocessedKeys": asked["RequestItems"] });
            Ok(response(200, none.to_string().into_bytes()))
        }
    }
}

pub(super) fn response(status: u16, body: Vec<u8>) -> HttpResponse {
    let mut response = HttpResponse::new(StatusCode::try_from(status).unwrap(), body.into());
    response.headers_mut().insert("content-type", wire::MEDIA_TYPE);
    response
}

fn error(status: u16, name: &str) -> HttpResponse {
    response(status, exception(name).to_string().into_bytes())
}

fn exception(name: &str) -> Value {
    json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{name}"), "message": "by the test" })
}

/// A transaction is cancelled for this reason, which its last item has.
fn cancelled(asked: &Value, reason: &str) -> HttpResponse {
    let others = asked["TransactItems"].as_array().unwrap().len() - 1;
    let mut reasons = vec![json!({ "Code": "None" }); others];
    reasons.push(json!({ "Code": reason, "Message": "by the test" }));
    let mut body = exception("TransactionCanceledException");
    body["CancellationReasons"] = Value::Array(reasons);
    response(400, body.to_string().into_bytes())
}

/// The answer with numbers as text and text as numbers; `None` if there is neither in it.
pub(super) fn of_other_types(answer: &HttpResponse) -> Option<HttpResponse> {
    let body: Value = serde_json::from_slice(answer.body().bytes().unwrap()).unwrap();
    let altered = exchanged(body.clone());
    (altered != body).then(|| response(answer.status().as_u16(), altered.to_string().into_bytes()))
}

fn exchanged(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let other = |name: String| match name.as_str() {
                "S" => "N".to_owned(),
                "N" | "B" => "S".to_owned(),
                _ => name,
            };
            Value::Object(map.into_iter().map(|(name, value)| (other(name), exchanged(value))).collect())
        }
        Value::Array(list) => Value::Array(list.into_iter().map(exchanged).collect()),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => other,
    }
}
