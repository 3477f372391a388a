//! Forwarding of [`Reports`].

use async_trait::async_trait;
use roomful_store::{NewReport, Report, ReportPage, ReportQuota, Reported, Reports, Resolution, StoreError};

use super::{HookedStore, StoreHooks};

#[async_trait]
impl<H: StoreHooks> Reports for HookedStore<H> {
    async fn report(&self, report: NewReport, quota: ReportQuota) -> Result<Reported, StoreError> {
        self.inner.report(report, quota).await
    }

    async fn reports(&self, page: ReportPage) -> Result<Vec<Report>, StoreError> {
        self.inner.reports(page).await
    }

    async fn report_by_id(&self, id: i64) -> Result<Option<Report>, StoreError> {
        self.inner.report_by_id(id).await
    }

    async fn resolve_report(&self, resolution: Resolution) -> Result<bool, StoreError> {
        self.inner.resolve_report(resolution).await
    }

    async fn trim_reports(&self, kept_ms: i64, now: i64) -> Result<u64, StoreError> {
        self.inner.trim_reports(kept_ms, now).await
    }
}
