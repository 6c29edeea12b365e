//! The HTTP server: slow clients are cut off, and stopping finishes what is under way.

use std::{
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    http::{HeaderValue, header},
};
use hallpass_core::http::client::Peer;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulConnection, GracefulShutdown},
};
use tokio::{
    net::{TcpListener, TcpStream},
    signal::unix::{Signal, SignalKind, signal},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_io_timeout::TimeoutStream;
use tower::Service;

use crate::{commands::CommandError, unread::Unread};

/// A client that takes longer to send its headers is cut off (slow-loris).
const HEADERS_DEADLINE: Duration = Duration::from_secs(10);
/// A client that takes longer to read the next part of its answer is cut off.
const WRITE_DEADLINE: Duration = Duration::from_secs(10);
/// More headers than this are an attack; browsers send some twenty.
const HEADERS_MAX: usize = 100;
/// Bytes of headers that are read; the largest sensible request has two tokens of 64 characters.
const HEADER_BYTES_MAX: usize = 32 * 1024;
/// Connections at a time to the port of the metrics.
const WATCHERS_MAX: usize = 16;
/// After the signal readiness says no for this long before connections are refused, so that a balancer notices.
const DRAIN_NOTICE: Duration = Duration::from_millis(500);
/// After the port is closed, connections that are open are given this long to bring their request.
const DRAIN_LAST_REQUESTS: Duration = Duration::from_millis(500);
/// Requests under way are given this long to finish.
const DRAIN_DEADLINE: Duration = Duration::from_secs(25);
/// When accepting fails, it is tried again after this long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// At the end those who wait are given up after so many failures.
const LAST_ACCEPT_FAILURES_MAX: u32 = 10;

/// Whether the process has been told to stop.
#[derive(Debug, Clone, Default)]
pub(crate) struct Draining(Arc<AtomicBool>);

impl Draining {
    pub(crate) fn has_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
        tracing::info!(event = "server.draining");
    }
}

/// The signals that end the process in good order. To be listened for before anybody is told that we serve.
pub(crate) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for one of them, says so, and gives whoever asks a moment to notice.
    async fn stopped(mut self, draining: Draining) {
        tokio::select! { _ = self.terminate.recv() => {}, _ = self.interrupt.recv() => {} }
        draining.begin();
        tokio::time::sleep(DRAIN_NOTICE).await;
    }
}

/// Serves `router`, to as many connections at a time as there are `places`, until the process is told to stop, and then
/// until what is under way is done.
///
/// Whoever has connected for a request is answered: a proxy must not send a POST again that may have arrived. A connection
/// that is kept for later ones is closed with its next answer, or at the end if there is none.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    places: usize,
    signals: StopSignals,
    draining: Draining,
) {
    let connections = Connections::new(router, places, draining.clone());
    let mut stop = std::pin::pin!(signals.stopped(draining));
    loop {
        tokio::select! { () = connections.open_next(&listener) => {}, () = &mut stop => break }
    }
    connections.open_last(listener).await;
    connections.finish().await;
}

/// Serves `router` to whoever watches the process, for as long as it runs: while it drains, too.
pub(crate) async fn serve_watchers(listener: TcpListener, router: Router) {
    let connections = Connections::new(router, WATCHERS_MAX, Draining::default());
    loop {
        connections.open_next(&listener).await;
    }
}

/// The connections of a listener, each with one of the places.
struct Connections {
    router: Router,
    draining: Draining,
    graceful: GracefulShutdown,
    places: Arc<Semaphore>,
}

impl Connections {
    fn new(router: Router, max: usize, draining: Draining) -> Self {
        Self { router, draining, graceful: GracefulShutdown::new(), places: Arc::new(Semaphore::new(max)) }
    }

    /// Waits for a free place first: whoever has none stays in the listen queue.
    async fn open_next(&self, listener: &TcpListener) {
        // The semaphore is never closed, so there always is a permit.
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        match listener.accept().await {
            Ok((stream, peer)) => self.open(place, stream, peer.ip()),
            Err(error) => accept_failed(&error).await,
        }
    }

    /// Opens those that wait in the listen queue, since the kernel has told them that they are connected, and closes the
    /// port. Asks the kernel itself: the runtime may not have heard of them yet.
    ///
    /// Reset are those for whom no place is free, and who comes in the microseconds between the last look and the end of
    /// the port; the kernel knows no way to refuse some and keep others.
    async fn open_last(&self, listener: TcpListener) {
        let listener = match listener.into_std() {
            Ok(listener) => listener,
            Err(error) => return accept_failed(&error).await,
        };
        let mut failures = 0;
        while failures < LAST_ACCEPT_FAILURES_MAX
            && let Ok(place) = Arc::clone(&self.places).try_acquire_owned()
        {
            match accept_waiting(&listener) {
                Ok((stream, peer)) => self.open(Some(place), stream, peer.ip()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    failures += 1;
                    accept_failed(&error).await;
                }
            }
        }
    }

    fn open(&self, place: Option<OwnedSemaphorePermit>, stream: TcpStream, peer: IpAddr) {
        let connection = connection(stream, peer, self.router.clone(), self.draining.clone());
        let connection = self.graceful.watch(connection);
        tokio::spawn(async move {
            // A client that hangs up or talks nonsense is its own problem.
            let _ = connection.await;
            drop(place);
        });
    }

    /// Waits until all are closed: those without a request at once, after a moment for requests that are on their way.
    async fn finish(self) {
        tokio::time::sleep(DRAIN_LAST_REQUESTS).await;
        if tokio::time::timeout(DRAIN_DEADLINE, self.graceful.shutdown()).await.is_err() {
            tracing::warn!(event = "server.drain_cut_short");
        }
    }
}

/// Somebody who waits in the listen queue; `WouldBlock` if nobody does.
fn accept_waiting(listener: &std::net::TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let (stream, peer) = listener.accept()?;
    stream.set_nonblocking(true)?;
    Ok((TcpStream::from_std(stream)?, peer))
}

/// One has hung up, or file handles have run out: some will be free soon.
async fn accept_failed(error: &io::Error) {
    tracing::warn!(event = "server.accept_failed", %error);
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

/// Listens; `told_by` names the setting or argument that said where.
pub(crate) async fn bind(address: SocketAddr, told_by: &'static str) -> Result<TcpListener, CommandError> {
    TcpListener::bind(address).await.map_err(|source| CommandError::Listen { told_by, address, source })
}

fn connection(
    stream: TcpStream,
    peer: IpAddr,
    router: Router,
    draining: Draining,
) -> impl GracefulConnection<Error = hyper::Error> + Send + 'static {
    // Answers are small and complete; waiting for more to send only delays them.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_DEADLINE));
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (mut request, unread) = Unread::watch(request);
        request.extensions_mut().insert(Peer(Some(peer)));
        // A router is always ready.
        let answer = router.clone().call(request);
        let draining = draining.clone();
        async move {
            let mut answer = answer.await?;
            let is_body_taken = match unread {
                Some(unread) => unread.take_rest().await,
                None => true,
            };
            if draining.has_begun() || !is_body_taken {
                // Or the client could send its next request just when the connection is closed.
                answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(answer)
        }
    });
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_DEADLINE)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(Box::pin(stream)), service)
}
