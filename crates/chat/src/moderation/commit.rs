//! Writing an act into the log: with its control entry, in one transaction.

use std::sync::atomic::Ordering;

use roomful_store::ModerationAct;

use crate::{
    app::App,
    cluster::CommittedEntry,
    error::ChatError,
    log::control::{self, Control},
};

/// Commits an act. Returns false if its room does not exist.
///
/// # Errors
/// `unavailable`, `internal`: it is unknown whether the act was committed. Repeat it.
pub(super) async fn commit(app: &App, act: ModerationAct, control: &Control) -> Result<bool, ChatError> {
    if let Some(cluster) = &app.cluster {
        return cluster.moderate(act, control).await;
    }
    let room = app.control_room.open(&*app.store, app.clock.now_ms()).await?;
    let entry = control::entry(control, room, app.node(), app.clock.now_ms())?;
    let result = app.store.moderate(act, entry.clone()).await?;
    let Some(committed) = CommittedEntry::control(entry, &result) else {
        return Ok(false);
    };
    app.last_moderation
        .fetch_max(result.first_position.0, Ordering::AcqRel);
    app.follower
        .take_control(committed.log_entry(result.first_position));
    Ok(true)
}
