//! Forwarding of [`Log`].

use async_trait::async_trait;
use roomful_store::{
    AppendResult, Appended, CatchUp, CaughtUp, Entry, FencingTokens, History, Log, LogEntry, LogHead,
    LogPosition, NewEntry, Page, Reaction, Recorded, Rejected, Retention, RoomId, StoreError,
};

use super::{Call, HookedStore, StoreHooks};

#[async_trait]
impl<H: StoreHooks> Log for HookedStore<H> {
    async fn append(&self, entries: Vec<NewEntry>) -> Result<Vec<Result<Appended, Rejected>>, StoreError> {
        Ok(self.append_with_positions(entries).await?.results)
    }

    async fn append_with_positions(&self, entries: Vec<NewEntry>) -> Result<AppendResult, StoreError> {
        self.hooks.append(&*self.inner, entries).await
    }

    async fn delete_room_with(&self, room: RoomId, control: NewEntry) -> Result<AppendResult, StoreError> {
        self.hooks.delete_room_with(&*self.inner, room, control).await
    }

    fn fence(&self, tokens: FencingTokens) {
        self.inner.fence(tokens);
    }

    fn log_head(&self) -> LogHead {
        self.inner.log_head()
    }

    async fn read_log_head(&self) -> Result<LogHead, StoreError> {
        self.inner.read_log_head().await
    }

    async fn log_entries(
        &self,
        after: LogPosition,
        upto: LogPosition,
        limit: u32,
    ) -> Result<Vec<LogEntry>, StoreError> {
        self.hooks.log_entries(&*self.inner, after, upto, limit).await
    }

    async fn room_at(&self, position: LogPosition) -> Result<Option<RoomId>, StoreError> {
        self.inner.room_at(position).await
    }

    async fn history(&self, room: RoomId, page: Page) -> Result<Option<History>, StoreError> {
        self.before(Call::ForClient).await?;
        self.hooks.history(&*self.inner, room, page).await
    }

    async fn catch_up(&self, asks: Vec<CatchUp>, bytes: usize) -> Result<Vec<Option<CaughtUp>>, StoreError> {
        self.before(Call::ForClient).await?;
        self.hooks.catch_up(&*self.inner, asks, bytes).await
    }

    async fn own_reactions(&self, user: &str, reactions: Vec<Reaction>) -> Result<Vec<Reaction>, StoreError> {
        self.before(Call::ForClient)
            .await?
            .own_reactions(user, reactions)
            .await
    }

    async fn entry(&self, room: RoomId, seq: u64) -> Result<Option<Entry>, StoreError> {
        self.hooks.entry(&*self.inner, room, seq).await
    }

    async fn recorded(
        &self,
        room: RoomId,
        user: &str,
        client_id: &str,
    ) -> Result<Option<Recorded>, StoreError> {
        self.inner.recorded(room, user, client_id).await
    }

    async fn trim(&self, limits: Retention, now: i64) -> Result<u64, StoreError> {
        self.inner.trim(limits, now).await
    }
}
