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
use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};

/// A small body that is on its way is there within a round trip or two; a client that is slower gets its answer first.
const REST_DEADLINE: Duration = Duration::from_millis(200);

/// A body that comes back if nobody reads it to its end.
struct Lent {
    body: Option<Incoming>,
    was_asked_for: bool,
    is_broken: bool,
    owner: Arc<Mutex<Option<Returned>>>,
}

struct Returned {
    body: Incoming,
    was_asked_for: bool,
    /// What follows it is no request.
    is_broken: bool,
}

/// Where an unread body comes back to.
pub(crate) struct Unread {
    returned: Arc<Mutex<Option<Returned>>>,
    /// The client waits until it is asked for the body.
    waits_to_be_asked: bool,
}

impl Unread {
    /// The request with a body that is watched, unless it has none.
    pub(crate) fn watch(request: Request<Incoming>) -> (Request<axum::body::Body>, Option<Self>) {
        if request.body().is_end_stream() {
            return (request.map(axum::body::Body::new), None);
        }
        let returned = Arc::default();
        let waits_to_be_asked = request.headers().contains_key(header::EXPECT);
        let unread = Self { returned: Arc::clone(&returned), waits_to_be_asked };
        let lent = |body| Lent { body: Some(body), was_asked_for: false, is_broken: false, owner: returned };
        (request.map(|body| axum::body::Body::new(lent(body))), Some(unread))
    }

    /// Takes the rest off the connection; whether there is none any more, so that another request may follow.
    pub(crate) async fn take_rest(self) -> bool {
        let Some(Returned { body, was_asked_for, is_broken }) =
            self.returned.lock().unwrap_or_else(PoisonError::into_inner).take()
        else {
            return true;
        };
        let is_on_its_way = was_asked_for || !self.waits_to_be_asked;
        // Of a long one as much as a body may have: behind bytes that nobody has taken the answer itself may get lost.
        is_on_its_way && !is_broken && tokio::time::timeout(REST_DEADLINE, read_and_dropped(body)).await == Ok(true)
    }
}

/// Whether it has ended within the longest that a body may be. Part by part, for what is kept of a part keeps the buffer
/// that it came in.
async fn read_and_dropped(mut body: Incoming) -> bool {
    let mut bytes_left = BODY_MAX_BYTES;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return false };
        match bytes_left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
            Some(left) => bytes_left = left,
            None => return false,
        }
    }
    true
}

impl Body for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.was_asked_for = true;
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let frame = Pin::new(body).poll_frame(context);
        match frame {
            Poll::Ready(None) => self.body = None,
            Poll::Ready(Some(Err(_))) => self.is_broken = true,
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
        }
        frame
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
            let returned = Returned { body, was_asked_for: self.was_asked_for, is_broken: self.is_broken };
            *self.owner.lock().unwrap_or_else(PoisonError::into_inner) = Some(returned);
        }
    }
}
