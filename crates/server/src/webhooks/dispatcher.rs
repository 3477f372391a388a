//! One endpoint's loop: takes due records from the outbox, posts a bounded number at a time, and notes what
//! came of each.
//!
//! A record stays pending until its outcome is committed, so whatever ends the process, it is posted again.

use std::{collections::HashSet, sync::Arc, time::Duration};

use metrics::Counter;
use roomful_store::{Outage, Outbox, Outcome, Record, Settled, Store, StoreError};
use tokio::{task::JoinSet, time::sleep};

use super::endpoint::{Attempt, Endpoint};
use crate::{
    clock,
    outbox::{Attempts, Backoff},
};

/// The longest sleep: another process may have made a record due again.
const LONGEST_SLEEP: Duration = Duration::from_secs(2);
/// How long to wait after the store failed.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// Tells one endpoint what it wants.
pub(super) struct Dispatcher {
    store: Arc<dyn Store>,
    endpoint: Endpoint,
    backoff: Backoff,
    concurrency: usize,
    attempts: Attempts,
    /// Attempts that were answered with 410.
    gone: Counter,
}

/// Attempts under way.
#[derive(Default)]
struct Flights {
    tasks: JoinSet<(Record, Attempt)>,
    /// The records they are about, which are due as long as they are not settled.
    records: HashSet<i64>,
}

impl Dispatcher {
    pub(super) fn new(
        store: Arc<dyn Store>,
        endpoint: Endpoint,
        backoff: Backoff,
        concurrency: usize,
    ) -> Self {
        Self {
            store,
            attempts: Attempts::of(&endpoint.name),
            gone: Attempts::counter(&endpoint.name, "gone"),
            endpoint,
            backoff,
            concurrency,
        }
    }

    /// Runs until the store is closed, or the endpoint says that it is gone.
    pub(super) async fn run(self) {
        let Some(outbox) = self.store.outbox() else { return };
        let mut changes = outbox.changes();
        let mut flights = Flights::default();
        loop {
            changes.mark_unchanged();
            let wait = match self.launch(outbox, &mut flights).await {
                Ok(wait) => wait,
                Err(StoreError::Unavailable(Outage::Closed)) => return,
                Err(error) => {
                    tracing::warn!(endpoint = self.endpoint.name, %error, "due webhooks can't be read");
                    STORE_RETRY
                }
            };
            let full = flights.records.len() >= self.concurrency;
            tokio::select! {
                Some(ended) = flights.tasks.join_next() => match ended {
                    Ok(first) => {
                        if self.land(outbox, &mut flights, first).await.is_err() {
                            return;
                        }
                    }
                    // Its record stays out of the way until the next start, rather than fail again and again.
                    Err(fault) => tracing::error!(endpoint = self.endpoint.name, %fault, "an attempt ended by a fault"),
                },
                Ok(()) = changes.changed(), if !full => {}
                () = sleep(wait), if !full => {}
            }
        }
    }

    /// Begins as many attempts as there is room for. Answers how long there is nothing more to begin.
    async fn launch(&self, outbox: &dyn Outbox, flights: &mut Flights) -> Result<Duration, StoreError> {
        let now = clock::unix_millis();
        let free = self.concurrency.saturating_sub(flights.records.len());
        if free > 0 {
            let limit = u32::try_from(self.concurrency.saturating_mul(2)).unwrap_or(u32::MAX);
            let due = outbox.due(&self.endpoint.name, now, limit).await?;
            let new: Vec<_> = due
                .into_iter()
                .filter(|record| !flights.records.contains(&record.n))
                .collect();
            for record in new.into_iter().take(free) {
                flights.records.insert(record.n);
                let endpoint = self.endpoint.clone();
                flights.tasks.spawn(async move {
                    let attempt = endpoint.post(&record).await;
                    (record, attempt)
                });
            }
        }
        let next = outbox.next_due(&self.endpoint.name, now).await?;
        let wait = next.map_or(LONGEST_SLEEP, |at| {
            Duration::from_millis(u64::try_from(at.saturating_sub(now)).unwrap_or_default())
        });
        Ok(wait.min(LONGEST_SLEEP))
    }

    /// Notes what came of an attempt, and of all others that are over. An error is the end of the loop.
    async fn land(
        &self,
        outbox: &dyn Outbox,
        flights: &mut Flights,
        first: (Record, Attempt),
    ) -> Result<(), Ended> {
        let mut landed = vec![first];
        while let Some(Ok(next)) = flights.tasks.try_join_next() {
            landed.push(next);
        }
        let gone = landed.iter().any(|(_, attempt)| *attempt == Attempt::Gone);
        let now = clock::unix_millis();
        let settled: Vec<_> = landed
            .iter()
            .map(|(record, attempt)| self.settled(record, attempt, now))
            .collect();
        while let Err(error) = outbox.settle(settled.clone(), now).await {
            if error == StoreError::Unavailable(Outage::Closed) {
                return Err(Ended);
            }
            tracing::warn!(endpoint = self.endpoint.name, %error, "what came of webhooks can't be stored yet");
            sleep(STORE_RETRY).await;
        }
        for settled in settled {
            flights.records.remove(&settled.n);
        }
        if gone {
            tracing::error!(
                endpoint = self.endpoint.name,
                "the endpoint answered 410: it gets nothing more until the server is started again"
            );
            return Err(Ended);
        }
        Ok(())
    }

    fn settled(&self, record: &Record, attempt: &Attempt, now: i64) -> Settled {
        self.count(attempt);
        let outcome = match attempt {
            Attempt::Delivered => Outcome::Delivered,
            Attempt::Gone => Outcome::Dead {
                error: "answered 410".to_owned(),
            },
            Attempt::Unreadable(error) => Outcome::Dead { error: error.clone() },
            Attempt::Failed {
                error,
                retry_after_ms,
                ..
            } => {
                let failed = record.attempts.saturating_add(1);
                match self.backoff.after(failed, *retry_after_ms, rand::random()) {
                    Some(wait) => Outcome::Retry {
                        at: now.saturating_add(wait),
                        error: error.clone(),
                    },
                    None => Outcome::Dead { error: error.clone() },
                }
            }
        };
        if let Outcome::Dead { error } = &outcome {
            tracing::warn!(
                endpoint = self.endpoint.name,
                id = record.id,
                error,
                "a webhook was given up"
            );
        }
        Settled { n: record.n, outcome }
    }

    fn count(&self, attempt: &Attempt) {
        match attempt {
            Attempt::Delivered => &self.attempts.delivered,
            Attempt::Gone => &self.gone,
            Attempt::Unreadable(_) => &self.attempts.unreadable,
            Attempt::Failed { cause, .. } => self.attempts.failed(*cause),
        }
        .increment(1);
    }
}

/// The loop is over: the store is closed, or the endpoint wants nothing more.
struct Ended;
