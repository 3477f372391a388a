//! Backend calls for the audit log.

use roomful_store::{AuditEntry, AuditPage};

use crate::{
    audit::{AuditedChange, record},
    error::ChatError,
    server::ChatServer,
};

impl ChatServer {
    /// Adds a record to the audit log. The change has happened already, so a failure is logged with the record,
    /// and counted.
    pub async fn record_audit(&self, change: AuditedChange) {
        record(&self.app, change).await;
    }

    /// A page of the audit log.
    ///
    /// # Errors
    /// `unavailable` if the store is.
    pub async fn audit(&self, page: AuditPage) -> Result<Vec<AuditEntry>, ChatError> {
        Ok(self.app.store.audit(page).await?)
    }
}
