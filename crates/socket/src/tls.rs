//! TLS for the accept loop: the certificate, which can change while the listener serves, and the handshake.

use std::{io, sync::Arc, time::Duration};

use metrics::{Counter, counter};
use parking_lot::RwLock;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig, server::TlsStream};

/// The only protocol that the accept loop speaks, as clients negotiate it (RFC 7301).
const ALPN: &[u8] = b"http/1.1";

/// TLS of a listener. Clones share one certificate.
#[derive(Debug, Clone)]
pub struct Tls {
    config: Arc<RwLock<Arc<ServerConfig>>>,
    handshake_timeout: Duration,
}

impl Tls {
    /// TLS with this configuration; its protocols for ALPN are replaced. `handshake_timeout` is the time from
    /// the accepted connection to the end of the handshake.
    pub fn new(config: ServerConfig, handshake_timeout: Duration) -> Self {
        Self {
            config: Arc::new(RwLock::new(http1(config))),
            handshake_timeout,
        }
    }

    /// Uses another configuration for new connections, in this value and all its clones. Open connections
    /// keep theirs.
    pub fn replace(&self, config: ServerConfig) {
        *self.config.write() = http1(config);
    }

    /// Makes the handshake with a client.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] after the deadline; any other error is the client's.
    pub(crate) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
    ) -> io::Result<TlsStream<S>> {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.config.read()));
        timeout(self.handshake_timeout, acceptor.accept(stream))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }
}

fn http1(mut config: ServerConfig) -> Arc<ServerConfig> {
    config.alpn_protocols = vec![ALPN.to_vec()];
    Arc::new(config)
}

/// Counts handshakes by their outcome.
pub(crate) struct HandshakeCounters {
    completed: Counter,
    failed: Counter,
    timed_out: Counter,
}

impl HandshakeCounters {
    pub(crate) fn new(metric_prefix: &str) -> Self {
        let name = format!("{metric_prefix}_tls_handshakes_total");
        let outcome = |outcome: &'static str| counter!(name.clone(), "outcome" => outcome);
        Self {
            completed: outcome("completed"),
            failed: outcome("failed"),
            timed_out: outcome("timed_out"),
        }
    }

    pub(crate) fn count<T>(&self, outcome: &io::Result<T>) {
        match outcome {
            Ok(_) => &self.completed,
            Err(error) if error.kind() == io::ErrorKind::TimedOut => &self.timed_out,
            Err(_) => &self.failed,
        }
        .increment(1);
    }
}
