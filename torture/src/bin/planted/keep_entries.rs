//! The bug of an erasure that leaves the user's entries in the log.

use async_trait::async_trait;
use roomful_store::{Erasure, ErasureStep, Store, StoreError};
use roomful_testkit::hooked_store::StoreHooks;

/// Answers the erasure's steps for entries without carrying them out.
pub(crate) struct KeepEntries;

#[async_trait]
impl StoreHooks for KeepEntries {
    async fn erase(
        &self,
        store: &dyn Store,
        erasure: &Erasure,
        step: ErasureStep,
        from: i64,
    ) -> Result<Option<i64>, StoreError> {
        match step {
            ErasureStep::Entries(_) => Ok(None),
            _ => store.erase(erasure, step, from).await,
        }
    }
}
