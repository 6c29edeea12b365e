//! What can go wrong, and with what.

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use hallpass_embedded::wire;
use serde_json::Value;

/// What can go wrong with one call to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing arrives, and nobody hears of it.
    LostBefore,
    /// The call takes effect, and nobody hears of it.
    LostAfter,
    /// Refused for its rate; nothing happens.
    Throttled,
    /// A transaction is cancelled for the rate of one of its items; nothing happens.
    ThrottledInside,
    /// Another transaction is at the item; nothing happens.
    Conflict,
    /// The server fails; nothing happens.
    ServerError,
    /// The call takes effect, and the answer is that the server fails.
    ServerErrorAfter,
    /// A right answer, late.
    Slow,
    /// A write that is taken for lost, and takes effect once its second try was answered.
    LateAfterRetry,
    /// Nothing arrives, and nothing ever comes back: only a deadline ends it.
    Hangs,
    /// The call takes effect; the answer is somebody else's page.
    Page,
    /// The call takes effect; the answer ends in the middle.
    Truncated,
    /// The call takes effect; the answer has values of other types than it should.
    OtherTypes,
    /// A read of several items that gives none of them, and says so.
    Unprocessed,
    /// A read of one item that gives nothing though it is there. Not one of [`ALL`](Self::ALL): nobody can tell.
    FindsNothing,
}

impl Fault {
    /// Every kind.
    pub const ALL: [Self; 14] = [
        Self::LostBefore,
        Self::LostAfter,
        Self::Throttled,
        Self::ThrottledInside,
        Self::Conflict,
        Self::ServerError,
        Self::ServerErrorAfter,
        Self::Slow,
        Self::LateAfterRetry,
        Self::Hangs,
        Self::Page,
        Self::Truncated,
        Self::OtherTypes,
        Self::Unprocessed,
    ];

    /// Whether such a call can go wrong in this way.
    #[must_use]
    pub fn is_possible(self, call: &Call) -> bool {
        let operation = call.operation.as_str();
        match self {
            Self::Unprocessed => operation == "BatchGetItem",
            Self::FindsNothing => operation == "GetItem",
            Self::ThrottledInside => operation == TRANSACTION,
            // No transaction is ever at a counter.
            Self::Conflict => call.is_write() && call.table != "counters",
            Self::LateAfterRetry => call.is_write(),
            Self::LostBefore
            | Self::LostAfter
            | Self::Throttled
            | Self::ServerError
            | Self::ServerErrorAfter
            | Self::Slow
            | Self::Hangs
            | Self::Page
            | Self::Truncated
            | Self::OtherTypes => true,
        }
    }

    /// Whether whoever asks gets the right answer all the same: at a second try of the SDK's, or of our own.
    #[must_use]
    pub fn is_overcome(self, lasts: bool, retries: bool) -> bool {
        match self {
            Self::Slow => true,
            Self::LostBefore
            | Self::LostAfter
            | Self::Throttled
            | Self::ServerError
            | Self::ServerErrorAfter
            | Self::LateAfterRetry
            | Self::Hangs => retries && !lasts,
            Self::Conflict | Self::Unprocessed => !lasts,
            // The SDK doesn't try a cancelled transaction again.
            Self::ThrottledInside | Self::Page | Self::Truncated | Self::OtherTypes | Self::FindsNothing => false,
        }
    }
}

/// One call to the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Such as `UpdateItem`.
    pub operation: String,
    /// The first table that it names, without the prefix.
    pub table: String,
}

const TRANSACTION: &str = "TransactWriteItems";

impl Call {
    fn is_write(&self) -> bool {
        [TRANSACTION, "PutItem", "UpdateItem", "DeleteItem"].contains(&&*self.operation)
    }

    /// The call that such a request makes.
    pub(super) fn of(request: &HttpRequest, body: &Value) -> Self {
        let operation = wire::operation(request.headers().get(wire::TARGET)).to_owned();
        let first = |value: &Value| value.as_object().and_then(|tables| tables.keys().next().cloned());
        let item = &body["TransactItems"][0];
        let named = item.as_object().and_then(|item| item.values().next()).unwrap_or(body);
        let table = named["TableName"].as_str().map(str::to_owned).or_else(|| first(&body["RequestItems"]));
        let table = table.unwrap_or_default().rsplit('-').next().unwrap_or_default().to_owned();
        Self { operation, table }
    }
}
