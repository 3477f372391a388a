//! The loop of one sink: takes due records from the outbox, has the sink send them, and stores the results.
//!
//! A record stays pending until its result is committed: after a crash it is sent again.

use std::{collections::HashSet, sync::Arc, time::Duration};

use metrics::{Counter, Gauge, counter, gauge};
use roomful_store::{Outage, Outbox, Outcome, Record, Settled, Store, StoreError};
use roomful_supervisor::{Supervised, supervise};
use tokio::{
    task::{JoinError, JoinSet},
    time::{Instant, sleep},
};

use super::{Attempt, Attempts, Backoff, Delivery, Sink};
use crate::{clock, log::FailureLog};

/// Maximum sleep: another process may make a record due again.
const MAX_SLEEP: Duration = Duration::from_secs(2);
/// Delay after a failure of the store.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// Delivers the records of one sink until the store closes.
pub(crate) struct SinkRunner<S> {
    store: Arc<dyn Store>,
    sink: Arc<S>,
    backoff: Backoff,
    attempts: Attempts,
    /// Attempts that the sink answered with "gone".
    gone: Counter,
    /// Records that the runner gave up.
    dead: Counter,
    /// 1 while the last attempt failed.
    failing: Gauge,
    failure_log: FailureLog,
    /// Failed batches in a row, and the time before which no batch starts. For sinks that take records in
    /// order.
    failed_batches: u32,
    paused_until: Option<Instant>,
    in_flight: InFlight,
}

/// Attempts in progress.
#[derive(Default)]
struct InFlight {
    tasks: JoinSet<Finished>,
    /// Their records, which stay due until they are settled.
    records: HashSet<i64>,
}

/// An attempt with its records.
struct Finished {
    records: Vec<Record>,
    attempts: Vec<Attempt>,
}

/// The loop ends: the store is closed, or the sink wants no more records.
struct Ended;

impl<S: Sink> SinkRunner<S> {
    /// A runner for `sink`. Exports its metrics at once.
    fn new(store: Arc<dyn Store>, sink: Arc<S>, backoff: Backoff) -> Self {
        let name = sink.name().to_owned();
        let dead = counter!("roomful_webhooks_dead_total", "endpoint" => name.clone());
        dead.absolute(0);
        let failing = gauge!("roomful_webhooks_failing", "endpoint" => name.clone());
        failing.set(0.0);
        Self {
            store,
            attempts: Attempts::of(&name),
            gone: Attempts::counter(&name, "gone"),
            dead,
            failing,
            sink,
            backoff,
            failure_log: FailureLog::default(),
            failed_batches: 0,
            paused_until: None,
            in_flight: InFlight::default(),
        }
    }

    /// Starts the supervised task of a sink. After a panic it reads the due records again.
    pub(crate) fn start(store: &Arc<dyn Store>, sink: S, backoff: Backoff) -> Supervised {
        let (store, sink) = (Arc::clone(store), Arc::new(sink));
        supervise("sink", move || {
            SinkRunner::new(Arc::clone(&store), Arc::clone(&sink), backoff).run()
        })
    }

    /// Runs until the store closes, or the sink wants no more records.
    async fn run(mut self) {
        let store = Arc::clone(&self.store);
        let Some(outbox) = store.outbox() else { return };
        let mut changes = outbox.changes();
        loop {
            changes.mark_unchanged();
            let wait = match self.start_attempts(outbox).await {
                Ok(wait) => wait,
                Err(StoreError::Unavailable(Outage::Closed)) => return,
                Err(error) => {
                    tracing::warn!(sink = self.sink.name(), %error, "failed to read due records, retrying");
                    STORE_RETRY
                }
            };
            let full = self.free_slots() == 0;
            tokio::select! {
                Some(finished) = self.in_flight.tasks.join_next() => {
                    if self.settle(outbox, finished).await.is_err() {
                        return;
                    }
                }
                Ok(()) = changes.changed(), if !full => {}
                () = sleep(wait), if !full => {}
            }
        }
    }

