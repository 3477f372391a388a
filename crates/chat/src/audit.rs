//! Records of changes by API keys and moderators.

use roomful_store::AuditRecord;

use crate::app::App;

/// Adds a record to the audit log, with the present time. The change has happened already, so a failure is
/// logged with the record, and counted.
pub(crate) async fn record(app: &App, change: AuditRecord) {
    let record = AuditRecord {
        at: app.clock.now_ms(),
        ..change
    };
    let recorded = app.store.record_audit(record.clone()).await;
    app.metrics.audited(recorded.is_ok());
    if let Err(error) = recorded {
        let AuditRecord {
            actor,
            action,
            room,
            user_id,
            status,
            ..
        } = record;
        tracing::error!(%error, actor, action, room, user_id, status, "failed to write an audit record");
    }
}
