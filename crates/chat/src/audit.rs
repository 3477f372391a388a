//! Records of changes by API keys and moderators.

use roomful_store::AuditRecord;

use crate::app::App;

/// A change to record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditedChange {
    /// The moderator, or the API key as `key:NAME`.
    pub actor: String,
    /// The call, such as `PUT /rooms/{room}` or `chat:moderate`.
    pub action: String,
    /// The room that it concerns.
    pub room: Option<String>,
    /// The user whom it concerns.
    pub user_id: Option<String>,
    /// Status of the answer, as in HTTP.
    pub status: u16,
    /// JSON of what the call changed, as it was before. Neither secrets nor texts of messages.
    pub before: Option<String>,
    /// JSON of what the call changed, as it is now. Neither secrets nor texts of messages.
    pub after: Option<String>,
}

/// Adds a record to the audit log. The change has happened already, so a failure is logged with the record, and
/// counted.
pub(crate) async fn record(app: &App, change: AuditedChange) {
    let record = AuditRecord {
        at: app.clock.now_ms(),
        actor: change.actor,
        action: change.action,
        room: change.room,
        user_id: change.user_id,
        status: change.status,
        before: change.before,
        after: change.after,
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