    /// How many more attempts may start now.
    fn free_slots(&self) -> usize {
        let slots = match self.sink.delivery() {
            Delivery::Concurrent { concurrency } => concurrency,
            Delivery::InOrder { .. } => 1,
        };
        slots.saturating_sub(self.in_flight.tasks.len())
    }

    /// Starts as many attempts as there are free slots. Returns the time until there may be more to start.
    async fn start_attempts(&mut self, outbox: &dyn Outbox) -> Result<Duration, StoreError> {
        if let Some(pause) = self
            .paused_until
            .map(|until| until.saturating_duration_since(Instant::now()))
            && !pause.is_zero()
        {
            return Ok(pause);
        }
        let now = clock::unix_millis();
        for records in self.due_batches(outbox, now).await? {
            self.in_flight
                .records
                .extend(records.iter().map(|record| record.n));
            let sink = Arc::clone(&self.sink);
            self.in_flight.tasks.spawn(async move {
                let attempts = sink.send(&records).await;
                Finished { records, attempts }
            });
        }
        let next = outbox.next_due(self.sink.name(), now).await?;
        let wait = next.map_or(MAX_SLEEP, |at| millis(at.saturating_sub(now)));
        Ok(wait.min(MAX_SLEEP))
    }

    /// The due records that no attempt has yet, grouped into attempts.
    async fn due_batches(&self, outbox: &dyn Outbox, now: i64) -> Result<Vec<Vec<Record>>, StoreError> {
        let free = self.free_slots();
        if free == 0 {
            return Ok(Vec::new());
        }
        match self.sink.delivery() {
            Delivery::Concurrent { concurrency } => {
                // Records in flight are due, too.
                let limit = u32::try_from(concurrency.saturating_mul(2)).unwrap_or(u32::MAX);
                let due = outbox.due(self.sink.name(), now, limit).await?;
                let new = due
                    .into_iter()
                    .filter(|record| !self.in_flight.records.contains(&record.n));
                Ok(new.take(free).map(|record| vec![record]).collect())
            }
            Delivery::InOrder { batch } => {
                let mut due = outbox.due(self.sink.name(), now, batch).await?;
                // The order of commit, even if the clock stepped back in between.
                due.sort_unstable_by_key(|record| record.n);
                Ok(if due.is_empty() { Vec::new() } else { vec![due] })
            }
        }
    }

    /// Stores the result of an attempt, and of all others that have finished.
    async fn settle(&mut self, outbox: &dyn Outbox, first: Result<Finished, JoinError>) -> Result<(), Ended> {
        let mut finished = vec![first];
        while let Some(next) = self.in_flight.tasks.try_join_next() {
            finished.push(next);
        }
        let now = clock::unix_millis();
        let (mut settled, mut gone) = (Vec::new(), false);
        for finished in finished {
            let Finished { records, attempts } = match finished {
                Ok(finished) => finished,
                Err(error) => {
                    // Its records stay in flight until the next start, so that they cannot fail again and
                    // again.
                    tracing::error!(sink = self.sink.name(), %error, "an attempt panicked");
                    continue;
                }
            };
            gone |= attempts.contains(&Attempt::Gone);
            self.note_health(&attempts);
            for record in records.get(attempts.len()..).unwrap_or_default() {
                self.in_flight.records.remove(&record.n);
            }
            let results = records.iter().zip(&attempts);
            settled.extend(results.map(|(record, attempt)| self.outcome(record, attempt, now)));
        }
        self.store_outcomes(outbox, settled, now).await?;
        if gone {
            tracing::error!(
                sink = self.sink.name(),
                "the endpoint answered 410; it gets no more records until the server restarts"
            );
            return Err(Ended);
        }
        Ok(())
    }

