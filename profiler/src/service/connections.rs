//! Connections: one port for every protocol, with or without TLS.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Extension, Router};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::access::{PeerCertificate, TlsSource};

/// Time for a TLS greeting, and for the head of a request. Guess.
const GREETING_WAIT: Duration = Duration::from_secs(10);

/// How often a silent connection is asked whether it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Time for the requests of a connection to end when the service is being stopped. Longer than what
/// a stream of a daemon takes to settle.
const END_WAIT: Duration = Duration::from_secs(15);

/// Pause after the system had no connection to give, as when it has no file handles left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Bytes that one stream may send before it is read. Together with the bound of connections this
/// bounds what waits in the kernel's and the library's buffers.
const STREAM_WINDOW_BYTES: u32 = 256 << 10;

/// Bytes that one connection may send before it is read.
const CONNECTION_WINDOW_BYTES: u32 = 1 << 20;

/// Most requests at once on one connection.
const STREAMS_MAX: u32 = 100;

/// Largest head of a request.
const HEAD_SIZE_BYTES_MAX: u32 = 32 << 10;

/// Takes connections until it is stopped.
pub(super) struct Connections {
    /// Where they come in.
    pub(super) listener: TcpListener,
    /// Certificates; plain text without.
    pub(super) tls: Option<TlsSource>,
    /// What answers.
    pub(super) router: Router,
    /// Cancelled when the service is being stopped.
    pub(super) stop: CancellationToken,
    /// Most connections at once.
    pub(super) count_max: usize,
}

impl Connections {
    /// Takes connections, then waits until the last one is over.
    pub(super) async fn run(self) {
        let free = Arc::new(Semaphore::new(self.count_max));
        let stop = self.stop.clone();
        tokio::select! {
            () = self.accept_each(&free) => {}
            () = stop.cancelled() => {}
        }
        let all = u32::try_from(self.count_max).unwrap_or(u32::MAX);
        let over = timeout(END_WAIT, free.acquire_many(all)).await;
        if over.is_err() {
            tracing::warn!("connections were cut: they did not end in time");
        }
    }

    /// Takes connections, as many at once as are allowed.
    async fn accept_each(&self, free: &Arc<Semaphore>) {
        loop {
            let Ok(place) = Arc::clone(free).acquire_owned().await else {
                return;
            };
            match self.listener.accept().await {
                Ok((stream, peer)) => self.greet(stream, peer, place),
                Err(error) => {
                    tracing::warn!(%error, "cannot take connections");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Starts a task for a connection.
    fn greet(&self, stream: TcpStream, peer: SocketAddr, place: OwnedSemaphorePermit) {
        let (router, stop) = (self.router.clone(), self.stop.clone());
        let acceptor = self.tls.as_ref().map(TlsSource::acceptor);
        tokio::spawn(async move {
            let _place = place;
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%peer, %error, "cannot switch small packets on");
            }
            let Some(acceptor) = acceptor else {
                return Box::pin(talk(stream, router, &stop, peer)).await;
            };
            match timeout(GREETING_WAIT, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => {
                    let certificates = stream.get_ref().1.peer_certificates();
                    let certificate = certificates.and_then(|chain| chain.first());
                    let router = match certificate.map(|certificate| certificate.as_ref().into()) {
                        Some(bytes) => router.layer(Extension(PeerCertificate(bytes))),
                        None => router,
                    };
                    Box::pin(talk(stream, router, &stop, peer)).await;
                }
                Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS"),
                Err(_elapsed) => tracing::debug!(%peer, "no TLS in time"),
            }
        });
    }
}

/// Answers the requests of a connection until it ends.
async fn talk<S>(stream: S, router: Router, stop: &CancellationToken, peer: SocketAddr)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let builder = builder();
    let service = TowerToHyperService::new(router);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            within(END_WAIT, connection).await
        }
    };
    if let Some(Err(error)) = ended {
        tracing::debug!(%peer, error, "connection ended");
    }
}

/// The outcome of something, if it comes in time.
async fn within<T>(wait: Duration, future: impl Future<Output = T>) -> Option<T> {
    timeout(wait, future).await.ok()
}

/// How connections are spoken on.
fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(GREETING_WAIT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEAD_SIZE_BYTES_MAX);
    builder
}
