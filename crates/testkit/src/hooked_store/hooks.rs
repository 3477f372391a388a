//! The hooks of a store.

use async_trait::async_trait;
use roomful_store::{
    AppendResult, CatchUp, CaughtUp, Entry, Erasure, ErasureStep, History, LogEntry, LogPosition,
    ModerationAct, NewEntry, Page, RoomId, Store, StoreError,
};

use super::Call;

/// What a [`HookedStore`](super::HookedStore) does in place of its inner store. Each hook gets the inner
/// store as `store`, and forwards to it by default.
#[async_trait]
pub trait StoreHooks: Send + Sync + 'static {
    /// Runs before a call. The call fails with the error and changes nothing, if there is one.
    async fn before(&self, _call: Call) -> Result<(), StoreError> {
        Ok(())
    }

    /// In place of [`Log::append_with_positions`](roomful_store::Log::append_with_positions).
    async fn append(&self, store: &dyn Store, entries: Vec<NewEntry>) -> Result<AppendResult, StoreError> {
        store.append_with_positions(entries).await
    }

    /// In place of [`Log::delete_room_with`](roomful_store::Log::delete_room_with).
    async fn delete_room_with(
        &self,
        store: &dyn Store,
        room: RoomId,
        control: NewEntry,
    ) -> Result<AppendResult, StoreError> {
        store.delete_room_with(room, control).await
    }

    /// In place of [`Log::log_entries`](roomful_store::Log::log_entries).
    async fn log_entries(
        &self,
        store: &dyn Store,
        after: LogPosition,
        upto: LogPosition,
        limit: u32,
    ) -> Result<Vec<LogEntry>, StoreError> {
        store.log_entries(after, upto, limit).await
    }

    /// In place of [`Log::history`](roomful_store::Log::history).
    async fn history(
        &self,
        store: &dyn Store,
        room: RoomId,
        page: Page,
    ) -> Result<Option<History>, StoreError> {
        store.history(room, page).await
    }

    /// In place of [`Log::catch_up`](roomful_store::Log::catch_up).
    async fn catch_up(
        &self,
        store: &dyn Store,
        asks: Vec<CatchUp>,
        bytes: usize,
    ) -> Result<Vec<Option<CaughtUp>>, StoreError> {
        store.catch_up(asks, bytes).await
    }

    /// In place of [`Log::entry`](roomful_store::Log::entry).
    async fn entry(&self, store: &dyn Store, room: RoomId, seq: u64) -> Result<Option<Entry>, StoreError> {
        store.entry(room, seq).await
    }

    /// In place of [`Moderation::moderate`](roomful_store::Moderation::moderate).
    async fn moderate(
        &self,
        store: &dyn Store,
        act: ModerationAct,
        control: NewEntry,
    ) -> Result<AppendResult, StoreError> {
        store.moderate(act, control).await
    }

    /// In place of [`PersonalData::erase`](roomful_store::PersonalData::erase).
    async fn erase(
        &self,
        store: &dyn Store,
        erasure: &Erasure,
        step: ErasureStep,
        from: i64,
    ) -> Result<Option<i64>, StoreError> {
        store.erase(erasure, step, from).await
    }
}
