//! Reports of messages: making, listing, resolving and removing them.

use async_trait::async_trait;

use crate::{NewReport, Report, ReportPage, ReportQuota, Reported, Resolution, StoreError};

/// The reports of all rooms.
#[async_trait]
pub trait Reports: Send + Sync {
    /// Stores a report, and writes [`crate::RecordKind::MessageReported`] to the outbox in the same
    /// transaction. One user has one report of a message. Reports of one user at the same moment on several
    /// nodes may exceed the quota by their number.
    async fn report(&self, report: NewReport, quota: ReportQuota) -> Result<Reported, StoreError>;

    /// A page of reports, by id.
    async fn reports(&self, page: ReportPage) -> Result<Vec<Report>, StoreError>;

    /// One report.
    async fn report_by_id(&self, id: i64) -> Result<Option<Report>, StoreError>;

    /// Resolves a report. False if there is no open report with this id.
    async fn resolve_report(&self, resolution: Resolution) -> Result<bool, StoreError>;

    /// Deletes the reports that are older than `kept_ms` at `now`, in small commits. Answers how many it
    /// deleted.
    async fn trim_reports(&self, kept_ms: i64, now: i64) -> Result<u64, StoreError>;
}
