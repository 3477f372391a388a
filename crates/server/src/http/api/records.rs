//! API calls for the records of webhooks and streams: listing, and sending again.

use axum::{Json, extract::State};
use roomful_chat::{ChatServer, webhook};
use roomful_store::{Record as Row, RecordState, Replay};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Problem,
    audit::Changed,
    body::{Name, Nothing, OptionalBody, Path, Query},
    page::page_limit,
    problems::Problems,
};

/// State of a record.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum DeliveryState {
    /// It waits for its next attempt.
    Pending,
    /// The receiver has it.
    Delivered,
    /// Its attempts are used up.
    Dead,
}

/// The wanted records.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct RecordsQuery {
    /// Only records in this state.
    #[param(inline)]
    state: Option<DeliveryState>,
    /// The most records to return. Defaults to 50, capped at 200.
    #[param(value_type = Option<u64>, minimum = 1, maximum = 4_294_967_295_u64)]
    limit: Option<u32>,
}

/// A record of an event for one webhook or stream.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    /// The event's id, the same for all receivers.
    id: String,
    /// The event, such as `message.created`.
    event: &'static str,
    /// The name of the webhook or stream.
    sink: String,
    state: DeliveryState,
    /// Failed attempts.
    attempts: u32,
    /// When the event happened, in milliseconds since 1970.
    at: i64,
    /// When a pending record is due, or when another one reached its state.
    due_at: i64,
    /// Why the last attempt failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
}

/// Records, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Records {
    records: Vec<Record>,
}

/// How many records are due again.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Replayed {
    records: u64,
}

impl From<Row> for Record {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            event: webhook::type_name(row.kind),
            sink: row.sink,
            state: match row.state {
                RecordState::Pending => DeliveryState::Pending,
                RecordState::Delivered => DeliveryState::Delivered,
                RecordState::Dead => DeliveryState::Dead,
            },
            attempts: row.attempts,
            at: row.at,
            due_at: row.due_at,
            error: row.last_error,
            room: row.room,
            seq: row.seq,
        }
    }
}

/// Lists the records of webhooks and streams, newest first. Without webhooks and streams there are none.
#[utoipa::path(get, operation_id = "listRecords", path = "/api/v1/webhooks/records", tag = "webhooks",
    params(RecordsQuery),
    responses((status = 200, body = Records), Problems))]
pub(super) async fn list(
    State(chat): State<ChatServer>,
    Query(query): Query<RecordsQuery>,
) -> Result<Json<Records>, Problem> {
    let limit = page_limit(query.limit)?;
    let state = query.state.map(|state| match state {
        DeliveryState::Pending => RecordState::Pending,
        DeliveryState::Delivered => RecordState::Delivered,
        DeliveryState::Dead => RecordState::Dead,
    });
    let rows = chat.records(state, limit).await?;
    let records = rows.into_iter().map(Record::from).collect();
    Ok(Json(Records { records }))
}

/// Sends a record again, whatever its state, with its attempts reset.
#[utoipa::path(
    post, operation_id = "replayRecord", path = "/api/v1/webhooks/records/{id}/replay", tag = "webhooks",
    params(("id" = String, Path, description = "The event's id.", min_length = 1)),
    responses((status = 200, body = Replayed), Problems))]
pub(super) async fn replay(
    State(chat): State<ChatServer>,
    Path(Name(id)): Path<Name>,
    OptionalBody(Nothing {}): OptionalBody<Nothing>,
) -> Result<Changed<Replayed>, Problem> {
    let records = chat.replay(Replay::Id(id)).await?;
    Ok(Changed::to(Replayed { records }))
}

/// Sends all dead records again.
#[utoipa::path(
    post, operation_id = "replayDeadRecords", path = "/api/v1/webhooks/replay", tag = "webhooks",
    responses((status = 200, body = Replayed), Problems))]
pub(super) async fn replay_dead(
    State(chat): State<ChatServer>,
    OptionalBody(Nothing {}): OptionalBody<Nothing>,
) -> Result<Changed<Replayed>, Problem> {
    let records = chat.replay(Replay::Dead).await?;
    Ok(Changed::to(Replayed { records }))
}
