//! How API Gateway asks.
//!
//! Read by fields of our own, since they are few: the published types refuse an event for what is not looked at here,
//! such as a client certificate.

use std::{collections::HashMap, net::IpAddr};

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use hallpass_core::{config::TrustedProxies, http::client::ClientAddress};
use serde::Deserialize;
use serde_json::Value;

/// Who asks, and so how it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Gateway {
    /// An HTTP API, which understands the simple answer.
    HttpApi,
    /// A REST API, which wants a policy.
    RestApi {
        /// Every route of the API's stage: `arn:…:execute-api:<region>:<account>:<api>/<stage>/*`.
        whole_api: String,
    },
}

/// One request that may pass or not.
#[derive(Debug)]
pub(crate) struct Question {
    /// Who asks.
    pub(crate) gateway: Gateway,
    /// The request's client: the gateway's peer, or whom a trusted proxy names.
    pub(crate) client: ClientAddress,
    /// The request's method, as it was sent.
    pub(crate) method: String,
    /// The request's headers, cookies among them.
    pub(crate) headers: HeaderMap,
}

/// Not a question that can be answered. It is the fault of a set-up, not of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not what an authorizer is sent.
    #[error("not an event of an authorizer")]
    Unknown,
    /// `TOKEN` events, and 1.0 events of HTTP APIs.
    #[error("an authorizer of an HTTP API needs payload format 2.0, one of a REST API needs type REQUEST")]
    Format,
    /// Limits are charged by it.
    #[error("the event has no source address")]
    NoAddress,
    /// A header that is none.
    #[error("the event has a malformed header")]
    Header,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    version: Option<String>,
    r#type: Option<String>,
    method_arn: Option<String>,
    #[serde(default)]
    headers: Option<HashMap<String, String>>,
    #[serde(default)]
    multi_value_headers: Option<HashMap<String, Vec<String>>>,
    #[serde(default)]
    cookies: Option<Vec<String>>,
    request_context: Option<Context>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Context {
    /// Of HTTP APIs.
    http: Option<Source>,
    /// Of REST APIs.
    identity: Option<Source>,
    http_method: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Source {
    source_ip: Option<String>,
    method: Option<String>,
}

impl Question {
    /// Reads an event.
    ///
    /// # Errors
    /// [`Malformed`].
    pub(crate) fn read(event: Value, trusted: &TrustedProxies) -> Result<Self, Malformed> {
        let event: Event = serde_json::from_value(event).map_err(|_| Malformed::Unknown)?;
        let gateway = event.gateway()?;
        let headers = event.headers()?;
        let Context { http, identity, http_method } = event.request_context.ok_or(Malformed::Unknown)?;
        let source = match gateway {
            Gateway::HttpApi => http,
            Gateway::RestApi { .. } => identity,
        };
        let Source { source_ip, method } = source.ok_or(Malformed::NoAddress)?;
        let peer: IpAddr = source_ip.and_then(|text| text.parse().ok()).ok_or(Malformed::NoAddress)?;
        Ok(Self {
            gateway,
            client: ClientAddress::resolve(peer, &headers, trusted),
            method: method.or(http_method).ok_or(Malformed::Unknown)?,
            headers,
        })
    }
}

impl Event {
    fn gateway(&self) -> Result<Gateway, Malformed> {
        match (self.version.as_deref(), self.r#type.as_deref(), &self.method_arn) {
            (Some("2.0"), Some("REQUEST"), _) => Ok(Gateway::HttpApi),
            (None, Some("REQUEST"), Some(arn)) => {
                Ok(Gateway::RestApi { whole_api: whole_api(arn).ok_or(Malformed::Unknown)? })
            }
            (_, Some("TOKEN"), _) | (Some(_), ..) => Err(Malformed::Format),
            (None, ..) => Err(Malformed::Unknown),
        }
    }

    /// Every value of every header: of a header that is there twice, `headers` of a REST API has only one.
    fn headers(&self) -> Result<HeaderMap, Malformed> {
        let mut headers = HeaderMap::new();
        let mut add = |name: &str, value: &str| {
            let name: HeaderName = name.parse().map_err(|_| Malformed::Header)?;
            let value = HeaderValue::from_str(value).map_err(|_| Malformed::Header)?;
            headers.append(name, value);
            Ok(())
        };
        // An HTTP API tells the cookies apart from the other headers, and must not be heard twice.
        let is_told_apart = self.cookies.as_ref().is_some_and(|cookies| !cookies.is_empty());
        match (&self.multi_value_headers, &self.headers) {
            (Some(lists), _) => {
                lists
                    .iter()
                    .flat_map(|(name, list)| list.iter().map(move |one| (name, one)))
                    .try_for_each(|(name, value)| add(name, value))?;
            }
            (None, Some(single)) => single
                .iter()
                .filter(|(name, _)| !(is_told_apart && name.eq_ignore_ascii_case("cookie")))
                .try_for_each(|(name, value)| add(name, value))?,
            (None, None) => {}
        }
        self.cookies.iter().flatten().try_for_each(|cookie| add(header::COOKIE.as_str(), cookie))?;
        Ok(headers)
    }
}

/// `…:<api>/<stage>/*` of `…:<api>/<stage>/<method>/<path>`.
fn whole_api(method_arn: &str) -> Option<String> {
    let mut parts = method_arn.splitn(3, '/');
    let (api, stage) = (parts.next()?, parts.next()?);
    (api.starts_with("arn:") && api.contains(":execute-api:") && parts.next().is_some())
        .then(|| format!("{api}/{stage}/*"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "these are tests")]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(event: Value) -> Result<Question, Malformed> {
        Question::read(event, &TrustedProxies::default())
    }

    #[test]
    fn an_http_api_asks_with_cookies_apart_and_a_rest_api_with_every_value_of_a_header() {
        let question = read(json!({
            "version": "2.0", "type": "REQUEST", "routeArn": "arn:aws:execute-api:eu-west-1:1:a/s/GET/x",
            "cookies": ["a=b", "c=d"], "headers": { "authorization": "Bearer x", "cookie": "a=b; c=d" },
            "requestContext": { "http": { "method": "PUT", "sourceIp": "192.0.2.1" } },
        }))
        .unwrap();
        assert_eq!((&question.gateway, question.method.as_str()), (&Gateway::HttpApi, "PUT"));
        assert_eq!(question.headers.get_all("cookie").iter().count(), 2);

        let question = read(json!({
            "type": "REQUEST", "methodArn": "arn:aws:execute-api:eu-west-1:1:a/prod/GET/orders/7",
            "headers": { "Authorization": "second" },
            "multiValueHeaders": { "Authorization": ["first", "second"] },
            "requestContext": { "httpMethod": "GET", "identity": { "sourceIp": "2001:db8::1" } },
        }))
        .unwrap();
        let whole_api = "arn:aws:execute-api:eu-west-1:1:a/prod/*".to_owned();
        assert_eq!((question.gateway, question.method.as_str()), (Gateway::RestApi { whole_api }, "GET"));
        assert_eq!(question.headers.get_all("authorization").iter().count(), 2);
    }

    #[test]
    fn an_event_that_is_none_is_told_apart_from_a_gateway_that_is_set_up_wrongly() {
        let arn = "arn:aws:execute-api:eu-west-1:1:a/prod/GET/orders";
        let context = json!({ "httpMethod": "GET", "identity": { "sourceIp": "192.0.2.1" } });
        for (event, malformed) in [
            (json!(null), Malformed::Unknown),
            (json!([1]), Malformed::Unknown),
            (json!({}), Malformed::Unknown),
            (json!({ "version": "2.0", "type": "REQUEST" }), Malformed::Unknown),
            (json!({ "type": "REQUEST", "methodArn": "orders", "requestContext": context }), Malformed::Unknown),
            (json!({ "type": "TOKEN", "methodArn": arn, "authorizationToken": "Bearer x" }), Malformed::Format),
            (
                json!({ "version": "1.0", "type": "REQUEST", "methodArn": arn, "requestContext": context }),
                Malformed::Format,
            ),
            (
                json!({ "type": "REQUEST", "methodArn": arn, "requestContext": { "httpMethod": "GET" } }),
                Malformed::NoAddress,
            ),
            (
                json!({ "type": "REQUEST", "methodArn": arn, "requestContext": { "httpMethod": "GET", "identity": { "sourceIp": "here" } } }),
                Malformed::NoAddress,
            ),
            (
                json!({ "type": "REQUEST", "methodArn": arn, "requestContext": context, "headers": { "a b": "c" } }),
                Malformed::Header,
            ),
        ] {
            assert_eq!(read(event.clone()).unwrap_err(), malformed, "{event}");
        }
    }
}
