//! The error type of the testkit. Each variant has the expected and the actual result.

use std::time::Duration;

/// Why a fixture failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A socket or a file failed.
    #[error("I/O failed while {doing}: {source}")]
    Io {
        /// The operation, as a gerund.
        doing: &'static str,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// An expected event did not come.
    #[error("waited {waited:?} for {what} in vain; received meanwhile: {seen}")]
    TimedOut {
        /// The expected event.
        what: String,
        /// The time limit.
        waited: Duration,
        /// Other events that arrived.
        seen: String,
    },
    /// The answer to the WebSocket upgrade has another status than 101.
    #[error("the WebSocket upgrade was refused with HTTP {status}: {body}")]
    UpgradeRefused {
        /// The HTTP status.
        status: u16,
        /// The start of the body.
        body: String,
    },
    /// The peer broke the protocol.
    #[error("the peer broke the protocol: {0}")]
    Protocol(String),
    /// The connection ended before an expected event.
    #[error("the connection ended ({reason}) while waiting for {what}")]
    Closed {
        /// How it ended.
        reason: String,
        /// The expected event.
        what: String,
    },
    /// The server refused the namespace: a Socket.IO `CONNECT_ERROR`.
    #[error("the namespace was refused: {0}")]
    ConnectRefused(serde_json::Value),
    /// The server process failed to start or to stop.
    #[error("the server process: {0}")]
    Server(String),
    /// Redis failed to start or to stop, or answered with an error.
    #[error("Redis: {0}")]
    Redis(String),
    /// PostgreSQL or one of its programs failed.
    #[error("PostgreSQL: {0}")]
    Postgres(String),
}

impl Error {
    /// Wraps an I/O error with the operation that failed.
    pub fn io(doing: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }
}
