//! [`Log`] for SQLite.

use super::{SqliteStore, append, entries, history, log_head, positions, retention, rooms, usage};
use crate::{
    AppendResult, CatchUp, CaughtUp, Entry, History, Log, LogEntry, LogHead, LogPosition, NewEntry, Page,
    Reaction, Recorded, Retention, RoomId, StoreError, append::day_of, metrics::to_f64,
};
use async_trait::async_trait;
use std::sync::atomic::Ordering;

#[async_trait]
impl Log for SqliteStore {
    async fn append_with_positions(&self, entries: Vec<NewEntry>) -> Result<AppendResult, StoreError> {
        self.counted(self.writer.append(entries).await)
    }

    async fn delete_room_with(&self, room: RoomId, control: NewEntry) -> Result<AppendResult, StoreError> {
        self.write(append::DeleteRoom { room, control }).await
    }

    fn log_head(&self) -> LogHead {
        LogHead {
            epoch: self.epoch.clone(),
            position: LogPosition(self.pos.load(Ordering::Acquire)),
        }
    }

    async fn read_log_head(&self) -> Result<LogHead, StoreError> {
        self.read(log_head::read).await
    }

    async fn log_entries(
        &self,
        after: LogPosition,
        upto: LogPosition,
        limit: u32,
    ) -> Result<Vec<LogEntry>, StoreError> {
        self.read(move |conn| positions::between(conn, after, upto, limit))
            .await
    }

    async fn room_at(&self, position: LogPosition) -> Result<Option<RoomId>, StoreError> {
        self.read(move |conn| positions::room_at(conn, position)).await
    }

    async fn history(&self, room: RoomId, page: Page) -> Result<Option<History>, StoreError> {
        let page_bytes = self.page_bytes;
        self.read(move |conn| history::page(conn, room, page, page_bytes))
            .await
    }

    async fn catch_up(&self, asks: Vec<CatchUp>, bytes: usize) -> Result<Vec<Option<CaughtUp>>, StoreError> {
        let page_bytes = self.page_bytes;
        self.read(move |conn| history::catch_up_all(conn, &asks, bytes, page_bytes))
            .await
    }

    async fn own_reactions(&self, user: &str, reactions: Vec<Reaction>) -> Result<Vec<Reaction>, StoreError> {
        let user = user.to_owned();
        self.read(move |conn| entries::own_reactions(conn, &user, reactions))
            .await
    }

    async fn entry(&self, room: RoomId, seq: u64) -> Result<Option<Entry>, StoreError> {
        self.read(move |conn| entries::get(conn, room, seq)).await
    }

    async fn recorded(
        &self,
        room: RoomId,
        user: &str,
        client_id: &str,
    ) -> Result<Option<Recorded>, StoreError> {
        let (user, client_id) = (user.to_owned(), client_id.to_owned());
        self.read(move |conn| entries::recorded(conn, (room, &user, &client_id)))
            .await
    }

    async fn trim(&self, limits: Retention, now: i64) -> Result<u64, StoreError> {
        let (mut total, mut last) = (0, RoomId::MIN);
        loop {
            let due = self
                .read(move |conn| retention::due(conn, last, limits, now))
                .await?;
            let Some(&end) = due.last() else { break };
            for room in due {
                loop {
                    let trimmed = self.write(retention::Trim { room, limits, now }).await?;
                    total += trimmed.removed;
                    self.metrics.dedup_evicted.increment(trimmed.dedup_evicted);
                    if !trimmed.more {
                        break;
                    }
                }
            }
            last = end;
        }
        let before = now.saturating_sub(limits.unused_rooms_for_ms);
        loop {
            let unused = self
                .read(move |conn| retention::unused_rooms(conn, before))
                .await?;
            if unused.is_empty() {
                break;
            }
            for room in unused {
                let removed = self.write(rooms::DeleteUnused { room, before, now }).await?;
                self.metrics.unused_rooms.increment(removed.into());
            }
        }
        // Clocks of nodes differ, so yesterday's counts stay.
        let day = day_of(now).saturating_sub(1);
        while self.read(move |conn| usage::has_old(conn, day)).await? {
            self.write(usage::Forget { day }).await?;
        }
        let records = self.read(retention::count_dedup).await?;
        self.metrics.dedup_records.set(to_f64(records));
        Ok(total)
    }
}
