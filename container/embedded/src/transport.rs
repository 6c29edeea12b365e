//! The SDK's HTTP connector that never leaves the process.

use std::{fs::File, sync::Arc};

use aws_smithy_runtime_api::{
    client::{
        http::{HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn},
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
    },
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;
use serde::Deserialize;
use tokio::sync::oneshot;

use crate::{
    engine::{Answer, Origin, Overloaded, Owner, Request},
    wire,
};

/// Sends each request to the thread that owns its table. A cheap clone; the last one closes the databases.
#[derive(Debug, Clone)]
pub(crate) struct InProcess(Arc<Owners>);

/// Dropped from top to bottom: whoever gets the lock next finds both databases closed.
#[derive(Debug)]
struct Owners {
    accounts: Owner,
    counters: Owner,
    _lock: Option<File>,
}

/// The counters table's name ends so, whatever its prefix.
const COUNTERS_SUFFIX: &str = "-counters";

impl InProcess {
    /// Holds the folder's lock, if there is a folder, for as long as the databases are open.
    pub(crate) fn new(accounts: Owner, counters: Owner, lock: Option<File>) -> Self {
        Self(Arc::new(Owners { accounts, counters, _lock: lock }))
    }

    pub(crate) fn into_client(self) -> SharedHttpClient {
        http_client_fn(move |_settings, _components| SharedHttpConnector::new(self.clone()))
    }

    /// Queues a request with the thread that owns its table, and waits for the answer.
    pub(crate) async fn answer(&self, request: Request) -> Result<Answer, Overloaded> {
        self.submit(request)?.await.map_err(|_closed| Overloaded)
    }

    fn submit(&self, request: Request) -> Result<oneshot::Receiver<Answer>, Overloaded> {
        self.owner(&request.body).submit(request)
    }

    /// Only single-item and table operations name one table; the others never touch counters.
    fn owner(&self, body: &[u8]) -> &Owner {
        #[derive(Deserialize)]
        struct Named {
            #[serde(rename = "TableName", default)]
            table: Option<String>,
        }
        let table = serde_json::from_slice::<Named>(body).ok().and_then(|named| named.table);
        match table {
            Some(table) if table.ends_with(COUNTERS_SUFFIX) => &self.0.counters,
            Some(_) | None => &self.0.accounts,
        }
    }
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let operation = wire::operation(request.headers().get(wire::TARGET)).to_owned();
        let body = request.body().bytes().unwrap_or_default().to_vec();
        let submitted = self.submit(Request { operation, body, origin: Origin::ThisProcess });
        HttpConnectorFuture::new(async move {
            let answer = submitted.map_err(refused)?.await.map_err(|_closed| refused(Overloaded))?;
            respond(answer)
        })
    }
}

fn respond(Answer { status, body }: Answer) -> Result<HttpResponse, ConnectorError> {
    let status = StatusCode::try_from(status).map_err(|error| ConnectorError::other(error.into(), None))?;
    let mut response = HttpResponse::new(status, SdkBody::from(body));
    response.headers_mut().insert("content-type", wire::MEDIA_TYPE);
    Ok(response)
}

fn refused(error: Overloaded) -> ConnectorError {
    ConnectorError::io(error.into())
}
