//! One stream's loop: takes due records from the outbox, a batch at a time in the order in which they were
//! written, adds them to the stream, and notes what came of it.
//!
//! A record stays pending until Redis has answered and that is committed, so whatever ends either process,
//! it is added again. When Redis fails, all records wait, not each for itself: none overtakes another, and
//! none is given up.

use std::{sync::Arc, time::Duration};

use roomful_store::{Outage, Outbox, Outcome, Record, Settled, Store, StoreError};
use tokio::{sync::watch, time::sleep};

use super::connection::{Connection, Entry, Failure};
use crate::{
    chat::millis,
    clock, config,
    outbox::{Attempts, Backoff, Payload},
};

/// Records, and bytes of payloads, that one transaction adds at most; one record that is larger goes by
/// itself.
const BATCH_RECORDS: u32 = 128;
const BATCH_BYTES: usize = 1 << 20;
/// The longest sleep: another process may have made a record due again.
const LONGEST_SLEEP: Duration = Duration::from_secs(2);
/// How long to wait after the store failed.
const STORE_RETRY: Duration = Duration::from_secs(1);
/// The longest wait after Redis failed: one connection is no burden to it, and what waits may be urgent.
const LONGEST_WAIT_MS: i64 = 30_000;

/// The pace of the attempts at a stream's Redis. They do not end.
pub(super) fn backoff(outbox: &config::Outbox) -> Backoff {
    Backoff {
        first_ms: millis(outbox.retry_first.0).min(LONGEST_WAIT_MS),
        max_ms: millis(outbox.retry_max.0).min(LONGEST_WAIT_MS),
        attempts: u32::MAX,
    }
}

/// Adds to one stream what it wants.
pub(super) struct Dispatcher {
    store: Arc<dyn Store>,
    name: String,
    connection: Connection,
    backoff: Backoff,
    attempts: Attempts,
    /// Attempts that failed since the last that did not.
    failed: u32,
}

/// What a turn of the loop came to.
enum Turn {
    /// Something was done, and there may be more.
    Busy,
    /// Nothing is due for so long.
    Idle(Duration),
    /// Redis failed; nothing is to be tried for so long.
    Failed(Duration),
}

impl Dispatcher {
    pub(super) fn new(store: Arc<dyn Store>, name: String, connection: Connection, backoff: Backoff) -> Self {
        Self {
            store,
            attempts: Attempts::of(&name),
            name,
            connection,
            backoff,
            failed: 0,
        }
    }

    /// Runs until the store is closed.
    pub(super) async fn run(mut self) {
        let store = Arc::clone(&self.store);
        let Some(outbox) = store.outbox() else { return };
        let mut changes = outbox.changes();
        loop {
            changes.mark_unchanged();
            match self.turn(outbox).await {
                Ok(Turn::Busy) => {}
                Ok(Turn::Idle(wait)) => idle(&mut changes, wait).await,
                Ok(Turn::Failed(wait)) => sleep(wait).await,
                Err(StoreError::Unavailable(Outage::Closed)) => return,
                Err(error) => {
                    tracing::warn!(stream = self.name, %error, "due records can't be read");
                    sleep(STORE_RETRY).await;
                }
            }
        }
    }

    async fn turn(&mut self, outbox: &dyn Outbox) -> Result<Turn, StoreError> {
        let now = clock::unix_millis();
        let mut due = outbox.due(&self.name, now, BATCH_RECORDS).await?;
        if due.is_empty() {
            let next = outbox.next_due(&self.name, now).await?;
            return Ok(Turn::Idle(
                next.map_or(LONGEST_SLEEP, |at| span(at - now)).min(LONGEST_SLEEP),
            ));
        }
        // The order of commits, also where the clock was set back in between.
        due.sort_unstable_by_key(|record| record.n);
        let batch = Batch::of(due);
        self.give_up(outbox, batch.unreadable).await?;
        if batch.entries.is_empty() {
            return Ok(Turn::Busy);
        }
        match self.connection.add(&batch.entries).await {
            Ok(()) => {
                self.delivered(outbox, &batch.records).await?;
                Ok(Turn::Busy)
            }
            Err(failure) => self
                .put_off(outbox, &batch.records, failure)
                .await
                .map(Turn::Failed),
        }
    }

