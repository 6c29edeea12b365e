//! What of a body nobody has read: it is taken off the connection, or the connection is closed with the answer.
//!
//! A refusal needs no body: a wrong path, another site's request, a limit. Left where it is, hyper closes the connection
//! without a word, and a client that keeps connections loses its next request (RFC 9112 section 9.6).

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::http::{Request, header};
use hallpass_core::http::body::BODY_MAX_BYTES;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};

/// A body that is on its way is there within a round trip; a client that is slower gets its answer first.
const REST_DEADLINE: Duration = Duration::from_millis(200);

/// A body that comes back if nobody reads it to its end.
struct Lent {
    body: Option<Incoming>,
    owner: Arc<Mutex<Option<Incoming>>>,
}

/// Where an unread body comes back to.
pub(crate) struct Unread {
    returned: Arc<Mutex<Option<Incoming>>>,
    /// The client waits for leave to send the body: nobody gives it, and so nothing is on its way.
    is_held_back: bool,
}

impl Unread {
    /// The request with a body that is watched, unless it has none.
    pub(crate) fn watch(request: Request<Incoming>) -> (Request<axum::body::Body>, Option<Self>) {
        if request.body().is_end_stream() {
            return (request.map(axum::body::Body::new), None);
        }
        let returned = Arc::default();
        let unread =
            Self { returned: Arc::clone(&returned), is_held_back: request.headers().contains_key(header::EXPECT) };
        (request.map(|body| axum::body::Body::new(Lent { body: Some(body), owner: returned })), Some(unread))
    }

    /// Takes the rest off the connection; whether there is none any more, so that another request may follow.
    pub(crate) async fn take_rest(self) -> bool {
        let Some(body) = self.returned.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return true;
        };
        let rest = Limited::new(body, BODY_MAX_BYTES).collect();
        !self.is_held_back && tokio::time::timeout(REST_DEADLINE, rest).await.is_ok_and(|read| read.is_ok())
    }
}

impl Body for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) {
            *self.owner.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
        }
    }
}
