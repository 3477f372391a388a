//! [`Log`] for PostgreSQL.

use super::{PostgresStore, entries, history, positions, retention, rooms};
use crate::{
    AppendResult, CatchUp, CaughtUp, Entry, FencingTokens, History, Log, LogEntry, LogHead, LogPosition,
    NewEntry, Page, Reaction, Recorded, Retention, RoomId, StoreError, append::day_of, metrics::to_f64,
};
use async_trait::async_trait;

#[async_trait]
impl Log for PostgresStore {
    async fn append_with_positions(&self, entries: Vec<NewEntry>) -> Result<AppendResult, StoreError> {
        self.counted(self.appender.append(entries).await)
    }

    async fn delete_room_with(&self, room: RoomId, control: NewEntry) -> Result<AppendResult, StoreError> {
        self.empty_room(room).await?;
        self.counted(self.appender.remove(room, control).await)
    }

    fn fence(&self, tokens: FencingTokens) {
        self.appender.fence(tokens);
    }

    fn log_head(&self) -> LogHead {
        self.shared.log_state.log_head()
    }

    async fn read_log_head(&self) -> Result<LogHead, StoreError> {
        self.counted(self.batched_calls.read_log_head.ask(()).await)
    }

    async fn log_entries(
        &self,
        after: LogPosition,
        upto: LogPosition,
        limit: u32,
    ) -> Result<Vec<LogEntry>, StoreError> {
        self.checked(positions::between(&self.conn().await?, after, upto, limit).await)
    }

    async fn room_at(&self, position: LogPosition) -> Result<Option<RoomId>, StoreError> {
        self.checked(positions::room_at(&self.conn().await?, position).await)
    }

    async fn history(&self, room: RoomId, page: Page) -> Result<Option<History>, StoreError> {
        let page_bytes = self.shared.options.page_bytes;
        self.checked(history::page(&self.conn().await?, room, page, page_bytes).await)
    }

    async fn catch_up(&self, asks: Vec<CatchUp>, bytes: usize) -> Result<Vec<Option<CaughtUp>>, StoreError> {
        let page_bytes = self.shared.options.page_bytes;
        self.checked(history::catch_up_all(&self.conn().await?, &asks, bytes, page_bytes).await)
    }

    async fn own_reactions(&self, user: &str, reactions: Vec<Reaction>) -> Result<Vec<Reaction>, StoreError> {
        self.checked(entries::own_reactions(&self.conn().await?, user, &reactions).await)
    }

    async fn entry(&self, room: RoomId, seq: u64) -> Result<Option<Entry>, StoreError> {
        self.checked(entries::get(&self.conn().await?, room, seq).await)
    }

    async fn recorded(
        &self,
        room: RoomId,
        user: &str,
        client_id: &str,
    ) -> Result<Option<Recorded>, StoreError> {
        self.checked(entries::recorded(&self.conn().await?, (room, user, client_id)).await)
    }

    async fn trim(&self, limits: Retention, now: i64) -> Result<u64, StoreError> {
        let now = self.no_later_than_database(now).await?;
        let (mut total, mut last) = (0, RoomId::MIN);
        loop {
            let due = self.checked(retention::due(&self.conn().await?, last, limits, now).await)?;
            let Some(&end) = due.last() else { break };
            for room in due {
                loop {
                    let trimmed =
                        self.checked(retention::trim(&self.conn().await?, room, limits, now).await)?;
                    total += trimmed.removed;
                    self.shared.metrics.dedup_evicted.increment(trimmed.dedup_evicted);
                    if !trimmed.more {
                        break;
                    }
                }
            }
            last = end;
        }
        let before = now.saturating_sub(limits.unused_rooms_for_ms);
        loop {
            let unused = self.checked(retention::unused_rooms(&self.conn().await?, before).await)?;
            if unused.is_empty() {
                break;
            }
            for room in unused {
                let removed = rooms::delete_unused(&self.conn().await?, room, before, now).await;
                self.shared
                    .metrics
                    .unused_rooms
                    .increment(self.checked(removed)?.into());
            }
        }
        // Clocks of nodes differ, so yesterday's counts stay.
        let day = day_of(now).saturating_sub(1);
        while self.checked(retention::forget_usage(&self.conn().await?, day).await)? > 0 {}
        let records = self.checked(retention::estimate_dedup(&self.conn().await?).await)?;
        self.shared.metrics.dedup_records.set(to_f64(records));
        Ok(total)
    }
}
