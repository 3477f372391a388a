//! The bug of a store that forgets entries after it has acknowledged them.

use async_trait::async_trait;
use roomful_store::{
    CatchUp, CaughtUp, Entry, History, LogEntry, LogPosition, Page, RoomId, Store, StoreError,
};
use roomful_testkit::hooked_store::StoreHooks;

/// One of so many entries of a room is forgotten.
const EVERY: u64 = 40;

/// Leaves entries out of all reads of the log.
pub(crate) struct ForgetAcked;

fn is_kept(entry: &Entry) -> bool {
    !entry.seq.is_multiple_of(EVERY)
}

#[async_trait]
impl StoreHooks for ForgetAcked {
    async fn log_entries(
        &self,
        store: &dyn Store,
        after: LogPosition,
        upto: LogPosition,
        limit: u32,
    ) -> Result<Vec<LogEntry>, StoreError> {
        let mut entries = store.log_entries(after, upto, limit).await?;
        entries.retain(|logged| is_kept(&logged.entry));
        Ok(entries)
    }

    async fn history(
        &self,
        store: &dyn Store,
        room: RoomId,
        page: Page,
    ) -> Result<Option<History>, StoreError> {
        let mut history = store.history(room, page).await?;
        if let Some(history) = &mut history {
            history.entries.retain(is_kept);
        }
        Ok(history)
    }

    async fn catch_up(
        &self,
        store: &dyn Store,
        asks: Vec<CatchUp>,
        bytes: usize,
    ) -> Result<Vec<Option<CaughtUp>>, StoreError> {
        let mut pages = store.catch_up(asks, bytes).await?;
        for page in pages.iter_mut().flatten() {
            page.history.entries.retain(is_kept);
        }
        Ok(pages)
    }

    async fn entry(&self, store: &dyn Store, room: RoomId, seq: u64) -> Result<Option<Entry>, StoreError> {
        Ok(store.entry(room, seq).await?.filter(is_kept))
    }
}
