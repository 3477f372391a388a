//! Posting to rooms and reading their history.

use axum::{
    Json,
    body::Body as ResponseBody,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::{HeaderValue, StatusCode, header};
use roomful_chat::{ChatServer, admin::Post, types::MAX_SEQ};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::{
    Problem,
    body::{Body, Path, Query},
    openapi::Problems,
};

/// A message to be posted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewMessage {
    /// Its author, who need not be a member.
    #[schema(min_length = 1, max_length = 128)]
    user_id: String,
    /// The author's name; without one, that which is remembered of them.
    name: Option<String>,
    #[schema(min_length = 1)]
    text: String,
    /// A second post under the same (room, author, clientId) is a retry and gets the first answer.
    #[schema(min_length = 1)]
    client_id: Option<String>,
    /// The seq of the message that it answers.
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    reply_to: Option<u64>,
    /// The ids of the users that it mentions.
    mentions: Option<Vec<String>>,
    /// The app's own fields.
    metadata: Option<Map<String, Value>>,
}

/// Where a message is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Sent {
    id: String,
    room: String,
    seq: u64,
    /// Milliseconds since 1970.
    at: i64,
    /// It was there already, from an earlier post under the same clientId.
    duplicate: bool,
}

/// Which messages are wanted: the newest, the newest before a seq, or the oldest after one.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct HistoryQuery {
    #[param(minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    before: Option<u64>,
    #[param(maximum = 9_007_199_254_740_991_u64)]
    after: Option<u64>,
    /// Messages at most; 50 unless told, and never more than `limits.history_page`.
    #[param(value_type = Option<u64>, maximum = 4_294_967_295_u64)]
    limit: Option<u32>,
}

/// A message.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what `roomful_chat` answers as JSON")]
pub(super) struct Message {
    id: String,
    room: String,
    seq: u64,
    user_id: String,
    #[schema(nullable = false)]
    name: Option<String>,
    /// Milliseconds since 1970.
    at: i64,
    #[schema(nullable = false)]
    client_id: Option<String>,
    text: String,
    #[schema(nullable = false)]
    reply_to: Option<u64>,
    #[schema(nullable = false)]
    mentions: Option<Vec<String>>,
    #[schema(nullable = false)]
    metadata: Option<Map<String, Value>>,
    /// When its text was last changed.
    #[schema(nullable = false)]
    edited_at: Option<i64>,
    /// It was deleted, and its text is empty.
    #[schema(nullable = false)]
    deleted: Option<bool>,
    #[schema(nullable = false)]
    reactions: Option<Vec<Reactions>>,
}

/// All who reacted to a message in the same way.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what `roomful_chat` answers as JSON")]
pub(super) struct Reactions {
    emoji: String,
    /// Not all of them, if there are many.
    user_ids: Vec<String>,
    count: u64,
}

/// A change of a message, with a place of its own in the log.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what `roomful_chat` answers as JSON")]
pub(super) struct Change {
    /// `edited`, `deleted` or `reaction`.
    r#type: String,
    /// The message.
    seq: u64,
    /// The change's own place.
    log_seq: u64,
    user_id: String,
    at: i64,
    #[schema(nullable = false)]
    text: Option<String>,
    #[schema(nullable = false)]
    emoji: Option<String>,
    #[schema(nullable = false)]
    removed: Option<bool>,
}

/// A page of messages, oldest first.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes what `roomful_chat` answers as JSON")]
pub(super) struct History {
    room: String,
    epoch: String,
    /// As they are now.
    messages: Vec<Message>,
    /// What was changed within the page.
    changes: Vec<Change>,
    /// Whether there are more of them on the side where the page was cut.
    more: bool,
}

/// Posts a message, as a client of its author would send it.
#[utoipa::path(post, operation_id = "postMessage", path = "/api/v1/rooms/{room}/messages", tag = "messages",
    params(("room" = String, Path, description = "The room's name.", min_length = 1, max_length = 128)), request_body = NewMessage,
    responses((status = 201, description = "It is committed.", body = Sent), Problems))]
pub(super) async fn post(
    State(chat): State<ChatServer>,
    Path(room): Path<String>,
    Body(message): Body<NewMessage>,
) -> Result<(StatusCode, Json<Sent>), Problem> {
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
    Ok((StatusCode::CREATED, Json(sent)))
}

/// Reads a page of a room's messages.
#[utoipa::path(get, operation_id = "readMessages", path = "/api/v1/rooms/{room}/messages", tag = "messages",
    params(("room" = String, Path, description = "The room's name.", min_length = 1, max_length = 128), HistoryQuery),
    responses((status = 200, body = History), Problems))]
pub(super) async fn list(
    State(chat): State<ChatServer>,
    Path(room): Path<String>,
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
