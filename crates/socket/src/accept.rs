//! The accept loop: HTTP/1.1 over TCP or TLS with deadlines and limits. `axum::serve` works too, but this
//! loop also closes slow clients and oversized request heads, limits connections, and frees hyper's memory
//! after an upgrade.

use std::{
    borrow::Borrow,
    future::Future,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, extract::ConnectInfo};
use http::{Response, StatusCode, Version, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use metrics::{Gauge, gauge};
use roomful_supervisor::catch_sync;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::yield_now,
    time::timeout,
};
use tower::ServiceExt;

use crate::{
    connection_limit::{Admission, ConnectionLimits, ConnectionPermit, ConnectionTable},
    cors::ForwardedHost,
    head_timer::HeadTimer,
    http_stream::HttpStream,
    reserve::ReservedConnection,
    transfer_deadline::{Pace, TimedBody},
};

/// After this many connections in a row, the accept loop lets other tasks run. A crowd of new connections
/// would delay those that are there.
const ACCEPTED_IN_A_ROW: u32 = 16;

/// Limits of HTTP connections and requests.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HttpLimits {
    /// The deadline for a request's head (5 s). For the first request it starts with the connection.
    pub header_timeout: Duration,
    /// How long an idle connection is kept for its next request (75 s; longer than load balancers do, such as
    /// nginx's 60 s).
    pub keep_alive: Duration,
    /// The time that a request body may take to arrive, and a response to be read, in addition to
    /// `min_rate` (20 s).
    pub transfer_timeout: Duration,
    /// The bytes per second beyond `transfer_timeout` (1 KiB).
    pub min_rate: u64,
    /// The time that running requests may take after the shutdown started (2 s). Their connections are
    /// closed then.
    pub shutdown_timeout: Duration,
    /// The largest request head in bytes (16 KiB; values below hyper's minimum of 8 KiB count as 8 KiB).
    pub max_head: usize,
    /// The number of headers in a request (64).
    pub max_headers: usize,
    /// Limits on open connections (none).
    pub connections: ConnectionLimits,
    /// The routes for connections from the reserve of `connections`, such as health checks (none).
    pub reserve_router: Router,
    /// TLS of the listener (none).
    #[cfg(feature = "tls")]
    pub tls: Option<crate::Tls>,
    /// What the names of the metrics start with (`roomful`).
    pub metric_prefix: &'static str,
}

impl Default for HttpLimits {
    fn default() -> Self {
        HttpLimits {
            header_timeout: Duration::from_secs(5),
            keep_alive: Duration::from_secs(75),
            transfer_timeout: Duration::from_secs(20),
            min_rate: 1024,
            shutdown_timeout: Duration::from_secs(2),
            max_head: 16 * 1024,
            max_headers: 64,
            connections: ConnectionLimits::default(),
            reserve_router: Router::new(),
            #[cfg(feature = "tls")]
            tls: None,
            metric_prefix: "roomful",
        }
    }
}

/// What all connections of a listener share.
struct Acceptor {
    http: http1::Builder,
    limits: HttpLimits,
    router: Router,
    connections: Arc<ConnectionTable>,
    speaking_http: Gauge,
    #[cfg(feature = "tls")]
    handshakes: crate::tls::HandshakeCounters,
}

/// An accepted connection.
struct Accepted {
    peer: SocketAddr,
    permit: ConnectionPermit,
    /// Set if it may only send health checks.
    reserve: Option<Arc<ReservedConnection>>,
    stopped: watch::Receiver<()>,
}

/// Serves `router` on `listener` until `shutdown` completes. It then closes the listener and idle
/// connections, and returns when all running requests are answered, at the latest after
/// [`HttpLimits::shutdown_timeout`]. Upgraded connections stay open: end them with
/// [`crate::WebSocketServer::close`].
///
/// A shared listener, such as an `Arc`, stays open until its last owner drops it.
///
/// Requests without exactly one `Host` header get 400 (RFC 9112, section 3.2).
pub async fn serve(
    listener: impl Borrow<TcpListener>,
    router: Router,
    limits: HttpLimits,
    shutdown: impl Future<Output = ()>,
) {
    let (stop, stopped) = watch::channel(());
    let acceptor = Arc::new(Acceptor::new(router, limits));
    tokio::pin!(shutdown);
    let socket: &TcpListener = listener.borrow();
    let mut accepts: u32 = 0;
    loop {
        accepts = accepts.wrapping_add(1);
        if accepts.is_multiple_of(ACCEPTED_IN_A_ROW) {
            yield_now().await;
        }
        tokio::select! {
            () = &mut shutdown => break,
            accepted = socket.accept() => match accepted {
                Ok((stream, peer)) => {
                    // A panic costs this connection only.
                    let _ = catch_sync("accept loop", || acceptor.accept(stream, peer, &stopped));
                }
                Err(error) => pause_after(&error).await,
            }
        }
    }
    drop(listener);
    drop(stopped);
    let _ = stop.send(());
    stop.closed().await;
}

