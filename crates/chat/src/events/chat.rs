//! The `chat:*` events of rooms, messages, marks and typing: payloads, acks and server events.

use roomful_socket::Payload;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use super::{
    fields::{EPOCH_CHARS, Fields},
    laws::LawReport,
    log::{LoggedChange, MessageView, PageBounds},
    shapes,
    standing::{Muted, RoleName, Standing},
};
use crate::{
    error::ChatError,
    hooks::Replacement,
    types::{Draft, Limits, Metadata, RoomName, names::USER_ID_CHARS},
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
pub(crate) const UNSUBSCRIBE: &str = "chat:unsubscribe";
pub(crate) const GET_MEMBERS: &str = "chat:get_members";
pub(crate) const ROOM_DELETED: &str = "chat:room_deleted";
pub(crate) const ROOM_ADDED: &str = "chat:room_added";
pub(crate) const ROOM_REMOVED: &str = "chat:room_removed";

/// `{room}`: the payload of `chat:leave`, the typing events and `chat:get_online_users`.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(crate) struct InRoom {
    pub(crate) room: RoomName,
}

impl InRoom {
    pub(super) fn read(fields: &mut Fields) -> Result<Self, ChatError> {
        Ok(Self { room: fields.room()? })
    }
}

/// `chat:join {room, since?, epoch?, limit?}`.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(crate) struct Join {
    pub(crate) room: RoomName,
    #[schemars(with = "Option<shapes::Position>")]
    pub(crate) since: Option<u64>,
    #[schemars(with = "Option<shapes::Epoch>")]
    pub(crate) epoch: Option<String>,
    #[schemars(with = "Option<shapes::PageLimit>")]
    pub(crate) limit: u32,
}

impl Join {
    pub(super) fn read(fields: &mut Fields, limits: &Limits) -> Result<Self, ChatError> {
        Ok(Self {
            room: fields.room()?,
            since: fields.number("since", 0)?,
            epoch: fields.id("epoch", EPOCH_CHARS)?,
            limit: fields.page(limits.default_page, limits.max_page)?,
        })
    }
}

/// `chat:send_message {room, text, clientId?, replyTo?, mentions?, metadata?}`.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(crate) struct SendMessage {
    pub(crate) room: RoomName,
    #[schemars(with = "Option<shapes::ClientId>")]
    pub(crate) client_id: Option<String>,
    #[schemars(flatten, with = "DraftFields")]
    pub(crate) draft: Draft,
}

/// The fields of a [`Draft`] in a payload.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[allow(dead_code, reason = "describes a part of the payload")]
struct DraftFields {
    text: shapes::MessageText,
    /// The seq of the message that this one replies to.
    reply_to: Option<shapes::Seq>,
    mentions: Option<shapes::Mentions>,
    metadata: Option<shapes::AppData>,
}

impl SendMessage {
    /// Validates a message that the backend posts, by the rules for clients.
    pub(crate) fn posted(
        payload: Value,
        metadata: Option<Metadata>,
        limits: &Limits,
    ) -> Result<Self, ChatError> {
        Self::read(&mut Fields::of("the message", payload)?, metadata, limits)
    }

