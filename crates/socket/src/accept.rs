//! The accept loop: HTTP/1.1 over TCP with deadlines and bounds on what a stranger may send. `axum::serve` works too;
//! this one gives up a slow or oversized request head and leaves nothing of hyper behind after an upgrade.

use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tower::ServiceExt;

/// Bounds on HTTP requests.
#[derive(Debug, Clone)]
pub struct HttpLimits {
    /// How long a request's head may take (5 s).
    pub header_timeout: Duration,
    /// Bytes of a request's head (16 KiB; hyper's least is 8 KiB).
    pub max_head: usize,
    /// Headers of a request (64).
    pub max_headers: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        HttpLimits {
            header_timeout: Duration::from_secs(5),
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
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    tokio::spawn(connection(http.clone(), stream, peer, router.clone(), stopped.clone()));
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
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
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

async fn connection(
    http: Arc<http1::Builder>,
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    mut stopped: watch::Receiver<()>,
) {
    // Answers are written whole; failure costs nothing but delay.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request)
    });
    let connection = http
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
