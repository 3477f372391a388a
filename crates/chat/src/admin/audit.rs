//! Backend calls for the audit log.

use roomful_store::{AuditEntry, AuditPage, AuditRecord};

use crate::{audit, error::ChatError, server::ChatServer};

impl ChatServer {
    /// Adds a record to the audit log, with the present time. The change has happened already, so a failure
    /// is logged with the record, and counted.
    pub async fn record_audit(&self, change: AuditRecord) {
        audit::record(&self.app, change).await;
    }

    /// A page of the audit log.
    ///
    /// # Errors
    /// `unavailable` if the store is.
    pub async fn audit(&self, page: AuditPage) -> Result<Vec<AuditEntry>, ChatError> {
        Ok(self.app.store.audit(page).await?)
    }
}
