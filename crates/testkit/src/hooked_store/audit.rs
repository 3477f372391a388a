//! Forwarding of [`Audit`].

use async_trait::async_trait;
use roomful_store::{Audit, AuditEntry, AuditPage, AuditRecord, StoreError};

use super::{HookedStore, StoreHooks};

#[async_trait]
impl<H: StoreHooks> Audit for HookedStore<H> {
    async fn record_audit(&self, record: AuditRecord) -> Result<(), StoreError> {
        self.inner.record_audit(record).await
    }

    async fn audit(&self, page: AuditPage) -> Result<Vec<AuditEntry>, StoreError> {
        self.inner.audit(page).await
    }

    async fn trim_audit(&self, kept_ms: i64, now: i64) -> Result<u64, StoreError> {
        self.inner.trim_audit(kept_ms, now).await
    }
}
