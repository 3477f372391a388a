//! The API call that explains the delivery of a message to one user.

use axum::{Json, extract::State};
use roomful_chat::{
    ChatServer, Profile,
    admin::{self, Explanation as Answer},
    types::MAX_SEQ,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Problem, body::Query, connections::Connection, members::Member, problems::Problems, records::Record,
};

/// The message and the user.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ExplainQuery {
    /// The user's id.
    #[param(min_length = 1, max_length = 128)]
    user: String,
    /// The room's name.
    #[param(min_length = 1, max_length = 128)]
    room: String,
    /// The message's seq.
    #[param(minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    seq: u64,
}

/// The state of a message for a user.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "four answers to four questions")]
pub(super) struct Explanation {
    user: String,
    room: String,
    seq: u64,
    message: ExplainedMessage,
    /// The user's membership and marks; `null` without a membership.
    member: Option<Member>,
    /// A device of the user has acknowledged the message.
    delivered: bool,
    /// The user has read the message.
    read: bool,
    /// The user is banned, in the room or everywhere.
    banned: bool,
    /// The user is muted, in the room or everywhere.
    muted: bool,
    /// The user's connections to the node that answers.
    devices: Vec<Device>,
    /// The number of the user's connections to other nodes.
    devices_elsewhere: usize,
    /// When the user was last online, in milliseconds since 1970; `null` if never.
    last_seen: Option<i64>,
    /// The records of webhooks and streams about the message that the outbox still keeps.
    webhooks: Vec<Record>,
    /// The conclusions, as sentences for people.
    findings: Vec<String>,
}

/// The message.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExplainedMessage {
    /// The author's id.
    author: String,
    /// When it was committed, in milliseconds since 1970.
    committed_at: i64,
    /// When it was last edited, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    edited_at: Option<i64>,
    deleted: bool,
}

/// A connection of the user.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ExplainedDevice)]
pub(super) struct Device {
    #[serde(flatten)]
    connection: Connection,
    /// Whether it was connected when the message was committed.
    connected_then: bool,
}

impl Explanation {
    fn of(query: ExplainQuery, answer: Answer, profile: &Profile, node: &str) -> Self {
        let committed_at = answer.message.committed_at;
        let device = |row: admin::Connection| Device {
            connected_then: row.connected_at <= committed_at,
            connection: Connection::of(row, node),
        };
        Self {
            delivered: answer.is_delivered(query.seq),
            read: answer.is_read(query.seq),
            user: query.user,
            room: query.room,
            seq: query.seq,
            message: ExplainedMessage {
                author: answer.message.author,
                committed_at,
                edited_at: answer.message.edited_at,
                deleted: answer.message.deleted,
            },
            member: answer.member.map(|row| Member::new(row, Some(profile))),
            banned: answer.banned,
            muted: answer.muted,
            devices: answer.connections.into_iter().map(device).collect(),
            devices_elsewhere: answer.remote_connections,
            last_seen: answer.last_seen,
            webhooks: answer.records.into_iter().map(Record::from).collect(),
            findings: answer.findings,
        }
    }
}

/// Explains the delivery of a message to a user: marks, connections, sanctions, and the records of webhooks.
#[utoipa::path(get, operation_id = "explainMessage", path = "/api/v1/explain", tag = "stats",
    params(ExplainQuery),
    responses((status = 200, body = Explanation), Problems))]
pub(super) async fn show(
    State(chat): State<ChatServer>,
    Query(query): Query<ExplainQuery>,
) -> Result<Json<Explanation>, Problem> {
    if query.seq == 0 || query.seq > MAX_SEQ {
        return Err(Problem::Invalid(format!("seq must be between 1 and {MAX_SEQ}")));
    }
    let answer = chat.explain(&query.user, &query.room, query.seq).await?;
    let profile = chat.profile(&query.user).await?;
    Ok(Json(Explanation::of(query, answer, &profile, chat.node())))
}