    async fn delivered(&mut self, outbox: &dyn Outbox, records: &[Record]) -> Result<(), StoreError> {
        if self.failed > 0 {
            tracing::info!(stream = self.name, "the stream takes records again");
            self.failed = 0;
        }
        self.attempts.delivered.increment(records.len() as u64);
        let settled = records.iter().map(|record| Settled {
            n: record.n,
            outcome: Outcome::Delivered,
        });
        self.settle(outbox, settled.collect()).await
    }

    /// Notes the failure with each record and leaves them where they are in the order. Answers how long to
    /// wait.
    async fn put_off(
        &mut self,
        outbox: &dyn Outbox,
        records: &[Record],
        Failure { cause, error }: Failure,
    ) -> Result<Duration, StoreError> {
        self.failed = self.failed.saturating_add(1);
        let wait = self.backoff.after(self.failed, None, rand::random());
        let wait = span(wait.unwrap_or(self.backoff.max_ms));
        tracing::warn!(stream = self.name, error, again_in = ?wait, "Redis does not take records; they wait");
        self.attempts.failed(cause).increment(records.len() as u64);
        let settled = records.iter().map(|record| Settled {
            n: record.n,
            outcome: Outcome::Retry {
                at: record.due_at,
                error: error.clone(),
            },
        });
        self.settle(outbox, settled.collect()).await?;
        Ok(wait)
    }

    async fn give_up(
        &mut self,
        outbox: &dyn Outbox,
        unreadable: Vec<(Record, String)>,
    ) -> Result<(), StoreError> {
        if unreadable.is_empty() {
            return Ok(());
        }
        let mut settled = Vec::with_capacity(unreadable.len());
        for (record, error) in unreadable {
            tracing::warn!(stream = self.name, id = record.id, error, "a record was given up");
            self.attempts.unreadable.increment(1);
            settled.push(Settled {
                n: record.n,
                outcome: Outcome::Dead { error },
            });
        }
        self.settle(outbox, settled).await
    }

    /// Stores what came of attempts, however long it takes: until then they would be made again. The only
    /// error is that the store is closed.
    async fn settle(&self, outbox: &dyn Outbox, settled: Vec<Settled>) -> Result<(), StoreError> {
        loop {
            match outbox.settle(settled.clone(), clock::unix_millis()).await {
                Ok(()) => return Ok(()),
                Err(closed @ StoreError::Unavailable(Outage::Closed)) => return Err(closed),
                Err(error) => {
                    tracing::warn!(stream = self.name, %error, "what came of records can't be stored yet");
                    sleep(STORE_RETRY).await;
                }
            }
        }
    }
}

/// Records that go out together.
#[derive(Default)]
struct Batch {
    records: Vec<Record>,
    /// The same, as the stream holds them.
    entries: Vec<Entry>,
    /// Those that can't be told, and why.
    unreadable: Vec<(Record, String)>,
}

impl Batch {
    /// As many of the records, from the first on, as fit.
    fn of(records: Vec<Record>) -> Self {
        let mut batch = Self::default();
        let mut bytes = 0_usize;
        for record in records {
            match Payload::of(&record) {
                Ok(payload) => {
                    bytes = bytes.saturating_add(payload.body.len());
                    if bytes > BATCH_BYTES && !batch.entries.is_empty() {
                        break;
                    }
                    batch.entries.push(Entry {
                        id: record.id.clone(),
                        payload,
                    });
                    batch.records.push(record);
                }
                Err(error) => batch.unreadable.push((record, error)),
            }
        }
        batch
    }
}

/// Waits for something to be written, or for the time to be over.
async fn idle(changes: &mut watch::Receiver<()>, wait: Duration) {
    tokio::select! {
        Ok(()) = changes.changed() => {}
        () = sleep(wait) => {}
    }
}

fn span(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or_default())
}
