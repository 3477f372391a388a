//! The connection to the Redis of one stream, and one attempt to add a batch of records.
//!
//! A connection opens when there is something to add, and closes at the first failure: after a failover the
//! host name may resolve to another server, and a slow connection may still deliver old replies. The
//! library's connection manager would reconnect by itself, but retries must follow the outbox's back-off.

use std::time::Duration;

use redis::{AsyncConnectionConfig, Client, ErrorKind, RedisError, RedisResult, aio::MultiplexedConnection};
use tokio::time::timeout;

use crate::{
    config::Stream,
    outbox::{Cause, Payload, causes, printable},
};

/// A record as an entry of the stream.
#[derive(Debug)]
pub(super) struct Entry {
    /// The record's id, so that consumers can deduplicate.
    pub(super) id: String,
    pub(super) payload: Payload,
}

/// Why a batch failed. Without an answer, Redis may have added it.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) cause: Cause,
    /// One line without the URL.
    pub(super) error: String,
}

/// The connection of one stream. Never logs its URL.
pub(super) struct Connection {
    client: Client,
    key: String,
    max_len: u64,
    timeout: Duration,
    open: Option<MultiplexedConnection>,
}

impl Connection {
    /// A connection that is not open yet; `None` if the URL is invalid. `timeout` applies to connecting,
    /// including authentication, and to each reply.
    pub(super) fn new(stream: &Stream, timeout: Duration) -> Option<Self> {
        Some(Self {
            client: Client::open(stream.server()?).ok()?,
            key: stream.key.clone(),
            max_len: stream.max_len,
            timeout,
            open: None,
        })
    }

    /// Adds all entries in order, or none.
    pub(super) async fn add(&mut self, entries: &[Entry]) -> Result<(), Failure> {
        if let Some(open) = self.open.take() {
            match self.exchange(open, entries).await {
                // Most likely the connection closed while idle: try once more on a new one.
                Err(Failure {
                    cause: Cause::Unreachable,
                    ..
                }) => {}
                outcome => return outcome,
            }
        }
        let open = self.connect().await?;
        self.exchange(open, entries).await
    }

    /// Connects and authenticates.
    pub(super) async fn connect(&self) -> Result<MultiplexedConnection, Failure> {
        // `with_timeout` covers both.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None);
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        self.with_timeout(connecting).await
    }

    async fn exchange(&mut self, mut open: MultiplexedConnection, entries: &[Entry]) -> Result<(), Failure> {
        // One transaction: if Redis rejects an entry, none of the later ones may be added.
        let mut batch = redis::pipe();
        batch.atomic();
        for Entry { id, payload } in entries {
            batch
                .cmd("XADD")
                .arg(&self.key)
                .arg(("MAXLEN", "~", self.max_len))
                .arg("*")
                .arg(("id", id))
                .arg(("type", payload.kind))
                .arg(("timestamp", &payload.timestamp))
                .arg(("payload", &payload.body))
                .ignore();
        }
        self.with_timeout(batch.query_async::<()>(&mut open)).await?;
        self.open = Some(open);
        Ok(())
    }

    /// Waits for a reply within the timeout.
    pub(super) async fn with_timeout<T>(
        &self,
        answer: impl Future<Output = RedisResult<T>>,
    ) -> Result<T, Failure> {
        match timeout(self.timeout, answer).await {
            Ok(answer) => answer.map_err(|error| failure(&error)),
            Err(_) => Err(Failure {
                cause: Cause::Timeout,
                error: format!("no answer within {}", humantime::format_duration(self.timeout)),
            }),
        }
    }
}

fn failure(error: &RedisError) -> Failure {
    let cause = if error.is_timeout() {
        Cause::Timeout
    } else if error.is_io_error() {
        Cause::Unreachable
    } else {
        Cause::Refused
    };
    Failure {
        cause,
        error: reason(error),
    }
}

/// The error as one line, in the words of Redis if it sent an error reply.
fn reason(error: &RedisError) -> String {
    if error.kind() == ErrorKind::AuthenticationFailed {
        return "AUTH failed: wrong user or password in the url".to_owned();
    }
    // A transaction repeats the error for each entry.
    let errors = error.clone().into_server_errors();
    match errors.as_deref().and_then(<[_]>::first) {
        Some((_, error)) => printable(&format!(
            "{} {}",
            error.code(),
            error.details().unwrap_or_default()
        )),
        None => causes(error),
    }
}
