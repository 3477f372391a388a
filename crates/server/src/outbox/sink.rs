//! The interface of a sink, and the result of one attempt at a record.

use roomful_store::Record;

use super::Cause;

/// A receiver of records outside of the server, such as a webhook endpoint.
pub(crate) trait Sink: Send + Sync + 'static {
    /// Name in the outbox, in logs and in metrics.
    fn name(&self) -> &str;

    /// How the runner passes records to this sink.
    fn delivery(&self) -> Delivery;

    /// Makes one attempt at these records. Returns one result per record, in the same order; a sink may
    /// stop early and return fewer, and gets the rest again.
    fn send(&self, records: &[Record]) -> impl Future<Output = Vec<Attempt>> + Send;
}

/// How a sink takes records, and what a failure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// Single records, up to `concurrency` at a time. A record that fails waits by itself, and is dead
    /// after the last attempt.
    Concurrent {
        /// Maximum number of attempts at a time.
        concurrency: usize,
    },
    /// Batches in the order of commit. While a batch fails, all later records wait; none of them dies.
    InOrder {
        /// Maximum number of records in a batch.
        batch: u32,
    },
}

/// Result of an attempt at one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// The sink has it.
    Delivered,
    /// The sink wants no more records.
    Gone,
    /// It failed; worth a retry.
    Failed {
        cause: Cause,
        /// One line, without URLs and secrets.
        error: String,
        /// Delay that the sink asked for, in milliseconds.
        retry_after_ms: Option<i64>,
    },
    /// The record is invalid, for this one and for any later attempt.
    Invalid(String),
}

impl Attempt {
    /// A failed attempt at a sink that asked for no delay.
    pub(crate) fn failed(cause: Cause, error: String) -> Self {
        Attempt::Failed {
            cause,
            error,
            retry_after_ms: None,
        }
    }
}