    /// `metadata` comes apart from the fields, which do not keep the order of its keys.
    pub(super) fn read(
        fields: &mut Fields,
        metadata: Option<Metadata>,
        limits: &Limits,
    ) -> Result<Self, ChatError> {
        let room = fields.room()?;
        let text = fields.message_text(limits)?;
        let client_id = fields.id("clientId", limits.client_id_chars)?;
        let reply_to = fields.number("replyTo", 1)?;
        let mut mentions = fields.users("mentions", limits.mentions)?.unwrap_or_default();
        // A set: a retry that lists them in another order is the same message.
        mentions.sort_unstable();
        check_metadata(fields, metadata.as_ref(), limits)?;
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

impl Replacement {
    /// Checks the parts by the rules for messages of clients.
    ///
    /// # Errors
    /// `invalid_request` for an empty text, `payload_too_large` for a part that exceeds its limit.
    pub fn check(&self, limits: &Limits) -> Result<(), ChatError> {
        let text = serde_json::json!({ "text": self.text });
        let mut fields = Fields::of("the message of the hook", text)?;
        if self.text.is_some() {
            fields.message_text(limits)?;
        }
        check_metadata(&mut fields, self.metadata.iter().flatten().next(), limits)
    }
}

fn check_metadata(
    fields: &mut Fields,
    metadata: Option<&Metadata>,
    limits: &Limits,
) -> Result<(), ChatError> {
    match metadata {
        Some(metadata) if !metadata.is_valid() => Err(fields.wrong("metadata", Metadata::RULE)),
        Some(metadata) if metadata.len() > limits.metadata_bytes => {
            Err(fields.too_large("metadata", &format!("{} bytes of JSON", limits.metadata_bytes)))
        }
        Some(_) => Ok(()),
        None if fields.take("metadata").is_none() => Ok(()),
        None => Err(fields.wrong("metadata", Metadata::RULE)),
    }
}

/// The `metadata` of a payload as its author wrote it.
#[derive(Deserialize)]
struct WithMetadata {
    #[serde(default)]
    metadata: Option<Box<RawValue>>,
}

/// Reads the `metadata` of a message's payload; `None` if it has none, or if it is not an object.
pub(super) fn raw_metadata(source: &Payload) -> Option<Metadata> {
    Metadata::new(source.arg::<WithMetadata>(0).ok()?.metadata?)
}

/// `chat:message_read {room, seq, laws?}`, `chat:message_delivered {room, seq, laws?}`.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(crate) struct Mark {
    pub(crate) room: RoomName,
    /// The newest seq that the mark is to include.
    #[schemars(with = "shapes::Seq")]
    pub(crate) seq: u64,
    /// What the client has checked in the room since its last report.
    pub(crate) laws: Option<LawReport>,
}

impl Mark {
    pub(super) fn read(fields: &mut Fields) -> Result<Self, ChatError> {
        Ok(Self {
            room: fields.room()?,
            seq: fields.seq("the newest seq that the mark is to include")?,
            laws: LawReport::read(fields)?,
        })
    }
}

/// The range of a history page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Span {
    /// The newest messages.
    Latest,
    /// The newest messages before this seq.
    Before(u64),
    /// The oldest messages after this seq.
    After(u64),
}

/// The schema of a [`Span`]: `before`, `after` or neither.
fn span(generator: &mut SchemaGenerator) -> Schema {
    let before = generator.subschema_for::<Option<shapes::Seq>>();
    let after = generator.subschema_for::<Option<shapes::Position>>();
    let given = json_schema!({ "not": { "type": "null" } });
    json_schema!({
        "type": "object",
        "properties": { "before": before, "after": after },
        "not": { "properties": { "before": given, "after": given }, "required": ["before", "after"] },
    })
}

/// `chat:get_history {room, before?, after?, limit?}`.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(crate) struct GetHistory {
    pub(crate) room: RoomName,
    #[schemars(flatten, schema_with = "span")]
    pub(crate) span: Span,
    #[schemars(with = "Option<shapes::PageLimit>")]
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

/// `chat:get_members {room, after?, limit?}`.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(crate) struct GetMembers {
    pub(crate) room: RoomName,
    /// The page begins behind this user id.
    #[schemars(with = "Option<shapes::After>")]
    pub(crate) after: Option<String>,
    #[schemars(with = "Option<shapes::PageLimit>")]
    pub(crate) limit: u32,
}

impl GetMembers {
    pub(super) fn read(fields: &mut Fields, limits: &Limits) -> Result<Self, ChatError> {
        Ok(Self {
            room: fields.room()?,
            after: fields.id("after", USER_ID_CHARS)?,
            limit: fields.page(limits.default_page, limits.max_page)?.max(1),
        })
    }
}

/// The ack of `chat:get_members`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct MembersPage<'a> {
    pub(crate) room: &'a RoomName,
    pub(crate) members: Vec<MemberView<'a>>,
    /// The `after` of the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<&'a str>,
}

/// One member of [`MembersPage`].
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Member")]
pub(crate) struct MemberView<'a> {
    pub(crate) user_id: &'a str,
    pub(crate) name: Option<&'a str>,
    /// The URL of the picture.
    pub(crate) avatar: Option<&'a str>,
    pub(crate) role: RoleName,
    pub(crate) read_seq: u64,
    pub(crate) delivered_seq: u64,
    pub(crate) status: super::presence::Status,
    /// The member's mute in this room, for moderators only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) muted: Option<Muted>,
}

