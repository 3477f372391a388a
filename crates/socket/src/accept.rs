//! The accept loop: HTTP/1.1 over TCP with deadlines and bounds on what a stranger may send. `axum::serve` works too;
//! this one gives up a slow or oversized request head and leaves nothing of hyper behind after an upgrade.

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

/// Bounds on HTTP requests.
#[derive(Debug, Clone)]
pub struct HttpLimits {
    /// How long a request's head may take, the first one's from the moment of connecting (5 s).
    pub header_timeout: Duration,
    /// How long a connection may wait for its next request (75 s, longer than load balancers keep theirs: nginx 60 s).
    pub keep_alive: Duration,
    /// TCP connections that speak HTTP, that is all but those that were upgraded; more are hung up on (no bound).
    pub max_connections: Option<usize>,
    /// Bytes of a request's head (16 KiB; hyper's least is 8 KiB).
    pub max_head: usize,
    /// Headers of a request (64).
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

/// Serves `router` on `listener` until `shutdown` is ready: then the listener closes, requests that are under way are
/// answered, and idle keep-alive connections end. Upgraded connections live on, and a parked poll keeps it waiting: end
/// both by [`crate::WebSocketServer::close`], before this is awaited.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: HttpLimits,
    shutdown: impl Future<Output = ()>,
) {
    let (stop, stopped) = watch::channel(());
    let http = Arc::new(builder(&limits));
    let doors = Doors::new(&limits);
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    // Without a place it is dropped, which hangs up.
                    if let Some(place) = doors.enter() {
                        let timer = HeadTimer::new(limits.header_timeout, limits.keep_alive);
                        let arrived = Arrived { stream, peer, place, timer };
                        tokio::spawn(connection(http.clone(), arrived, router.clone(), stopped.clone()));
                    }
                }
                Err(error) => rest_after(&error).await,
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

/// A connection that broke before it was accepted concerns nobody. Anything else is likely a lack of file
/// descriptors; trying again at once would only burn the CPU.
async fn rest_after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    ) {
        tracing::warn!(%error, "can't accept a connection; trying again");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Counts who is in, and lets nobody in beyond the bound.
struct Doors {
    places: Option<Arc<Semaphore>>,
    connections: Gauge,
    refused: Counter,
}

/// One connection that speaks HTTP; given back on drop.
struct Place {
    connections: Gauge,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Doors {
    fn new(limits: &HttpLimits) -> Self {
        let places = |max: usize| Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS)));
        Doors {
            places: limits.max_connections.map(places),
            connections: gauge!("roomful_http_connections"),
            refused: counter!("roomful_http_connections_refused_total"),
        }
    }

    fn enter(&self) -> Option<Place> {
        let permit = match &self.places {
            None => None,
            Some(places) => {
                let Ok(permit) = Arc::clone(places).try_acquire_owned() else {
                    self.refused.increment(1);
                    return None;
                };
                Some(permit)
            }
        };
        self.connections.increment(1);
        Some(Place {
            connections: self.connections.clone(),
            _permit: permit,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.decrement(1);
    }
}

struct Arrived {
    stream: TcpStream,
    peer: SocketAddr,
    place: Place,
    timer: HeadTimer,
}

/// Speaks HTTP until that ends, or the stream is handed over to whoever upgraded it.
async fn connection(
    http: Arc<http1::Builder>,
    arrived: Arrived,
    router: Router,
    mut stopped: watch::Receiver<()>,
) {
    let Arrived {
        stream,
        peer,
        place: _place,
        timer,
    } = arrived;
    // Answers are written whole; failure costs nothing but delay.
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
