//! The connection to the Redis of one stream, and one attempt to add a batch of records.
//!
//! A connection is made when there is something to add, kept as long as all goes well, and given up at the first failure:
//! after a failover its host may lead elsewhere, and on one that was slow, answers of before could still come. The
//! library's connection manager would hide when that happens; here the dispatcher decides when to try again.

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
    /// The record's id, for consumers to know it again.
    pub(super) id: String,
    pub(super) payload: Payload,
}

/// Why a batch was not added; whether it was all the same is not known if there was no answer.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) cause: Cause,
    /// One line, without the URL.
    pub(super) error: String,
}

/// Where the entries of one stream go. Its URL is never logged.
pub(super) struct Connection {
    client: Client,
    key: String,
    max_len: u64,
    patience: Duration,
    open: Option<MultiplexedConnection>,
}

impl Connection {
    /// The connection of a setting that was checked, not made yet. `patience` is for connecting, sign-in included, and
    /// for each answer.
    pub(super) fn new(stream: &Stream, patience: Duration) -> Option<Self> {
        Some(Self {
            client: Client::open(stream.server()?).ok()?,
            key: stream.key.clone(),
            max_len: stream.max_len,
            patience,
            open: None,
        })
    }

    /// Adds all entries in their order, or none.
    pub(super) async fn add(&mut self, entries: &[Entry]) -> Result<(), Failure> {
        if let Some(open) = self.open.take() {
            match self.exchange(open, entries).await {
                // It was cut while nothing was to be added, most likely, which shows only now.
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

    /// Connects and signs in.
    pub(super) async fn connect(&self) -> Result<MultiplexedConnection, Failure> {
        // One clock for all, below.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None);
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        self.within_patience(connecting).await
    }

    async fn exchange(&mut self, mut open: MultiplexedConnection, entries: &[Entry]) -> Result<(), Failure> {
        // One transaction, so that no entry overtakes one that Redis refused.
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
        self.within_patience(batch.query_async::<()>(&mut open)).await?;
        self.open = Some(open);
        Ok(())
    }

    /// Waits for Redis, but not for ever.
    pub(super) async fn within_patience<T>(
        &self,
        answer: impl Future<Output = RedisResult<T>>,
    ) -> Result<T, Failure> {
        match timeout(self.patience, answer).await {
            Ok(answer) => answer.map_err(|error| failure(&error)),
            Err(_) => Err(Failure {
                cause: Cause::Timeout,
                error: format!("no answer within {}", humantime::format_duration(self.patience)),
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

/// In one line, in the words of Redis where it said something.
fn reason(error: &RedisError) -> String {
    if error.kind() == ErrorKind::AuthenticationFailed {
        return "AUTH failed: the user or the password of the url is wrong".to_owned();
    }
    // A transaction tells it again for each entry.
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