/// The id of a message, unique for good: a room gets a new epoch whenever its numbering restarts.
pub(crate) fn message_id(epoch: &str, seq: u64) -> String {
    let seq = seq.to_string();
    [epoch, "-", &seq].concat()
}

/// The ack of `chat:join`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Joined<'a> {
    pub(crate) room: &'a RoomName,
    pub(crate) epoch: &'a str,
    pub(crate) head: u64,
    pub(crate) messages: Vec<MessageView<'a>>,
    pub(crate) changes: Vec<LoggedChange<'a>>,
    #[serde(flatten)]
    pub(crate) bounds: PageBounds,
    pub(crate) reset: bool,
    pub(crate) read_seq: u64,
    pub(crate) delivered_seq: u64,
    pub(crate) unread: u64,
    pub(crate) mentions: u64,
    pub(crate) online: usize,
    #[serde(flatten)]
    pub(crate) standing: Standing,
}

/// The ack of `chat:leave`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Left<'a> {
    pub(crate) room: &'a RoomName,
}

/// The ack of `chat:send_message`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Sent<'a> {
    pub(crate) id: String,
    pub(crate) room: &'a RoomName,
    pub(crate) seq: u64,
    pub(crate) at: i64,
    pub(crate) duplicate: bool,
}

/// The ack of `chat:message_read`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReadMark<'a> {
    pub(crate) room: &'a RoomName,
    pub(crate) read_seq: u64,
    pub(crate) unread: u64,
    pub(crate) mentions: u64,
}

/// The ack of `chat:message_delivered`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeliveredMark<'a> {
    pub(crate) room: &'a RoomName,
    pub(crate) delivered_seq: u64,
}

/// `chat:message_read` and `chat:message_delivered` as the room's other sockets get them.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MarkedBy<'a> {
    pub(crate) room: &'a RoomName,
    pub(crate) user_id: &'a str,
    pub(crate) seq: u64,
    pub(crate) at: i64,
}

/// `{room, userId}`: the typing and membership events.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UserInRoom<'a> {
    pub(crate) room: &'a RoomName,
    pub(crate) user_id: &'a str,
}

/// `chat:room_added`: the user is now a member.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RoomAdded<'a> {
    pub(crate) room: &'a RoomName,
    /// When the membership began, in milliseconds since 1970.
    pub(crate) at: i64,
}

/// `chat:room_removed`: the user is no longer a member, or this socket's token no longer allows the room.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RoomRemoved<'a> {
    pub(crate) room: &'a RoomName,
    pub(crate) reason: Removal,
}

/// Why a user lost a room. Nodes tell it each other by these names, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "RemovalReason")]
pub(crate) enum Removal {
    /// The user left, on some device.
    #[default]
    Left,
    /// The backend ended the membership.
    Removed,
    /// The user was banned.
    Banned,
    /// The room was deleted.
    Deleted,
    /// A newer token of this socket does not allow the room. The membership stays.
    Token,
}

/// `chat:room_deleted`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RoomDeleted<'a> {
    pub(crate) room: &'a RoomName,
}

/// `chat:online_users`, and the ack of `chat:get_online_users`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct OnlineUsers<'a> {
    pub(crate) room: &'a RoomName,
    pub(crate) users: Vec<OnlineUser<'a>>,
}

/// One user of [`OnlineUsers`].
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OnlineUser<'a> {
    pub(crate) user_id: &'a str,
    pub(crate) name: Option<&'a str>,
    /// The URL of the picture.
    pub(crate) avatar: Option<&'a str>,
    pub(crate) status: super::presence::Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<&'a str>,
    pub(crate) last_seen: i64,
}

/// A page of the log, oldest first: the ack of `chat:get_history`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct HistoryPage<'a> {
    pub(crate) room: &'a RoomName,
    pub(crate) epoch: &'a str,
    /// The messages in their present state.
    pub(crate) messages: Vec<MessageView<'a>>,
    pub(crate) changes: Vec<LoggedChange<'a>>,
    #[serde(flatten)]
    pub(crate) bounds: PageBounds,
}
