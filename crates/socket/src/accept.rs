//! The accept loop: HTTP/1.1 over TCP with deadlines and size limits. `axum::serve` works too, but this loop
//! also closes connections with slow or oversized request heads, and frees all memory of hyper after an
//! upgrade.

use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use metrics::{Counter, Gauge, counter, gauge};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};
use tower::ServiceExt;

use crate::head_timer::HeadTimer;

/// Limits of HTTP connections and requests.
#[derive(Debug, Clone)]
pub struct HttpLimits {
    /// The deadline for a request's head (5 s). For the first request it starts with the connection.
    pub header_timeout: Duration,
    /// How long an idle connection is kept for its next request (75 s; longer than load balancers do, such as
    /// nginx's 60 s).
    pub keep_alive: Duration,
    /// The number of connections that speak HTTP, so upgraded ones do not count. Further ones are closed (no
    /// limit).
    pub max_connections: Option<usize>,
    /// The largest request head in bytes (16 KiB; values below hyper's minimum of 8 KiB count as 8 KiB).
    pub max_head: usize,
    /// The number of headers in a request (64).
    pub max_headers: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        HttpLimits {
            header_timeout: Duration::from_secs(5),
            keep_alive: Duration::from_secs(75),
            max_connections: None,
            max_head: 16 * 1024,
            max_headers: 64,
        }
    }
}

/// Serves `router` on `listener` until `shutdown` completes. It then closes the listener and idle
/// connections, and returns when all running requests are answered. Upgraded connections stay open, and a
/// parked poll is a running request: end both with [`crate::WebSocketServer::close`] before you await this.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: HttpLimits,
    shutdown: impl Future<Output = ()>,
) {
    let (stop, stopped) = watch::channel(());
    let http = Arc::new(builder(&limits));
    let connections = ConnectionLimit::new(&limits);
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    // Over the limit, dropping the stream closes it.
                    if let Some(permit) = connections.admit() {
                        let timer = HeadTimer::new(limits.header_timeout, limits.keep_alive);
                        let accepted = Accepted { stream, peer, permit, timer };
                        tokio::spawn(connection(http.clone(), accepted, router.clone(), stopped.clone()));
                    }
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

fn builder(limits: &HttpLimits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.header_read_timeout(limits.header_timeout)
        .max_headers(limits.max_headers)
        .max_buf_size(limits.max_head.max(8192));
    http
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

/// Counts the connections and enforces their limit.
struct ConnectionLimit {
    permits: Option<Arc<Semaphore>>,
    connections: Gauge,
    refused: Counter,
}

/// The permit of one connection that speaks HTTP. Dropping it makes room for another.
struct ConnectionPermit {
    connections: Gauge,
    _permit: Option<OwnedSemaphorePermit>,
}

impl ConnectionLimit {
    fn new(limits: &HttpLimits) -> Self {
        let semaphore = |max: usize| Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS)));
        ConnectionLimit {
            permits: limits.max_connections.map(semaphore),
            connections: gauge!("roomful_http_connections"),
            refused: counter!("roomful_http_connections_refused_total"),
        }
    }

    fn admit(&self) -> Option<ConnectionPermit> {
        let permit = match &self.permits {
            None => None,
            Some(permits) => {
                let Ok(permit) = Arc::clone(permits).try_acquire_owned() else {
                    self.refused.increment(1);
                    return None;
                };
                Some(permit)
            }
        };
        self.connections.increment(1);
        Some(ConnectionPermit {
            connections: self.connections.clone(),
            _permit: permit,
        })
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.connections.decrement(1);
    }
}

struct Accepted {
    stream: TcpStream,
    peer: SocketAddr,
    permit: ConnectionPermit,
    timer: HeadTimer,
}

/// Serves one connection until it ends or is upgraded.
async fn connection(
    http: Arc<http1::Builder>,
    accepted: Accepted,
    router: Router,
    mut stopped: watch::Receiver<()>,
) {
    let Accepted {
        stream,
        peer,
        permit: _permit,
        timer,
    } = accepted;
    // Responses are written in one piece, so Nagle's algorithm only delays them. A failure is harmless.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request)
    });
    let stream = timer.watch(stream);
    let connection = http1::Builder::clone(&http)
        .timer(timer)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "HTTP connection ended");
    }
}
