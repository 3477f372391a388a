//! [`Outbox`] on the pool.

use async_trait::async_trait;
use tokio::sync::watch;

use super::{super::PostgresStore, delivery, delivery_checks, leases, maintenance};
use crate::{
    DeliveryCheck, LifecycleEvent, OnlineUser, Outbox, OutboxCount, OutboxRetention, OutboxTrimmed, Record,
    RecordState, Replay, RoomId, Settled, StoreError, UndeliveredReport,
};

impl PostgresStore {
    fn recorded(&self, any: bool) {
        if any {
            self.recorded.send_replace(());
        }
    }

    async fn replay_dead(&self, now: i64) -> Result<u64, StoreError> {
        let last_death = maintenance::last_death(&self.conn().await?).await;
        let Some(until) = self.checked(last_death)? else {
            return Ok(0);
        };
        let mut total = 0;
        loop {
            match self.checked(maintenance::retry_dead(&self.conn().await?, until, now).await)? {
                0 => return Ok(total),
                records => total += records,
            }
            self.recorded(true);
        }
    }
}

#[async_trait]
impl Outbox for PostgresStore {
    fn changes(&self) -> watch::Receiver<()> {
        self.recorded.subscribe()
    }

    async fn record(&self, events: Vec<LifecycleEvent>) -> Result<(), StoreError> {
        let options = &self.shared.options.outbox;
        let written = self.checked(delivery::record_events(&self.conn().await?, &events, options).await)?;
        self.recorded(written);
        Ok(())
    }

    async fn online(&self, after: &str, limit: u32) -> Result<Vec<OnlineUser>, StoreError> {
        self.checked(delivery::online(&self.conn().await?, after, limit).await)
    }

    async fn due(&self, sink: &str, now: i64, limit: u32) -> Result<Vec<Record>, StoreError> {
        let (conn, span) = (self.conn().await?, self.shared.options.node_timeout);
        if !self.checked(leases::take(&conn, sink, self.shared.log_state.node(), span).await)? {
            return Ok(Vec::new());
        }
        let latest = self.shared.options.outbox.latest_due(now);
        self.checked(delivery::due(&conn, sink, now, latest, limit).await)
    }

    async fn next_due(&self, sink: &str, now: i64) -> Result<Option<i64>, StoreError> {
        let latest = self.shared.options.outbox.latest_due(now);
        self.checked(delivery::next_due(&self.conn().await?, sink, now, latest).await)
    }

    async fn settle(&self, settled: Vec<Settled>, now: i64) -> Result<(), StoreError> {
        self.checked(delivery::settle(&self.conn().await?, &settled, now).await)
    }

    async fn due_checks(&self, now: i64, limit: u32) -> Result<Vec<DeliveryCheck>, StoreError> {
        let (conn, options) = (self.conn().await?, &self.shared.options);
        let node = self.shared.log_state.node();
        if !self.checked(leases::take(&conn, leases::CHECKS, node, options.node_timeout).await)? {
            return Ok(Vec::new());
        }
        self.checked(delivery_checks::due(&conn, now, limit, options.outbox.members_max).await)
    }

    async fn report_undelivered(&self, reports: Vec<UndeliveredReport>) -> Result<u64, StoreError> {
        let options = &self.shared.options.outbox;
        let reported = self.checked(delivery_checks::report(&self.conn().await?, &reports, options).await)?;
        self.recorded(reported > 0);
        Ok(reported)
    }

    async fn list(&self, state: Option<RecordState>, limit: u32) -> Result<Vec<Record>, StoreError> {
        self.checked(maintenance::list(&self.conn().await?, state, limit).await)
    }

    async fn records_of(&self, room: RoomId, seq: u64, limit: u32) -> Result<Vec<Record>, StoreError> {
        self.checked(maintenance::of_message(&self.conn().await?, room, seq, limit).await)
    }

    async fn replay(&self, which: Replay, now: i64) -> Result<u64, StoreError> {
        let id = match which {
            Replay::Id(id) => id,
            Replay::Dead => return self.replay_dead(now).await,
        };
        let rows = self.checked(maintenance::retry(&self.conn().await?, &id, now).await)?;
        self.recorded(rows > 0);
        Ok(rows)
    }

    async fn counts(&self) -> Result<Vec<OutboxCount>, StoreError> {
        self.checked(maintenance::counts(&self.conn().await?).await)
    }

    async fn trim(&self, keep: OutboxRetention, now: i64) -> Result<OutboxTrimmed, StoreError> {
        let mut total = OutboxTrimmed::default();
        loop {
            let (removed, more) = self.checked(maintenance::trim(&self.conn().await?, keep, now).await)?;
            total.settled += removed.settled;
            total.pending += removed.pending;
            if !more {
                return Ok(total);
            }
        }
    }
}
