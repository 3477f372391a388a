//! The bug of a store that takes a retry for a new entry.

use std::collections::HashSet;

use async_trait::async_trait;
use parking_lot::Mutex;
use roomful_store::{AppendResult, NewEntry, RoomId, Store, StoreError};
use roomful_testkit::hooked_store::StoreHooks;

/// Removes the client id of each retry.
#[derive(Default)]
pub(crate) struct DuplicateOnRetry {
    /// Room, user and client id of the entries so far.
    seen: Mutex<HashSet<(RoomId, String, String)>>,
}

#[async_trait]
impl StoreHooks for DuplicateOnRetry {
    async fn append(
        &self,
        store: &dyn Store,
        mut entries: Vec<NewEntry>,
    ) -> Result<AppendResult, StoreError> {
        for entry in &mut entries {
            let key = |client_id: &String| (entry.room, entry.user_id.clone(), client_id.clone());
            let key = entry.client_id.as_ref().map(key);
            if key.is_some_and(|key| !self.seen.lock().insert(key)) {
                entry.client_id = None;
            }
        }
        store.append_with_positions(entries).await
    }
}
