//! The one error type of the testkit. Each variant says what was awaited and what came instead.

use std::time::Duration;

/// Why a fixture could not do what a test asked of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The socket or a file refused.
    #[error("I/O failed while {doing}: {source}")]
    Io {
        /// What was going on, as a gerund.
        doing: &'static str,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The event a test waits for did not come.
    #[error("waited {waited:?} for {what}, which did not come; seen meanwhile: {seen}")]
    TimedOut {
        /// What was awaited.
        what: String,
        /// For how long.
        waited: Duration,
        /// What did arrive, to make the failure readable.
        seen: String,
    },
    /// The HTTP upgrade to WebSocket was answered with something other than 101.
    #[error("the WebSocket upgrade was refused with HTTP {status}: {body}")]
    UpgradeRefused {
        /// The HTTP status.
        status: u16,
        /// The start of the answer's body.
        body: String,
    },
    /// The peer broke the protocol.
    #[error("the peer broke the protocol: {0}")]
    Protocol(String),
    /// The connection ended while something was awaited from it.
    #[error("the connection ended ({reason}) while waiting for {what}")]
    Closed {
        /// How it ended.
        reason: String,
        /// What was awaited.
        what: String,
    },
    /// The server refused the namespace: a Socket.IO `CONNECT_ERROR`.
    #[error("the namespace was refused: {0}")]
    ConnectRefused(serde_json::Value),
    /// The server process could not be started or ended.
    #[error("the server process: {0}")]
    Server(String),
    /// Redis could not be started or ended, or answered with an error.
    #[error("Redis: {0}")]
    Redis(String),
    /// PostgreSQL, or one of its programs, could not be started or ended, or failed.
    #[error("PostgreSQL: {0}")]
    Postgres(String),
}

impl Error {
    /// Wraps an I/O error with what was going on.
    pub(crate) fn io(doing: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }
}
