//! A Redis stream as a sink: adds records in batches, in order.

use roomful_store::Record;
use tokio::sync::Mutex;

use super::connection::{Connection, Entry};
use crate::{
    chat::millis,
    config,
    outbox::{Attempt, Backoff, Delivery, Payload, Sink},
};

/// Records in one transaction, and bytes of their payloads. A larger record goes by itself.
const BATCH_RECORDS: u32 = 128;
const BATCH_BYTES: usize = 1 << 20;
/// Maximum delay after a failure of Redis. It is short, since one connection is no load for Redis.
const MAX_WAIT_MS: i64 = 30_000;

/// Delays between attempts at a stream. No attempt is the last.
pub(super) fn backoff(outbox: &config::Outbox) -> Backoff {
    Backoff {
        first_ms: millis(outbox.retry_first.0).min(MAX_WAIT_MS),
        max_ms: millis(outbox.retry_max.0).min(MAX_WAIT_MS),
        attempts: u32::MAX,
    }
}

/// A stream that receives records.
pub(super) struct StreamSink {
    name: String,
    /// The runner makes one attempt at a time, so nobody waits for this lock.
    connection: Mutex<Connection>,
}

impl StreamSink {
    /// A stream behind `connection`, with its name in the outbox.
    pub(super) fn new(name: &str, connection: Connection) -> Self {
        StreamSink {
            name: name.to_owned(),
            connection: Mutex::new(connection),
        }
    }
}

impl Sink for StreamSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn delivery(&self) -> Delivery {
        Delivery::InOrder { batch: BATCH_RECORDS }
    }

    async fn send(&self, records: &[Record]) -> Vec<Attempt> {
        let (entries, mut attempts) = encode(records);
        if entries.is_empty() {
            return attempts;
        }
        let added = self.connection.lock().await.add(&entries).await;
        if let Err(failure) = added {
            for attempt in &mut attempts {
                if *attempt == Attempt::Delivered {
                    *attempt = Attempt::failed(failure.cause, failure.error.clone());
                }
            }
        }
        attempts
    }
}

/// The entries of the first records, as many as fit into a batch, and the results to store once Redis has
/// added them.
fn encode(records: &[Record]) -> (Vec<Entry>, Vec<Attempt>) {
    let (mut entries, mut attempts) = (Vec::new(), Vec::new());
    let mut bytes = 0_usize;
    for record in records {
        match Payload::of(record) {
            Ok(payload) => {
                bytes = bytes.saturating_add(payload.body.len());
                if bytes > BATCH_BYTES && !entries.is_empty() {
                    break;
                }
                entries.push(Entry {
                    id: record.id.clone(),
                    payload,
                });
                attempts.push(Attempt::Delivered);
            }
            Err(error) => attempts.push(Attempt::Invalid(error)),
        }
    }
    (entries, attempts)
}