    /// Stores outcomes, however long the store fails: otherwise the attempts would be repeated.
    async fn store_outcomes(
        &mut self,
        outbox: &dyn Outbox,
        settled: Vec<Settled>,
        now: i64,
    ) -> Result<(), Ended> {
        while let Err(error) = outbox.settle(settled.clone(), now).await {
            if error == StoreError::Unavailable(Outage::Closed) {
                return Err(Ended);
            }
            tracing::warn!(sink = self.sink.name(), %error, "failed to store delivery results, retrying");
            sleep(STORE_RETRY).await;
        }
        for settled in settled {
            self.in_flight.records.remove(&settled.n);
        }
        Ok(())
    }

    /// Logs failures and recovery, and pauses a sink that takes records in order.
    fn note_health(&mut self, attempts: &[Attempt]) {
        let now = Instant::now();
        let mut failed = attempts.iter().filter_map(|attempt| match attempt {
            Attempt::Failed { error, .. } => Some(error),
            _ => None,
        });
        let count = failed.clone().count() as u64;
        if let Some(error) = failed.next_back() {
            self.failing.set(1.0);
            self.failed_batches = self.failed_batches.saturating_add(1);
            if let Delivery::InOrder { .. } = self.sink.delivery() {
                let wait = self.backoff.after(self.failed_batches, None, rand::random());
                self.paused_until = Some(now + millis(wait.unwrap_or(self.backoff.max_ms)));
            }
            if let Some(summary) = self.failure_log.failed(count, now) {
                tracing::warn!(
                    sink = self.sink.name(),
                    error,
                    failures = summary.failures,
                    failing_for = ?summary.failing_for,
                    "failed to deliver records, retrying"
                );
            }
        } else if attempts.contains(&Attempt::Delivered) {
            self.failing.set(0.0);
            self.failed_batches = 0;
            self.paused_until = None;
            if let Some(after) = self.failure_log.succeeded(now) {
                tracing::info!(sink = self.sink.name(), ?after, "delivering records again");
            }
        }
    }

    fn outcome(&self, record: &Record, attempt: &Attempt, now: i64) -> Settled {
        self.count(attempt);
        let outcome = match attempt {
            Attempt::Delivered => Outcome::Delivered,
            Attempt::Gone => Outcome::Dead {
                error: "answered 410".to_owned(),
            },
            Attempt::Invalid(error) => Outcome::Dead { error: error.clone() },
            Attempt::Failed {
                error,
                retry_after_ms,
                ..
            } => self.retry(record, error, *retry_after_ms, now),
        };
        if let Outcome::Dead { error } = &outcome {
            self.dead.increment(1);
            tracing::warn!(sink = self.sink.name(), id = record.id, error, "gave up a record");
        }
        Settled { n: record.n, outcome }
    }

    /// The outcome of a failed attempt: the next one, or death.
    fn retry(&self, record: &Record, error: &str, retry_after_ms: Option<i64>, now: i64) -> Outcome {
        let error = error.to_owned();
        match self.sink.delivery() {
            Delivery::Concurrent { .. } => {
                let failed = record.attempts.saturating_add(1);
                match self.backoff.after(failed, retry_after_ms, rand::random()) {
                    Some(wait) => Outcome::Retry {
                        at: now.saturating_add(wait),
                        error,
                    },
                    None => Outcome::Dead { error },
                }
            }
            // It keeps its place in the order. The whole sink pauses instead.
            Delivery::InOrder { .. } => Outcome::Retry {
                at: record.due_at,
                error,
            },
        }
    }

    fn count(&self, attempt: &Attempt) {
        match attempt {
            Attempt::Delivered => &self.attempts.delivered,
            Attempt::Gone => &self.gone,
            Attempt::Invalid(_) => &self.attempts.invalid,
            Attempt::Failed { cause, .. } => self.attempts.failed(*cause),
        }
        .increment(1);
    }
}

fn millis(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or_default())
}
