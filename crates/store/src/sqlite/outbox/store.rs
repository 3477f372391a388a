//! [`Outbox`] on the writer and the readers.

use async_trait::async_trait;
use tokio::sync::watch;

use super::{delivery, unconfirmed, upkeep};
use crate::{
    Alert, Count, Happening, Keep, OnlineRow, Outbox, Record, RecordState, Removed, Replay, Settled,
    StoreError, Unconfirmed, sqlite::SqliteStore,
};

#[async_trait]
impl Outbox for SqliteStore {
    fn changes(&self) -> watch::Receiver<()> {
        self.writer.recorded()
    }

    async fn record(&self, happenings: Vec<Happening>) -> Result<(), StoreError> {
        self.write(delivery::Happened(happenings)).await
    }

    async fn online(&self, after: &str, limit: u32) -> Result<Vec<OnlineRow>, StoreError> {
        let after = after.to_owned();
        self.read(move |conn| delivery::online(conn, &after, limit)).await
    }

    async fn due(&self, sink: &str, now: i64, limit: u32) -> Result<Vec<Record>, StoreError> {
        let sink = sink.to_owned();
        self.read(move |conn| delivery::due(conn, &sink, now, limit))
            .await
    }

    async fn next_due(&self, sink: &str, now: i64) -> Result<Option<i64>, StoreError> {
        let sink = sink.to_owned();
        self.read(move |conn| delivery::next_due(conn, &sink, now)).await
    }

    async fn settle(&self, settled: Vec<Settled>, now: i64) -> Result<(), StoreError> {
        self.write(delivery::Settle { settled, now }).await
    }

    async fn unconfirmed(&self, now: i64, limit: u32) -> Result<Vec<Unconfirmed>, StoreError> {
        let members_max = self.outbox.members_max;
        self.read(move |conn| unconfirmed::due(conn, now, limit, members_max))
            .await
    }

    async fn alert(&self, alerts: Vec<Alert>) -> Result<u64, StoreError> {
        self.write(unconfirmed::Alerts(alerts)).await
    }

    async fn list(&self, state: Option<RecordState>, limit: u32) -> Result<Vec<Record>, StoreError> {
        self.read(move |conn| upkeep::list(conn, state, limit)).await
    }

    async fn replay(&self, which: Replay, now: i64) -> Result<u64, StoreError> {
        self.write(upkeep::Again { which, now }).await
    }

    async fn counts(&self) -> Result<Vec<Count>, StoreError> {
        self.read(upkeep::counts).await
    }

    async fn trim(&self, keep: Keep, now: i64) -> Result<Removed, StoreError> {
        let mut total = Removed::default();
        loop {
            let (removed, more) = self.write(upkeep::Trim { keep, now }).await?;
            total.settled += removed.settled;
            total.pending += removed.pending;
            if !more {
                return Ok(total);
            }
        }
    }
}
