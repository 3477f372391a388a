//! The `chat:*` events: what clients send, what they are answered, what they are told.

use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    fields::Fields,
    inbox::EPOCH_CHARS,
    log::{LoggedChange, MessageView},
};
use crate::{
    error::ChatError,
    types::{Draft, Limits, RoomName},
};

pub(crate) const JOIN: &str = "chat:join";
pub(crate) const LEAVE: &str = "chat:leave";
pub(crate) const SEND_MESSAGE: &str = "chat:send_message";
pub(crate) const RECEIVE_MESSAGE: &str = "chat:receive_message";
pub(crate) const TYPING_START: &str = "chat:typing_start";
pub(crate) const TYPING_STOP: &str = "chat:typing_stop";
pub(crate) const MESSAGE_READ: &str = "chat:message_read";
pub(crate) const MESSAGE_DELIVERED: &str = "chat:message_delivered";
pub(crate) const GET_ONLINE_USERS: &str = "chat:get_online_users";
pub(crate) const ONLINE_USERS: &str = "chat:online_users";
pub(crate) const GET_HISTORY: &str = "chat:get_history";
pub(crate) const MEMBER_JOINED: &str = "chat:member_joined";
pub(crate) const MEMBER_LEFT: &str = "chat:member_left";
pub(crate) const ROOM_DELETED: &str = "chat:room_deleted";

/// `{room}`: all that leaving, typing and asking who is online take.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct InRoom {
    pub(crate) room: RoomName,
}

impl InRoom {
    pub(super) fn read(fields: &mut Fields) -> Result<Self, ChatError> {
        Ok(Self { room: fields.room()? })
    }
}

/// `chat:join {room, since?, epoch?, limit?}`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Join {
    pub(crate) room: RoomName,
    pub(crate) since: Option<u64>,
    pub(crate) epoch: Option<String>,
    pub(crate) limit: u32,
}

impl Join {
    pub(super) fn read(fields: &mut Fields, limits: &Limits) -> Result<Self, ChatError> {
        Ok(Self {
            room: fields.room()?,
            since: fields.number("since", 0)?,
            epoch: fields.text("epoch", EPOCH_CHARS)?,
            limit: fields.page(limits.default_page, limits.max_page)?,
        })
    }
}

/// `chat:send_message {room, text, clientId?, replyTo?, mentions?, metadata?}`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SendMessage {
    pub(crate) room: RoomName,
    pub(crate) client_id: Option<String>,
    pub(crate) draft: Draft,
}

impl SendMessage {
    /// A message that does not come from a client, held to the same rules.
    pub(crate) fn posted(payload: Value, limits: &Limits) -> Result<Self, ChatError> {
        Self::read(&mut Fields::of("the message", payload)?, limits)
    }

    pub(super) fn read(fields: &mut Fields, limits: &Limits) -> Result<Self, ChatError> {
        let room = fields.room()?;
        let text = fields.message_text(limits)?;
        let client_id = fields.text("clientId", limits.client_id_chars)?;
        let reply_to = fields.number("replyTo", 1)?;
        let mentions = fields.users("mentions", limits.mentions)?.unwrap_or_default();
        let metadata = read_metadata(fields, limits)?;
        Ok(Self {
            room,
            client_id,
            draft: Draft {
                text,
                reply_to,
                mentions,
                metadata,
            },
        })
    }
}

fn read_metadata(fields: &mut Fields, limits: &Limits) -> Result<Option<Map<String, Value>>, ChatError> {
    match fields.take("metadata") {
        None => Ok(None),
        Some(metadata @ Value::Object(_)) => {
            if metadata.to_string().len() > limits.metadata_bytes {
                return Err(fields.too_large("metadata", &format!("{} bytes of JSON", limits.metadata_bytes)));
            }
            Ok(metadata.as_object().cloned())
        }
        Some(_) => Err(fields.wrong("metadata", "must be an object")),
    }
}

/// `chat:message_read {room, seq}`, `chat:message_delivered {room, seq}`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mark {
    pub(crate) room: RoomName,
    pub(crate) seq: u64,
}

impl Mark {
    pub(super) fn read(fields: &mut Fields) -> Result<Self, ChatError> {
        Ok(Self {
            room: fields.room()?,
            seq: fields.seq("the newest seq that the mark is to include")?,
        })
    }
}

