//! The HTTP listeners: the public one for clients, and the optional one for operators.

use std::net::SocketAddr;

use axum::Router;
use roomful_socket::HttpLimits;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use crate::{
    config::{Config, Http},
    open_files,
    start_error::StartError,
};

/// Connections to the listener for operators: a few probes and scrapers.
const OPS_CONNECTIONS: usize = 32;

/// The accept loop and the signal that ends it.
pub(crate) struct HttpListener {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl HttpListener {
    /// Serves `routes` on `socket`.
    pub(crate) fn start(socket: TcpListener, routes: Router, limits: HttpLimits) -> Self {
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let stopped = async {
                // The sender also counts as a stop signal when it is dropped.
                let _ = stopped.await;
            };
            roomful_socket::serve(socket, routes, limits, stopped).await;
        });
        HttpListener { stop, task }
    }

    /// Closes the listener and waits for its running requests, at most for `shutdown.http_timeout`.
    pub(crate) async fn stop(self) {
        // An error means that the accept loop has ended already.
        let _ = self.stop.send(());
        let _ = self.task.await;
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

/// The limits of the listener for operators.
pub(crate) fn ops_limits(config: &Config) -> HttpLimits {
    let mut limits = deadlines(config);
    limits.connections.total = Some(OPS_CONNECTIONS);
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
