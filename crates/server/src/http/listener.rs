//! The HTTP listeners: the public one for clients, and the optional one for operators.

use std::{net::SocketAddr, pin::Pin, sync::Arc};

use axum::Router;
use roomful_socket::HttpLimits;
use roomful_supervisor::{Supervised, supervise};
use tokio::{net::TcpListener, sync::watch};

use crate::{
    config::{Config, Http},
    open_files,
    start_error::StartError,
};

/// Connections to the listener for operators: a few probes and scrapers.
const OPS_CONNECTIONS: usize = 32;

/// Connections beyond [`OPS_CONNECTIONS`]. Each serves one request. One that has not sent it yet is
/// closed for a newer connection.
const OPS_RESERVE: usize = 16;

/// The listening socket of an accept loop. `None` ends the loop.
type Socket = Option<Arc<TcpListener>>;

/// Completes when the accept loop is to end.
type Stopped = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A listening socket with its supervised accept loop. Clients that connect between a panic of the loop and
/// its restart wait in the socket's backlog. A node whose loop keeps panicking is not ready.
pub(crate) struct HttpListener {
    socket: watch::Sender<Socket>,
    accept_loop: Supervised,
}

impl HttpListener {
    /// Serves `routes` on `socket`.
    pub(crate) fn start(socket: TcpListener, routes: Router, limits: HttpLimits) -> Self {
        Self::supervised(socket, move |socket, stopped| {
            roomful_socket::serve(socket, routes.clone(), limits.clone(), stopped)
        })
    }

    /// Runs the accept loop that `serve` makes of the socket and the future that stops it.
    fn supervised<F>(
        socket: TcpListener,
        serve: impl Fn(Arc<TcpListener>, Stopped) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (socket, sockets) = watch::channel(Some(Arc::new(socket)));
        let accept_loop = supervise("accept loop", move || {
            let mut sockets = sockets.clone();
            let socket = sockets.borrow().clone();
            let stopped = async move {
                // An error means that the listener was dropped, which stops the loop, too.
                let _ = sockets.wait_for(Option::is_none).await;
            };
            let serving = socket.map(|socket| serve(socket, Box::pin(stopped)));
            async move {
                if let Some(serving) = serving {
                    serving.await;
                }
            }
        });
        HttpListener { socket, accept_loop }
    }

    /// Closes the listener and waits for its running requests, at most for `shutdown.http_timeout`.
    pub(crate) async fn stop(self) {
        self.socket.send_replace(None);
        self.accept_loop.ended().await;
    }
}

/// Binds `listen`, which is `host:port`.
pub(crate) async fn bind(listen: &str) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |error| StartError::Listen {
        listen: listen.to_owned(),
        error,
    };
    let socket = TcpListener::bind(listen).await.map_err(failed)?;
    let address = socket.local_addr().map_err(failed)?;
    Ok((socket, address))
}

/// The limits of the public listener. `reserve` has the routes for connections beyond the total.
pub(crate) fn public_limits(config: &Config, file_limit: Option<u64>, reserve: Router) -> HttpLimits {
    let http = &config.http;
    let total = open_files::connections(http.connections, file_limit);
    let lifted = !config.limits.rates;
    // One address must not be able to use up the total.
    let share = |max: usize, numerator: usize, denominator: usize| {
        let part = total.map_or(usize::MAX, |total| (total / denominator * numerator).max(1));
        (!lifted).then_some(max.min(part))
    };
    let mut limits = deadlines(config);
    limits.connections.total = total;
    limits.connections.per_address = share(http.connections_per_ip, 1, 2);
    limits.connections.per_site = share(http.connections_per_site, 3, 4);
    limits.connections.reserve = http.reserved_connections;
    limits.connections.exempt.clone_from(&http.trusted_proxies);
    limits.reserve_router = reserve;
    limits
}

/// The limits of the listener for operators, which serves `routes`.
pub(crate) fn ops_limits(config: &Config, routes: Router) -> HttpLimits {
    let mut limits = deadlines(config);
    limits.connections.total = Some(OPS_CONNECTIONS);
    limits.connections.reserve = OPS_RESERVE;
    limits.reserve_router = routes;
    limits
}

fn deadlines(config: &Config) -> HttpLimits {
    let Http {
        header_timeout,
        keep_alive,
        transfer_timeout,
        min_rate,
        ..
    } = &config.http;
    let mut limits = HttpLimits::default();
    limits.header_timeout = header_timeout.0;
    limits.keep_alive = keep_alive.0;
    limits.transfer_timeout = transfer_timeout.0;
    limits.min_rate = u64::try_from(min_rate.0).unwrap_or(u64::MAX);
    limits.shutdown_timeout = config.shutdown.http_timeout.0;
    limits
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpStream,
    };

    use super::*;

    async fn status(address: SocketAddr) -> String {
        let mut client = TcpStream::connect(address).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        client.write_all(request).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        answer.lines().next().unwrap_or_default().to_owned()
    }

    #[tokio::test]
    async fn an_accept_loop_that_panics_restarts_on_the_same_socket() {
        let (socket, address) = bind("127.0.0.1:0").await.unwrap();
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&runs);
        let listener = HttpListener::supervised(socket, move |socket, stopped| {
            let run = counted.fetch_add(1, Ordering::SeqCst);
            async move {
                assert_ne!(run, 0, "the first run fails");
                roomful_socket::serve(socket, Router::new(), HttpLimits::default(), stopped).await;
            }
        });
        assert_eq!(status(address).await, "HTTP/1.1 404 Not Found");
        assert_eq!(runs.load(Ordering::SeqCst), 2);
        listener.stop().await;
        assert!(TcpStream::connect(address).await.is_err(), "the socket is closed");
    }
}
