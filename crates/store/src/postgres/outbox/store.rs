//! [`Outbox`] on the pool.

use async_trait::async_trait;
use tokio::sync::watch;

use super::{super::PostgresStore, delivery, leases, unconfirmed, upkeep};
use crate::{
    Alert, Count, Happening, Keep, OnlineRow, Outbox, Record, RecordState, Removed, Replay, Settled,
    StoreError, Unconfirmed,
};

impl PostgresStore {
    fn recorded(&self, any: bool) {
        if any {
            self.recorded.send_replace(());
        }
    }
}

#[async_trait]
impl Outbox for PostgresStore {
    fn changes(&self) -> watch::Receiver<()> {
        self.recorded.subscribe()
    }

    async fn record(&self, happenings: Vec<Happening>) -> Result<(), StoreError> {
        let options = &self.shared.options.outbox;
        let written = self.told(delivery::happened(&self.conn().await?, &happenings, options).await)?;
        self.recorded(written);
        Ok(())
    }

    async fn online(&self, after: &str, limit: u32) -> Result<Vec<OnlineRow>, StoreError> {
        self.told(delivery::online(&self.conn().await?, after, limit).await)
    }

    async fn due(&self, sink: &str, now: i64, limit: u32) -> Result<Vec<Record>, StoreError> {
        let (conn, span) = (self.conn().await?, self.shared.options.node_timeout);
        if !self.told(leases::take(&conn, sink, self.shared.life.node(), span).await)? {
            return Ok(Vec::new());
        }
        self.told(delivery::due(&conn, sink, now, limit).await)
    }

    async fn next_due(&self, sink: &str, now: i64) -> Result<Option<i64>, StoreError> {
        self.told(delivery::next_due(&self.conn().await?, sink, now).await)
    }

    async fn settle(&self, settled: Vec<Settled>, now: i64) -> Result<(), StoreError> {
        self.told(delivery::settle(&self.conn().await?, &settled, now).await)
    }

    async fn unconfirmed(&self, now: i64, limit: u32) -> Result<Vec<Unconfirmed>, StoreError> {
        let (conn, options) = (self.conn().await?, &self.shared.options);
        let node = self.shared.life.node();
        if !self.told(leases::take(&conn, leases::LOOKS, node, options.node_timeout).await)? {
            return Ok(Vec::new());
        }
        self.told(unconfirmed::due(&conn, now, limit, options.outbox.members_max).await)
    }

    async fn alert(&self, alerts: Vec<Alert>) -> Result<u64, StoreError> {
        let options = &self.shared.options.outbox;
        let alerted = self.told(unconfirmed::alert(&self.conn().await?, &alerts, options).await)?;
        self.recorded(alerted > 0);
        Ok(alerted)
    }

    async fn list(&self, state: Option<RecordState>, limit: u32) -> Result<Vec<Record>, StoreError> {
        self.told(upkeep::list(&self.conn().await?, state, limit).await)
    }

    async fn replay(&self, which: Replay, now: i64) -> Result<u64, StoreError> {
        let again = self.told(upkeep::again(&self.conn().await?, &which, now).await)?;
        self.recorded(again > 0);
        Ok(again)
    }

    async fn counts(&self) -> Result<Vec<Count>, StoreError> {
        self.told(upkeep::counts(&self.conn().await?).await)
    }

    async fn trim(&self, keep: Keep, now: i64) -> Result<Removed, StoreError> {
        let mut total = Removed::default();
        loop {
            let (removed, more) = self.told(upkeep::trim(&self.conn().await?, keep, now).await)?;
            total.settled += removed.settled;
            total.pending += removed.pending;
            if !more {
                return Ok(total);
            }
        }
    }
}
