//! The audit log: adding records, listing them, removing old ones.

use async_trait::async_trait;

use crate::{AuditEntry, AuditPage, AuditRecord, StoreError};

/// The audit log. Nothing changes a record.
#[async_trait]
pub trait Audit: Send + Sync {
    /// Adds a record.
    async fn record_audit(&self, record: AuditRecord) -> Result<(), StoreError>;

    /// A page of records.
    async fn audit(&self, page: AuditPage) -> Result<Vec<AuditEntry>, StoreError>;

    /// Deletes the records that are older than `kept_ms` at `now`, in small commits. Answers how many it
    /// deleted.
    async fn trim_audit(&self, kept_ms: i64, now: i64) -> Result<u64, StoreError>;
}
