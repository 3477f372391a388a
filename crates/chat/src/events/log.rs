//! What can happen to a message after it was sent: the commands that change it, what the others are told, and how a
//! page of the log shows it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::fields::Fields;
use crate::{
    error::ChatError,
    types::{Change, Draft, Limits, RoomName},
};

pub(crate) const EDIT_MESSAGE: &str = "chat:edit_message";
pub(crate) const DELETE_MESSAGE: &str = "chat:delete_message";
pub(crate) const REACT: &str = "chat:react";
pub(crate) const MESSAGE_EDITED: &str = "chat:message_edited";
pub(crate) const MESSAGE_DELETED: &str = "chat:message_deleted";
pub(crate) const REACTION: &str = "chat:reaction";

/// The longest reaction, in bytes: a sequence of a family with skin tones fits.
const EMOJI_BYTES: usize = 32;

/// `chat:edit_message {room, seq, text, clientId?}`, `chat:delete_message {room, seq, clientId?}`,
/// `chat:react {room, seq, emoji, remove?, clientId?}`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ChangeMessage {
    pub(crate) room: RoomName,
    pub(crate) seq: u64,
    pub(crate) client_id: Option<String>,
    pub(crate) change: Change,
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
            let emoji = match fields.take("emoji") {
                Some(Value::String(emoji)) if is_emoji(&emoji) => emoji,
                _ => {
                    let must = format!("is required: 1 to {EMOJI_BYTES} bytes without control characters");
                    return Err(fields.wrong("emoji", &must));
                }
            };
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
            client_id: fields.text("clientId", limits.client_id_chars)?,
            change: change(fields)?,
        })
    }
}

/// The app decides which signs it offers: here it is any short text.
fn is_emoji(text: &str) -> bool {
    (1..=EMOJI_BYTES).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// A message as clients see it: in `chat:receive_message` and in every page of history.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MessageView<'a> {
    pub(crate) id: String,
    pub(crate) room: &'a RoomName,
    pub(crate) seq: u64,
    pub(crate) user_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<&'a str>,
    pub(crate) at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_id: Option<&'a str>,
    #[serde(flatten)]
    pub(crate) draft: Cow<'a, Draft>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) edited_at: Option<i64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) deleted: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) reactions: Vec<ReactionsView<'a>>,
}

/// All who reacted to a message in the same way.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReactionsView<'a> {
    pub(crate) emoji: &'a str,
    pub(crate) user_ids: &'a [String],
    pub(crate) count: u64,
}

/// A change of a message. Which of the optional fields there are depends on the change.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChangeView<'a> {
    /// The message.
    pub(crate) seq: u64,
    /// The change's own place in the log.
    pub(crate) log_seq: u64,
    pub(crate) user_id: &'a str,
    pub(crate) at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) emoji: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) removed: Option<bool>,
}

/// `chat:message_edited`, `chat:message_deleted`, `chat:reaction`.
#[derive(Debug, Serialize)]
pub(crate) struct LiveChange<'a> {
    pub(crate) room: &'a RoomName,
    #[serde(flatten)]
    pub(crate) change: ChangeView<'a>,
}

/// A change in a page of the log.
#[derive(Debug, Serialize)]
pub(crate) struct LoggedChange<'a> {
    #[serde(rename = "type")]
    pub(crate) kind: ChangeKind,
    #[serde(flatten)]
    pub(crate) change: ChangeView<'a>,
}

/// What a change is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ChangeKind {
    Edited,
    Deleted,
    Reaction,
}

impl ChangeKind {
    /// The event that tells of it.
    pub(crate) const fn event(self) -> &'static str {
        match self {
            Self::Edited => MESSAGE_EDITED,
            Self::Deleted => MESSAGE_DELETED,
            Self::Reaction => REACTION,
        }
    }
}

/// The ack of a change. A reaction that was there already, or one taken back that was not, has no place in the log.
#[derive(Debug, Serialize)]
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

/// What the store keeps as the body of an edit.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct EditBody<'a> {
    pub(crate) text: Cow<'a, str>,
}
