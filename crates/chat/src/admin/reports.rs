//! Backend calls for reported messages.

use std::sync::Arc;

use roomful_store::{Report, ReportPage, ReportState, ReportsOf, Resolution, SanctionKind};

use super::{existing, user_id};
use crate::{
    app::App,
    detached::run_to_completion,
    error::ChatError,
    moderation::{self, SanctionOrder},
    room_manager::RoomRef,
    server::ChatServer,
    types::UserId,
};

const NO_REPORT: ChatError = ChatError::NotFound("there is no open report with this id");

/// The end of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolveReport {
    /// The report.
    pub id: i64,
    /// What to do.
    pub action: ReportAction,
    /// When the mute or ban ends by itself, in milliseconds since 1970.
    pub until: Option<i64>,
    /// Who decides.
    pub actor: String,
}

/// What to do about a reported message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportAction {
    /// Nothing.
    Dismiss,
    /// Delete the message.
    Delete,
    /// Mute its author in the room.
    Mute,
    /// Ban its author from the room.
    Ban,
}

impl ReportAction {
    const fn state(self) -> ReportState {
        match self {
            Self::Dismiss => ReportState::Dismissed,
            Self::Delete => ReportState::Deleted,
            Self::Mute => ReportState::Muted,
            Self::Ban => ReportState::Banned,
        }
    }
}

impl ChatServer {
    /// At most `limit` reports whose ids follow `after`, by id: those of everybody or of one user, with
    /// `state` those in this state.
    ///
    /// # Errors
    /// `invalid_request` for an invalid id; `unavailable`, `internal`: the store failed.
    pub async fn reports(
        &self,
        of: ReportsOf,
        state: Option<ReportState>,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Report>, ChatError> {
        if let ReportsOf::Author(user) | ReportsOf::Reporter(user) = &of {
            user_id(user)?;
        }
        let page = ReportPage {
            of,
            state,
            after,
            limit,
        };
        Ok(self.app.store.reports(page).await?)
    }

    /// Carries out an action and resolves the report. Returns the resolved report.
    ///
    /// # Errors
    /// `not_found` if no open report has this id; `invalid_request` for an end in the past, or with an action
    /// that has none. After `unavailable` and `internal`, the report may still be open: repeat the call.
    pub async fn resolve_report(&self, resolve: ResolveReport) -> Result<Report, ChatError> {
        let app = Arc::clone(&self.app);
        run_to_completion(async move {
            let report = app.store.report_by_id(resolve.id).await?;
            let report = report.filter(|report| report.state == ReportState::Open);
            let report = report.ok_or(NO_REPORT)?;
            let takes_an_end = matches!(resolve.action, ReportAction::Mute | ReportAction::Ban);
            if resolve.until.is_some() && !takes_an_end {
                let message = "until goes with mute and ban only; leave it out".to_owned();
                return Err(ChatError::InvalidRequest(message));
            }
            let room = existing(&app, &report.room).await?;
            // A room of the same name may have been created since.
            if room.id != report.room_id {
                return Err(NO_REPORT);
            }
            act(&app, &room, &report, &resolve).await?;
            let resolution = Resolution {
                id: report.id,
                state: resolve.action.state(),
                by: resolve.actor,
                at: app.clock.now_ms(),
            };
            if !app.store.resolve_report(resolution.clone()).await? {
                return Err(NO_REPORT);
            }
            Ok(Report {
                state: resolution.state,
                resolved_at: Some(resolution.at),
                resolved_by: Some(resolution.by),
                ..report
            })
        })
        .await
    }
}

/// Carries out an action. Doing so twice has the same effect as doing so once.
async fn act(app: &App, room: &RoomRef, report: &Report, resolve: &ResolveReport) -> Result<(), ChatError> {
    let author = UserId::from(&*report.author);
    let kind = match resolve.action {
        ReportAction::Dismiss => return Ok(()),
        ReportAction::Delete => {
            let by = UserId::from(&*resolve.actor);
            return moderation::delete_message(app, room, report.seq, &by)
                .await
                .map(drop);
        }
        ReportAction::Mute => SanctionKind::Mute,
        ReportAction::Ban => SanctionKind::Ban,
    };
    let order = SanctionOrder {
        room: Some(room),
        user: &author,
        kind,
        until: resolve.until,
        reason: Some(report.reason.clone()),
        actor: &resolve.actor,
    };
    moderation::impose(app, order).await.map(drop)
}
