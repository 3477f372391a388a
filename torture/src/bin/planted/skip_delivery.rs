//! The bug of a server that now and then delivers an entry to nobody.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use roomful_store::{AppendResult, Appended, LogEntry, LogPosition, NewEntry, Rejected, Store, StoreError};
use roomful_testkit::hooked_store::StoreHooks;

/// The last entry of one of so many batches is skipped.
const EVERY: u64 = 8;

/// Answers a new entry as a retry and hides its position, so that the follower takes it for trimmed.
#[derive(Default)]
pub(crate) struct SkipDelivery {
    batches: AtomicU64,
    skipped: Mutex<HashSet<LogPosition>>,
}

#[async_trait]
impl StoreHooks for SkipDelivery {
    async fn append(&self, store: &dyn Store, entries: Vec<NewEntry>) -> Result<AppendResult, StoreError> {
        let mut appended = store.append_with_positions(entries).await?;
        let is_new = |result: &&Result<Appended, Rejected>| matches!(result, Ok(Appended::New { .. }));
        let new = appended.results.iter().filter(is_new).count() as u64;
        if let Some(last) = appended.results.last_mut()
            && let Ok(Appended::New { seq, at }) = *last
            && self.batches.fetch_add(1, Ordering::Relaxed) % EVERY == EVERY - 1
        {
            *last = Ok(Appended::Duplicate { seq, at });
            let position = appended.first_position.plus(new - 1);
            self.skipped.lock().insert(position);
        }
        Ok(appended)
    }

    async fn log_entries(
        &self,
        store: &dyn Store,
        after: LogPosition,
        upto: LogPosition,
        limit: u32,
    ) -> Result<Vec<LogEntry>, StoreError> {
        let mut entries = store.log_entries(after, upto, limit).await?;
        let skipped = self.skipped.lock();
        entries.retain(|logged| !skipped.contains(&logged.position));
        drop(skipped);
        Ok(entries)
    }
}
