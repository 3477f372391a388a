//! Mutations of messages and the views of log entries: edit, delete and react events, live and in pages.

use std::{borrow::Cow, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{fields::Fields, shapes};
use crate::{
    error::ChatError,
    types::{Change, Draft, Limits, RoomName, names::check_emoji},
};

pub(crate) const EDIT_MESSAGE: &str = "chat:edit_message";
pub(crate) const DELETE_MESSAGE: &str = "chat:delete_message";
pub(crate) const REACT: &str = "chat:react";
pub(crate) const MESSAGE_EDITED: &str = "chat:message_edited";
pub(crate) const MESSAGE_DELETED: &str = "chat:message_deleted";
pub(crate) const REACTION: &str = "chat:reaction";

/// `chat:edit_message {room, seq, text, clientId?}`, `chat:delete_message {room, seq, clientId?}`,
/// `chat:react {room, seq, emoji, remove?, clientId?}`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ChangeMessage {
    pub(crate) room: RoomName,
    pub(crate) seq: u64,
    pub(crate) client_id: Option<String>,
    pub(crate) change: Change,
}

/// `chat:edit_message {room, seq, text, clientId?}`.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[allow(dead_code, reason = "describes the payload of a `ChangeMessage`")]
pub(super) struct EditMessage {
    room: RoomName,
    /// The seq of the message.
    seq: shapes::Seq,
    text: shapes::MessageText,
    client_id: Option<shapes::ClientId>,
}

/// `chat:delete_message {room, seq, clientId?}`.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[allow(dead_code, reason = "describes the payload of a `ChangeMessage`")]
pub(super) struct DeleteMessage {
    room: RoomName,
    /// The seq of the message.
    seq: shapes::Seq,
    client_id: Option<shapes::ClientId>,
}

/// `chat:react {room, seq, emoji, remove?, clientId?}`.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[allow(dead_code, reason = "describes the payload of a `ChangeMessage`")]
pub(super) struct React {
    room: RoomName,
    /// The seq of the message.
    seq: shapes::Seq,
    emoji: shapes::Emoji,
    /// Removes the reaction instead of adding it.
    remove: Option<bool>,
    client_id: Option<shapes::ClientId>,
}

impl ChangeMessage {
    pub(super) fn read_edit(fields: &mut Fields, limits: &Limits) -> Result<Self, ChatError> {
        Self::read(fields, limits, |fields| {
            Ok(Change::Edit {
                text: fields.message_text(limits)?,
            })
        })
    }

    pub(super) fn read_delete(fields: &mut Fields, limits: &Limits) -> Result<Self, ChatError> {
        Self::read(fields, limits, |_| Ok(Change::Delete))
    }

    pub(super) fn read_reaction(fields: &mut Fields, limits: &Limits) -> Result<Self, ChatError> {
        Self::read(fields, limits, |fields| {
            let Some(Value::String(emoji)) = fields.take("emoji") else {
                return Err(fields.wrong("emoji", "is required: a string"));
            };
            check_emoji(&emoji).map_err(|must| fields.wrong("emoji", must))?;
            let removed = fields.flag("remove")?;
            Ok(Change::Reaction { emoji, removed })
        })
    }

    fn read(
        fields: &mut Fields,
        limits: &Limits,
        change: impl FnOnce(&mut Fields) -> Result<Change, ChatError>,
    ) -> Result<Self, ChatError> {
        Ok(Self {
            room: fields.room()?,
            seq: fields.seq("the seq of the message")?,
            client_id: fields.id("clientId", limits.client_id_chars)?,
            change: change(fields)?,
        })
    }
}

/// A message as clients see it, in `chat:receive_message` and in pages.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Message")]
pub(crate) struct MessageView<'a> {
    pub(crate) id: String,
    pub(crate) room: &'a RoomName,
    pub(crate) seq: u64,
    pub(crate) user_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<&'a str>,
    /// The URL of the author's present picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) avatar: Option<Arc<str>>,
    /// Milliseconds since 1970.
    pub(crate) at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_id: Option<&'a str>,
    #[serde(flatten)]
    pub(crate) draft: Cow<'a, Draft>,
    /// The time of the last edit, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) edited_at: Option<i64>,
    /// Whether the message was deleted. Its text is then empty.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) deleted: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) reactions: Vec<ReactionsView<'a>>,
}

/// The users who reacted to a message with the same emoji.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Reactions")]
pub(crate) struct ReactionsView<'a> {
    pub(crate) emoji: &'a str,
    /// The first users who reacted. `count` has the total.
    pub(crate) user_ids: &'a [String],
    pub(crate) count: u64,
    /// Whether the asking user is among them. Present in the pages that a user asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mine: Option<bool>,
}

/// A mutation as clients see it. Its kind decides which optional fields are present.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChangeView<'a> {
    /// The mutated message.
    pub(crate) seq: u64,
    /// The mutation's own seq in the log.
    pub(crate) log_seq: u64,
    pub(crate) user_id: &'a str,
    pub(crate) at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) emoji: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) removed: Option<bool>,
    /// Whether the receiving user made it. Present in reactions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mine: Option<bool>,
}

/// `chat:message_edited`, `chat:message_deleted`, `chat:reaction`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LiveChange<'a> {
    pub(crate) room: &'a RoomName,
    #[serde(flatten)]
    pub(crate) change: ChangeView<'a>,
}

/// A mutation in a page of the log.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Change")]
pub(crate) struct LoggedChange<'a> {
    #[serde(rename = "type")]
    pub(crate) kind: ChangeKind,
    #[serde(flatten)]
    pub(crate) change: ChangeView<'a>,
}

/// The kind of a mutation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ChangeKind {
    Edited,
    Deleted,
    Reaction,
}

impl ChangeKind {
    /// The live event of this kind.
    pub(crate) const fn event(self) -> &'static str {
        match self {
            Self::Edited => MESSAGE_EDITED,
            Self::Deleted => MESSAGE_DELETED,
            Self::Reaction => REACTION,
        }
    }
}

/// Where a page ends in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PageBounds {
    /// Whether the side on which the page was cut has more entries.
    pub(crate) more: bool,
    /// Whether the log has older entries than the page.
    pub(crate) more_before: bool,
    /// Whether the log has newer entries than the page.
    pub(crate) more_after: bool,
    /// The seq up to which the client has everything with this page. Clients store it as `since`.
    pub(crate) up_to: u64,
}

/// The ack of a mutation. `log_seq` is absent if the reaction changed nothing.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Changed<'a> {
    pub(crate) room: &'a RoomName,
    pub(crate) seq: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) log_seq: Option<u64>,
    pub(crate) duplicate: bool,
}

/// The stored body of an edit.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct EditBody<'a> {
    pub(crate) text: Cow<'a, str>,
}
