//! The handler for `chat:report`.

use roomful_store::{EntryKind, NewReport, ReportQuota, Reported};
use serde_json::json;

use crate::{
    app::Context,
    error::ChatError,
    events::reports::{ReportMessage, ReportedMessage},
    log::view::{self, NO_MESSAGE},
};

/// The time within which [`Limits::reports_per_day`](crate::Limits::reports_per_day) counts, in milliseconds.
const DAY_MS: i64 = 24 * 3_600_000;

/// `chat:report`: keeps a copy of the message as it is now.
pub(crate) async fn report(context: &Context, ask: ReportMessage) -> Result<ReportedMessage, ChatError> {
    let Context { app, me, .. } = context;
    let room = context.my_room(&ask.room).await?;
    let message = app.store.entry(room.id, ask.seq).await?;
    let message = message.filter(|entry| entry.kind == EntryKind::Message && !entry.state.deleted);
    let message = message.ok_or(NO_MESSAGE)?;
    let broken = |error| {
        tracing::error!(%error, "failed to encode a report");
        ChatError::Internal
    };
    let mut copy = view::message(&room.name, &room.epoch, &message, None).map_err(broken)?;
    copy.reactions.clear();
    let copy = serde_json::to_value(copy).map_err(broken)?;
    let record = json!({
        "seq": ask.seq,
        "userId": message.user_id,
        "reporter": *me.user,
        "reason": ask.reason,
        "text": ask.text,
        "message": copy,
    });
    let at = app.clock.now_ms();
    let report = NewReport {
        room_id: room.id,
        seq: ask.seq,
        author: message.user_id.clone(),
        reporter: me.user.to_string(),
        reason: ask.reason,
        comment: ask.text,
        message: copy.to_string(),
        at,
        record: record.to_string(),
    };
    let most = app.config.limits.reports_per_day;
    let quota = ReportQuota {
        since: at.saturating_sub(DAY_MS),
        most,
    };
    match app.store.report(report, quota).await? {
        Reported::New(id) => {
            app.metrics.reports.increment(1);
            Ok(ReportedMessage { id })
        }
        Reported::Known(id) => Ok(ReportedMessage { id }),
        Reported::OverQuota => {
            app.metrics.reports_over_quota.increment(1);
            Err(ChatError::TooManyReports(most))
        }
        Reported::NoSuchRoom => Err(ChatError::Forbidden),
    }
}
