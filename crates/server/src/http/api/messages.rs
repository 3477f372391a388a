//! API calls that post messages and read history.

use axum::{
    body::Body as ResponseBody,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::{HeaderValue, header};
use roomful_chat::{ChatServer, Metadata, admin::Post, types::MAX_SEQ};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Problem,
    audit::Changed,
    body::{Body, Name, Path, Query, whole},
    problems::Problems,
};

/// A message to post.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewMessage {
    /// The author's id. The author need not be a member.
    #[schema(min_length = 1, max_length = 128)]
    user_id: String,
    /// The author's name. Defaults to their last known name.
    name: Option<String>,
    #[schema(min_length = 1)]
    text: String,
    /// An id for retries: a second post with the same room, author and clientId returns the first result.
    #[schema(min_length = 1)]
    client_id: Option<String>,
    /// The seq of the message that this one replies to.
    #[serde(default, deserialize_with = "whole")]
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    reply_to: Option<u64>,
    /// The ids of the mentioned users.
    mentions: Option<Vec<String>>,
    /// Custom fields of the app.
    #[schema(value_type = Option<Map<String, Value>>)]
    metadata: Option<Metadata>,
}

/// The posted message.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Sent {
    id: String,
    room: String,
    seq: u64,
    /// Milliseconds since 1970.
    at: i64,
    /// True if an earlier post with the same clientId stored it.
    duplicate: bool,
}

/// The wanted part of the history: the newest messages, the newest before a seq, or the oldest after a seq.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct HistoryQuery {
    #[param(minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    before: Option<u64>,
    #[param(maximum = 9_007_199_254_740_991_u64)]
    after: Option<u64>,
    /// The most messages to return. Defaults to 50, capped at `limits.history_page`.
    #[param(value_type = Option<u64>, maximum = 4_294_967_295_u64)]
    limit: Option<u32>,
}

/// Posts a message in the name of a user.
#[utoipa::path(post, operation_id = "postMessage", path = "/api/v1/rooms/{room}/messages", tag = "messages",
    params(("room" = String, Path, description = "The room's name.", min_length = 1, max_length = 128)),
    request_body = NewMessage,
    responses((status = 201, description = "The message is committed.", body = Sent), Problems))]
pub(super) async fn post(
    State(chat): State<ChatServer>,
    Path(Name(room)): Path<Name>,
    Body(message): Body<NewMessage>,
) -> Result<Changed<Sent>, Problem> {
    let author = message.user_id.clone();
    let post = Post {
        user_id: message.user_id,
        name: message.name,
        text: message.text,
        client_id: message.client_id,
        reply_to: message.reply_to,
        mentions: message.mentions.unwrap_or_default(),
        metadata: message.metadata,
    };
    let posted = chat.post(&room, post).await?;
    let sent = Sent {
        id: posted.id,
        room: posted.room,
        seq: posted.seq,
        at: posted.at,
        duplicate: posted.duplicate,
    };
    let changed = Changed {
        user: Some(author),
        ..Changed::to(sent)
    };
    Ok(changed.created(true))
}

/// Reads a page of a room's messages.
#[utoipa::path(get, operation_id = "readMessages", path = "/api/v1/rooms/{room}/messages", tag = "messages",
    params(
        ("room" = String, Path, description = "The room's name.", min_length = 1, max_length = 128),
        HistoryQuery),
    responses(
        (status = 200, description = "A page of messages, oldest first.",
            body = ref("#/components/schemas/HistoryPage")),
        Problems))]
pub(super) async fn list(
    State(chat): State<ChatServer>,
    Path(Name(room)): Path<Name>,
    Query(query): Query<HistoryQuery>,
) -> Result<Response, Problem> {
    let is_seq = |seq: &u64| *seq <= MAX_SEQ;
    if query.before == Some(0) || !query.before.iter().chain(&query.after).all(is_seq) {
        let what = format!("before must be a seq from 1 to {MAX_SEQ}, and after one from 0");
        return Err(Problem::Invalid(what));
    }
    let page = chat
        .history(&room, query.before, query.after, query.limit)
        .await?;
    let json = HeaderValue::from_static("application/json");
    let body = ResponseBody::from(Box::<str>::from(page).into_string());
    Ok(([(header::CONTENT_TYPE, json)], body).into_response())
}
