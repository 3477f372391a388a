//! API calls for reported messages.

use axum::{Extension, Json, extract::State};
use roomful_chat::{
    ChatServer,
    admin::{ReportAction, ResolveReport},
};
use roomful_store::{Report as ReportRow, ReportState, ReportsOf};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::{
    Problem,
    audit::Changed,
    body::{Body, Path, Query, whole},
    page::{PageQuery, cursor_key, cut, page_limit},
    problems::Problems,
};
use crate::scope::Caller;

/// The outcome of a report.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[schema(as = ReportState)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// Nobody has decided yet.
    Open,
    /// It had no consequence.
    Dismissed,
    /// The message was deleted.
    Deleted,
    /// The author was muted in the room.
    Muted,
    /// The author was banned from the room.
    Banned,
}

/// What to do about a reported message.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[schema(as = ReportAction)]
#[serde(rename_all = "snake_case")]
pub(super) enum Action {
    /// Nothing.
    Dismiss,
    /// Delete the message.
    Delete,
    /// Mute its author in the room.
    Mute,
    /// Ban its author from the room.
    Ban,
}

/// The wanted reports.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ReportQuery {
    /// Only reports in this state.
    #[param(inline)]
    state: Option<Outcome>,
    /// Only reports about messages of this user.
    #[param(min_length = 1, max_length = 128)]
    user: Option<String>,
    /// Only reports by this user. Excludes `user`.
    #[param(min_length = 1, max_length = 128)]
    reporter: Option<String>,
    /// The most items to return. Defaults to 50, capped at 200.
    #[param(value_type = Option<u64>, minimum = 1, maximum = 4_294_967_295_u64)]
    limit: Option<u32>,
    /// The `next` of the previous page.
    #[param(min_length = 1)]
    cursor: Option<String>,
}

/// How to resolve a report.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Resolve {
    action: Action,
    /// When the mute or ban ends by itself, in milliseconds since 1970. Without it, it never does.
    #[serde(default, deserialize_with = "whole")]
    #[schema(minimum = 1)]
    until: Option<i64>,
}

/// A reported message.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    #[serde(flatten)]
    decision: Decision,
    /// What the reporter says about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// The message as it was when it was reported.
    #[schema(value_type = Object)]
    message: Box<RawValue>,
}

/// A report without texts.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Decision {
    id: i64,
    room: String,
    seq: u64,
    /// The author of the message.
    user_id: String,
    /// The user who reported it.
    reporter: String,
    /// The kind of offence, such as `spam`.
    reason: String,
    /// When it was reported, in milliseconds since 1970.
    at: i64,
    state: Outcome,
    /// Milliseconds since 1970. Absent while it is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    resolved_at: Option<i64>,
    /// The API key as `key:NAME`. Absent while it is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    resolved_by: Option<String>,
}

/// A page of reports, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReportList {
    reports: Vec<Report>,
    /// The cursor of the next page. Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl From<ReportState> for Outcome {
    fn from(state: ReportState) -> Self {
        match state {
            ReportState::Open => Self::Open,
            ReportState::Dismissed => Self::Dismissed,
            ReportState::Deleted => Self::Deleted,
            ReportState::Muted => Self::Muted,
            ReportState::Banned => Self::Banned,
        }
    }
}

impl From<Outcome> for ReportState {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Open => Self::Open,
            Outcome::Dismissed => Self::Dismissed,
            Outcome::Deleted => Self::Deleted,
            Outcome::Muted => Self::Muted,
            Outcome::Banned => Self::Banned,
        }
    }
}

impl From<&ReportRow> for Decision {
    fn from(row: &ReportRow) -> Self {
        Self {
            id: row.id,
            room: row.room.clone(),
            seq: row.seq,
            user_id: row.author.clone(),
            reporter: row.reporter.clone(),
            reason: row.reason.clone(),
            at: row.at,
            state: row.state.into(),
            resolved_at: row.resolved_at,
            resolved_by: row.resolved_by.clone(),
        }
    }
}

impl From<ReportRow> for Report {
    fn from(row: ReportRow) -> Self {
        Self {
            decision: Decision::from(&row),
            text: row.comment,
            message: RawValue::from_string(row.message).unwrap_or_default(),
        }
    }
}

/// Lists the messages that users have reported.
#[utoipa::path(get, operation_id = "listReports", path = "/api/v1/moderation/reports", tag = "moderation",
    params(ReportQuery),
    responses((status = 200, body = ReportList), Problems))]
pub(super) async fn list(
    State(chat): State<ChatServer>,
    Query(query): Query<ReportQuery>,
) -> Result<Json<ReportList>, Problem> {
    let limit = page_limit(query.limit)?;
    let after = match cursor_key(query.cursor.as_deref())? {
        None => 0,
        Some(id) => id.parse().map_err(|_| PageQuery::foreign_cursor())?,
    };
    let of = match (query.user, query.reporter) {
        (None, None) => ReportsOf::All,
        (Some(author), None) => ReportsOf::Author(author),
        (None, Some(reporter)) => ReportsOf::Reporter(reporter),
        (Some(_), Some(_)) => return Err(Problem::Invalid("user and reporter exclude each other".into())),
    };
    let state = query.state.map(Into::into);
    let rows = chat.reports(of, state, after, limit + 1).await?;
    let mut rows: Vec<_> = rows.into_iter().map(|row| (row.id.to_string(), row)).collect();
    let next = cut(&mut rows, limit, |(id, _)| id);
    let reports = rows.into_iter().map(|(_, row)| row.into()).collect();
    Ok(Json(ReportList { reports, next }))
}

/// Resolves a report: dismisses it, deletes the message, or mutes or bans its author in the room.
#[utoipa::path(
    post, operation_id = "resolveReport", path = "/api/v1/moderation/reports/{id}", tag = "moderation",
    params(("id" = i64, Path, description = "The report's id.", minimum = 1)),
    request_body = Resolve,
    responses((status = 200, body = Decision), Problems))]
pub(super) async fn resolve(
    State(chat): State<ChatServer>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<i64>,
    Body(resolve): Body<Resolve>,
) -> Result<Changed<Decision>, Problem> {
    let order = ResolveReport {
        id,
        action: match resolve.action {
            Action::Dismiss => ReportAction::Dismiss,
            Action::Delete => ReportAction::Delete,
            Action::Mute => ReportAction::Mute,
            Action::Ban => ReportAction::Ban,
        },
        until: resolve.until,
        actor: caller.actor(),
    };
    let report = chat.resolve_report(order).await?;
    let after = Decision::from(&report);
    let before = Decision {
        state: Outcome::Open,
        resolved_at: None,
        resolved_by: None,
        ..Decision::from(&report)
    };
    let mut changed = Changed::to(after).from(Some(before));
    changed.user = Some(report.author);
    Ok(changed)
}
