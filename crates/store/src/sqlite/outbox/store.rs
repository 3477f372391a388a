//! [`Outbox`] on the writer and the readers.

use async_trait::async_trait;
use tokio::sync::watch;

use super::{
    delivery, delivery_checks,
    maintenance::{self, Retried, RetryRecords},
};
use crate::{
    DeliveryCheck, LifecycleEvent, OnlineUser, Outbox, OutboxCount, OutboxRetention, OutboxTrimmed, Record,
    RecordState, Replay, RoomId, Settled, StoreError, UndeliveredReport, sqlite::SqliteStore,
};

impl SqliteStore {
    async fn replay_dead(&self, now: i64) -> Result<u64, StoreError> {
        let Some(until) = self.read(maintenance::last_death).await? else {
            return Ok(0);
        };
        let mut total = 0;
        loop {
            let which = Retried::DeadUntil(until);
            match self.write(RetryRecords { which, now }).await? {
                0 => return Ok(total),
                records => total += records,
            }
        }
    }
}

#[async_trait]
impl Outbox for SqliteStore {
    fn changes(&self) -> watch::Receiver<()> {
        self.writer.recorded()
    }

    async fn record(&self, events: Vec<LifecycleEvent>) -> Result<(), StoreError> {
        self.write(delivery::Events(events)).await
    }

    async fn online(&self, after: &str, limit: u32) -> Result<Vec<OnlineUser>, StoreError> {
        let after = after.to_owned();
        self.read(move |conn| delivery::online(conn, &after, limit)).await
    }

    async fn due(&self, sink: &str, now: i64, limit: u32) -> Result<Vec<Record>, StoreError> {
        let (sink, latest) = (sink.to_owned(), self.outbox.latest_due(now));
        self.read(move |conn| delivery::due(conn, &sink, now, latest, limit))
            .await
    }

    async fn next_due(&self, sink: &str, now: i64) -> Result<Option<i64>, StoreError> {
        let (sink, latest) = (sink.to_owned(), self.outbox.latest_due(now));
        self.read(move |conn| delivery::next_due(conn, &sink, now, latest))
            .await
    }

    async fn settle(&self, settled: Vec<Settled>, now: i64) -> Result<(), StoreError> {
        self.write(delivery::Settle { settled, now }).await
    }

    async fn due_checks(&self, now: i64, limit: u32) -> Result<Vec<DeliveryCheck>, StoreError> {
        let members_max = self.outbox.members_max;
        self.read(move |conn| delivery_checks::due(conn, now, limit, members_max))
            .await
    }

    async fn report_undelivered(&self, reports: Vec<UndeliveredReport>) -> Result<u64, StoreError> {
        self.write(delivery_checks::Reports(reports)).await
    }

    async fn list(&self, state: Option<RecordState>, limit: u32) -> Result<Vec<Record>, StoreError> {
        self.read(move |conn| maintenance::list(conn, state, limit)).await
    }

    async fn records_of(&self, room: RoomId, seq: u64, limit: u32) -> Result<Vec<Record>, StoreError> {
        self.read(move |conn| maintenance::of_message(conn, room, seq, limit))
            .await
    }

    async fn replay(&self, which: Replay, now: i64) -> Result<u64, StoreError> {
        let id = match which {
            Replay::Id(id) => id,
            Replay::Dead => return self.replay_dead(now).await,
        };
        let which = Retried::Id(id);
        self.write(RetryRecords { which, now }).await
    }

    async fn counts(&self) -> Result<Vec<OutboxCount>, StoreError> {
        self.read(maintenance::counts).await
    }

    async fn trim(&self, keep: OutboxRetention, now: i64) -> Result<OutboxTrimmed, StoreError> {
        let mut total = OutboxTrimmed::default();
        if !self
            .read(move |conn| maintenance::needs_trim(conn, keep, now))
            .await?
        {
            return Ok(total);
        }
        loop {
            let (removed, more) = self.write(maintenance::Trim { keep, now }).await?;
            total.settled += removed.settled;
            total.pending += removed.pending;
            if !more {
                return Ok(total);
            }
        }
    }
}
