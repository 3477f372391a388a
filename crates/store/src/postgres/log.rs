//! [`Log`] for PostgreSQL.

use super::{PostgresStore, entries, history, positions, retention};
use crate::{
    AppendResult, Entry, FencingTokens, History, Log, LogEntry, LogHead, LogPosition, NewEntry, Page,
    Retention, RoomId, StoreError,
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

    async fn entry(&self, room: RoomId, seq: u64) -> Result<Option<Entry>, StoreError> {
        self.checked(entries::get(&self.conn().await?, room, seq).await)
    }

    async fn trim(&self, limits: Retention, now: i64) -> Result<u64, StoreError> {
        let cutoff = self
            .no_later_than_database(now)
            .await?
            .saturating_sub(limits.max_age_ms);
        let (mut total, mut last) = (0, RoomId::MIN);
        loop {
            let due = self.checked(retention::due(&self.conn().await?, last, limits, cutoff).await)?;
            let Some(&end) = due.last() else { return Ok(total) };
            for room in due {
                loop {
                    let trimmed =
                        self.checked(retention::trim(&self.conn().await?, room, limits, cutoff).await)?;
                    total += trimmed.removed;
                    if !trimmed.more {
                        break;
                    }
                }
            }
            last = end;
        }
    }
}