/// Waits after a failed accept. A connection that broke before it was accepted needs no pause. Any other
/// error is probably a lack of file descriptors, and an immediate retry would only burn CPU.
async fn pause_after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    ) {
        tracing::warn!(%error, "failed to accept a connection, retrying");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

impl Acceptor {
    fn new(router: Router, limits: HttpLimits) -> Self {
        let mut http = http1::Builder::new();
        http.header_read_timeout(limits.header_timeout)
            .max_headers(limits.max_headers)
            .max_buf_size(limits.max_head.max(8192));
        let speaking_http = gauge!(format!("{}_http_connections", limits.metric_prefix));
        Acceptor {
            http,
            router,
            connections: ConnectionTable::new(limits.connections.clone(), limits.metric_prefix),
            #[cfg(feature = "tls")]
            handshakes: crate::tls::HandshakeCounters::new(limits.metric_prefix),
            limits,
            speaking_http,
        }
    }

    /// Serves the stream in a task of its own, or closes it if a limit is reached.
    fn accept(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr, stopped: &watch::Receiver<()>) {
        let Ok(admission) = self.connections.admit(peer.ip()) else {
            return;
        };
        // Responses are written in one piece, so Nagle's algorithm only delays them. A failure is harmless.
        let _ = stream.set_nodelay(true);
        let (permit, reserve) = match admission {
            Admission::Full(permit) => (permit, None),
            Admission::Reserve(permit, connection) => (permit, Some(connection)),
        };
        let acceptor = Arc::clone(self);
        let accepted = Accepted {
            peer,
            permit,
            reserve,
            stopped: stopped.clone(),
        };
        tokio::spawn(async move { acceptor.serve(stream, accepted).await });
    }

    /// Serves one connection until it ends or is upgraded.
    async fn serve(self: Arc<Self>, stream: TcpStream, accepted: Accepted) {
        let _counted = Counted::new(self.speaking_http.clone());
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.limits.tls {
            // Boxed: the tasks of listeners without TLS stay small.
            return Box::pin(self.serve_tls(tls, stream, accepted)).await;
        }
        self.serve_http(stream, accepted, None).await;
    }

    #[cfg(feature = "tls")]
    async fn serve_tls(&self, tls: &crate::Tls, stream: TcpStream, mut accepted: Accepted) {
        let outcome = tokio::select! {
            outcome = tls.accept(stream) => outcome,
            _ = accepted.stopped.changed() => return,
            () = evicted(accepted.reserve.as_deref()) => return,
        };
        self.handshakes.count(&outcome);
        match outcome {
            Ok(stream) => self.serve_http(stream, accepted, Some("https")).await,
            Err(error) => tracing::debug!(peer = %accepted.peer, %error, "TLS handshake failed"),
        }
    }

    /// Serves HTTP on a stream. `scheme` is that of the listener, if it is not the default.
    async fn serve_http<S>(&self, stream: S, accepted: Accepted, scheme: Option<&'static str>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Accepted {
            peer,
            permit,
            reserve,
            mut stopped,
        } = accepted;
        let limits = &self.limits;
        let pace = Pace {
            grace: limits.transfer_timeout,
            min_rate: limits.min_rate,
            metric_prefix: limits.metric_prefix,
        };
        let router = match &reserve {
            Some(_) => limits.reserve_router.clone(),
            None => self.router.clone(),
        };
        let asking = reserve.clone();
        let asked = AtomicBool::new(false);
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let router = router.clone();
            if let Some(connection) = &asking {
                connection.asked();
            }
            let is_first = !asked.swap(true, Ordering::Relaxed);
            async move {
                // A client may write many requests at once, of which hyper handles 16 in a row. Other
                // connections take turns with each of them.
                if !is_first {
                    yield_now().await;
                }
                if !has_one_host(&request) {
                    return Ok(bad_host());
                }
                let mut request = request.map(|body| Body::new(TimedBody::new(body, pace)));
                request.extensions_mut().insert(ConnectInfo(peer));
                if let Some(scheme) = scheme {
                    let (host, scheme) = (None, Some(scheme.into()));
                    request.extensions_mut().insert(ForwardedHost { host, scheme });
                }
                router.oneshot(request).await
            }
        });
        let received: Arc<AtomicU64> = Arc::default();
        let idle = match &reserve {
            Some(_) => Duration::ZERO,
            None => limits.keep_alive,
        };
        let timer = HeadTimer::new(Arc::clone(&received), limits.header_timeout, idle);
        let stream = HttpStream::new(stream, permit, received, pace);
        let connection = http1::Builder::clone(&self.http)
            .keep_alive(reserve.is_none())
            .timer(timer)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        tokio::pin!(connection);
        let outcome = tokio::select! {
            outcome = connection.as_mut() => Some(outcome),
            _ = stopped.changed() => {
                connection.as_mut().graceful_shutdown();
                timeout(limits.shutdown_timeout, connection).await.ok()
            }
            () = evicted(reserve.as_deref()) => return,
        };
        match outcome {
            Some(Ok(())) => {}
            Some(Err(error)) => tracing::debug!(%error, "HTTP connection ended"),
            None => tracing::debug!(%peer, "closed a slow HTTP connection at shutdown"),
        }
    }
}

/// Completes when a newer connection has taken this one's place in the reserve. Connections that count in the
/// total never lose their place.
async fn evicted(connection: Option<&ReservedConnection>) {
    match connection {
        Some(connection) => connection.evicted().await,
        None => std::future::pending().await,
    }
}

/// Counts a connection while it speaks HTTP.
struct Counted(Gauge);

impl Counted {
    fn new(gauge: Gauge) -> Self {
        gauge.increment(1);
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

/// Proxies and servers disagree about requests with several hosts or none, and attackers make use of that.
/// HTTP/1.0 does not have the header, and health checks of old proxies use that version.
fn has_one_host(request: &hyper::Request<Incoming>) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(_), None) => true,
        (None, _) => request.version() < Version::HTTP_11,
        (Some(_), Some(_)) => false,
    }
}

fn bad_host() -> Response<Body> {
    let mut response = Response::new(Body::from("Send exactly one Host header.\n"));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        header::HeaderValue::from_static("nosniff"),
    );
    response
}
