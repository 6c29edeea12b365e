//! The HTTP server: slow clients are cut off, and stopping finishes what is under way.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::Router;
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

use crate::commands::CommandError;

/// A client that takes longer to send its headers is cut off (slow-loris).
const HEADERS_DEADLINE: Duration = Duration::from_secs(10);
/// A client that takes longer to read the next part of its answer is cut off.
const WRITE_DEADLINE: Duration = Duration::from_secs(10);
/// More headers than this are an attack; browsers send some twenty.
const HEADERS_MAX: usize = 100;
/// Bytes of headers that are read; the largest sensible request has two tokens of 64 characters.
const HEADER_BYTES_MAX: usize = 32 * 1024;
/// Connections at a time; more wait in the listen queue. About 20 KiB each.
const CONNECTIONS_MAX: usize = 4096;
/// Connections at a time to the port of the metrics.
const WATCHERS_MAX: usize = 16;
/// After the signal readiness says no for this long before connections are refused, so that a balancer notices.
const DRAIN_NOTICE: Duration = Duration::from_millis(500);
/// Requests under way are given this long to finish.
const DRAIN_DEADLINE: Duration = Duration::from_secs(25);
/// When accepting fails, file handles have probably run out; some will be free soon.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The signals that end the process in good order. To be listened for before anybody is told that we serve.
pub(crate) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    pub(crate) fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for one of them, says so, and gives whoever asks a moment to notice.
    async fn stopped(mut self, say_draining: impl FnOnce()) {
        tokio::select! { _ = self.terminate.recv() => {}, _ = self.interrupt.recv() => {} }
        say_draining();
        tracing::info!(event = "server.draining");
        tokio::time::sleep(DRAIN_NOTICE).await;
    }
}

/// Serves `router` until the process is told to stop, and then until what is under way is done.
pub(crate) async fn serve(listener: TcpListener, router: Router, signals: StopSignals, say_draining: impl FnOnce()) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut stop = std::pin::pin!(signals.stopped(say_draining));
    loop {
        tokio::select! {
            (place, accepted) = accept(&listener, &places) => match accepted {
                Ok((stream, peer)) => {
                    let connection = graceful.watch(connection(stream, peer.ip(), router.clone()));
                    tokio::spawn(async move {
                        // A client that hangs up or talks nonsense is its own problem.
                        let _ = connection.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(event = "server.accept_failed", %error);
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            () = &mut stop => break,
        }
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_DEADLINE, graceful.shutdown()).await.is_err() {
        tracing::warn!(event = "server.drain_cut_short");
    }
}

/// Waits for a free place first: whoever has none stays in the listen queue.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (Option<OwnedSemaphorePermit>, std::io::Result<(TcpStream, SocketAddr)>) {
    // The semaphore is never closed, so there always is a permit.
    let place = Arc::clone(places).acquire_owned().await.ok();
    (place, listener.accept().await)
}

/// Listens; `told_by` names the setting or argument that said where.
pub(crate) async fn bind(address: SocketAddr, told_by: &'static str) -> Result<TcpListener, CommandError> {
    TcpListener::bind(address).await.map_err(|source| CommandError::Listen { told_by, address, source })
}

/// Serves `router` to whoever watches the process, for as long as it runs: while it drains, too.
pub(crate) async fn serve_watchers(listener: TcpListener, router: Router) {
    let places = Arc::new(Semaphore::new(WATCHERS_MAX));
    loop {
        let (place, accepted) = accept(&listener, &places).await;
        let Ok((stream, peer)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let connection = connection(stream, peer.ip(), router.clone());
        tokio::spawn(async move {
            let _ = connection.await;
            drop(place);
        });
    }
}

fn connection(
    stream: TcpStream,
    peer: IpAddr,
    router: Router,
) -> impl GracefulConnection<Error = hyper::Error> + Send + 'static {
    // Answers are small and complete; waiting for more to send only delays them.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_DEADLINE));
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(Peer(Some(peer)));
        // A router is always ready.
        router.clone().call(request)
    });
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_DEADLINE)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(Box::pin(stream)), service)
}