/// Where a page of history lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Span {
    /// The newest messages.
    Latest,
    /// The newest ones older than this seq.
    Before(u64),
    /// The oldest ones newer than this seq.
    After(u64),
}

/// `chat:get_history {room, before?, after?, limit?}`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GetHistory {
    pub(crate) room: RoomName,
    pub(crate) span: Span,
    pub(crate) limit: u32,
}

impl GetHistory {
    pub(super) fn read(fields: &mut Fields, limits: &Limits) -> Result<Self, ChatError> {
        let room = fields.room()?;
        let span = match (fields.number("before", 1)?, fields.number("after", 0)?) {
            (None, None) => Span::Latest,
            (Some(before), None) => Span::Before(before),
            (None, Some(after)) => Span::After(after),
            (Some(_), Some(_)) => {
                return Err(fields.wrong("before", "and after exclude each other; give one"));
            }
        };
        Ok(Self {
            room,
            span,
            limit: fields.page(limits.default_page, limits.max_page)?,
        })
    }
}

/// The id of a message: unique for good, because the epoch changes whenever numbering could start anew.
pub(crate) fn message_id(epoch: &str, seq: u64) -> String {
    format!("{epoch}-{seq}")
}

/// The ack of `chat:join`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Joined<'a> {
    pub(crate) room: &'a RoomName,
    pub(crate) epoch: &'a str,
    pub(crate) head: u64,
    pub(crate) messages: Vec<MessageView<'a>>,
    pub(crate) changes: Vec<LoggedChange<'a>>,
    pub(crate) more: bool,
    pub(crate) reset: bool,
    pub(crate) read_seq: u64,
    pub(crate) delivered_seq: u64,
    pub(crate) unread: u64,
    pub(crate) mentions: u64,
    pub(crate) online: usize,
}

/// The ack of `chat:leave`.
#[derive(Debug, Serialize)]
pub(crate) struct Left<'a> {
    pub(crate) room: &'a RoomName,
}

/// The ack of `chat:send_message`.
#[derive(Debug, Serialize)]
pub(crate) struct Sent<'a> {
    pub(crate) id: String,
    pub(crate) room: &'a RoomName,
    pub(crate) seq: u64,
    pub(crate) at: i64,
    pub(crate) duplicate: bool,
}

/// The ack of `chat:message_read`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReadMark<'a> {
    pub(crate) room: &'a RoomName,
    pub(crate) read_seq: u64,
    pub(crate) unread: u64,
    pub(crate) mentions: u64,
}

/// The ack of `chat:message_delivered`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeliveredMark<'a> {
    pub(crate) room: &'a RoomName,
    pub(crate) delivered_seq: u64,
}

/// `chat:message_read` and `chat:message_delivered` as the others get them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MarkedBy<'a> {
    pub(crate) room: &'a RoomName,
    pub(crate) user_id: &'a str,
    pub(crate) seq: u64,
    pub(crate) at: i64,
}

/// `{room, userId}`: typing, member joined, member left.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UserInRoom<'a> {
    pub(crate) room: &'a RoomName,
    pub(crate) user_id: &'a str,
}

/// `chat:room_deleted`.
#[derive(Debug, Serialize)]
pub(crate) struct RoomDeleted<'a> {
    pub(crate) room: &'a RoomName,
}

/// `chat:online_users`, and the ack of asking for it.
#[derive(Debug, Serialize)]
pub(crate) struct OnlineUsers<'a> {
    pub(crate) room: &'a RoomName,
    pub(crate) users: Vec<OnlineUser<'a>>,
}

/// One line of [`OnlineUsers`].
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OnlineUser<'a> {
    pub(crate) user_id: &'a str,
    pub(crate) name: Option<&'a str>,
    pub(crate) status: super::presence::Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<&'a str>,
    pub(crate) last_seen: i64,
}

/// The ack of `chat:get_history`.
#[derive(Debug, Serialize)]
pub(crate) struct HistoryPage<'a> {
    pub(crate) room: &'a RoomName,
    pub(crate) epoch: &'a str,
    pub(crate) messages: Vec<MessageView<'a>>,
    pub(crate) changes: Vec<LoggedChange<'a>>,
    pub(crate) more: bool,
}
