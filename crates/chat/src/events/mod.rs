//! The names of all events and their JSON, in both directions.
//!
//! A client's event is decoded here to a [`Command`] and checked against the limits. Acks and server events
//! are structs here. No other module knows the name of an event.

pub(crate) mod blocks;
pub(crate) mod chat;
pub(crate) mod connection;
pub mod contract;
mod fields;
pub(crate) mod inbox;
pub(crate) mod laws;
pub(crate) mod log;
pub(crate) mod moderation;
pub(crate) mod notification;
pub(crate) mod presence;
pub(crate) mod reports;
mod shapes;
pub(crate) mod standing;
pub(crate) mod user;
pub mod webhook;

use roomful_socket::Payload;
use serde_json::Value;

use crate::{error::ChatError, types::Limits};
use fields::Fields;

/// The events that clients send, in the order of the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventKind {
    Join,
    Leave,
    Send,
    Edit,
    Delete,
    React,
    TypingStart,
    TypingStop,
    Read,
    Delivered,
    OnlineUsers,
    History,
    Sync,
    Inbox,
    PresenceSubscribe,
    PresenceUnsubscribe,
    SetStatus,
    NotificationList,
    NotificationRead,
    RefreshToken,
    ClientError,
    Unsubscribe,
    Members,
    Ping,
    Moderate,
    Block,
    Unblock,
    Blocks,
    Report,
    GetUsers,
}

impl EventKind {
    pub(crate) const ALL: [Self; 30] = [
        Self::Join,
        Self::Leave,
        Self::Send,
        Self::Edit,
        Self::Delete,
        Self::React,
        Self::TypingStart,
        Self::TypingStop,
        Self::Read,
        Self::Delivered,
        Self::OnlineUsers,
        Self::History,
        Self::Sync,
        Self::Inbox,
        Self::PresenceSubscribe,
        Self::PresenceUnsubscribe,
        Self::SetStatus,
        Self::NotificationList,
        Self::NotificationRead,
        Self::RefreshToken,
        Self::ClientError,
        Self::Unsubscribe,
        Self::Members,
        Self::Ping,
        Self::Moderate,
        Self::Block,
        Self::Unblock,
        Self::Blocks,
        Self::Report,
        Self::GetUsers,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Join => chat::JOIN,
            Self::Leave => chat::LEAVE,
            Self::Send => chat::SEND_MESSAGE,
            Self::Edit => log::EDIT_MESSAGE,
            Self::Delete => log::DELETE_MESSAGE,
            Self::React => log::REACT,
            Self::TypingStart => chat::TYPING_START,
            Self::TypingStop => chat::TYPING_STOP,
            Self::Read => chat::MESSAGE_READ,
            Self::Delivered => chat::MESSAGE_DELIVERED,
            Self::OnlineUsers => chat::GET_ONLINE_USERS,
            Self::History => chat::GET_HISTORY,
            Self::Sync => inbox::SYNC,
            Self::Inbox => inbox::INBOX,
            Self::PresenceSubscribe => presence::SUBSCRIBE,
            Self::PresenceUnsubscribe => presence::UNSUBSCRIBE,
            Self::SetStatus => presence::SET_STATUS,
            Self::NotificationList => notification::LIST,
            Self::NotificationRead => notification::READ,
            Self::RefreshToken => connection::TOKEN_REFRESH,
            Self::ClientError => connection::ERROR,
            Self::Unsubscribe => chat::UNSUBSCRIBE,
            Self::Members => chat::GET_MEMBERS,
            Self::Ping => connection::SESSION_PING,
            Self::Moderate => moderation::MODERATE,
            Self::Block => blocks::BLOCK,
            Self::Unblock => blocks::UNBLOCK,
            Self::Blocks => blocks::BLOCKS,
            Self::Report => reports::REPORT,
            Self::GetUsers => user::GET,
        }
    }

    pub(crate) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A decoded and validated client event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Command {
    Join(chat::Join),
    Leave(chat::InRoom),
    Send(chat::SendMessage),
    Change(log::ChangeMessage),
    TypingStart(chat::InRoom),
    TypingStop(chat::InRoom),
    Read(chat::Mark),
    Delivered(chat::Mark),
    OnlineUsers(chat::InRoom),
    History(chat::GetHistory),
    Sync(inbox::Sync),
    Inbox(inbox::AskInbox),
    PresenceSubscribe(presence::Users),
    PresenceUnsubscribe(presence::Users),
    SetStatus(presence::SetStatus),
    NotificationList(notification::List),
    NotificationRead(notification::ReadWhich),
    RefreshToken(connection::RefreshToken),
    ClientError(connection::ClientError),
    Unsubscribe(chat::InRoom),
    Members(chat::GetMembers),
    Ping,
    Moderate(moderation::Moderate),
    Block(blocks::BlockUser),
    Unblock(blocks::BlockUser),
    Blocks,
    Report(reports::ReportMessage),
    GetUsers(user::GetUsers),
}

impl Command {
    /// Decodes the first argument of an event, which `source` has as JSON text.
    ///
    /// # Errors
    /// `invalid_request` or `payload_too_large`, with the field and its rule.
    pub(crate) fn decode(
        kind: EventKind,
        payload: Option<Value>,
        source: &Payload,
        limits: &Limits,
    ) -> Result<Self, ChatError> {
        let metadata = match &payload {
            Some(Value::Object(fields)) if fields.contains_key("metadata") => chat::raw_metadata(source),
            _ => None,
        };
        // A bare room name stands for `{room}` if nothing else is required.
        let payload = match payload {
            Some(Value::String(room)) if kind.takes_a_bare_room() => serde_json::json!({ "room": room }),
            Some(payload) if !payload.is_null() => payload,
            // Events without required fields also work without a payload, or with `null`.
            _ if kind.requires_nothing() => Value::Object(serde_json::Map::new()),
            _ => Value::Null,
        };
        let fields = &mut Fields::of(kind.name(), payload)?;
        Ok(match kind {
            EventKind::Join => Self::Join(chat::Join::read(fields, limits)?),
            EventKind::Leave => Self::Leave(chat::InRoom::read(fields)?),
            EventKind::Send => Self::Send(chat::SendMessage::read(fields, metadata, limits)?),
            EventKind::Edit => Self::Change(log::ChangeMessage::read_edit(fields, limits)?),
            EventKind::Delete => Self::Change(log::ChangeMessage::read_delete(fields, limits)?),
            EventKind::React => Self::Change(log::ChangeMessage::read_reaction(fields, limits)?),
            EventKind::TypingStart => Self::TypingStart(chat::InRoom::read(fields)?),
            EventKind::TypingStop => Self::TypingStop(chat::InRoom::read(fields)?),
            EventKind::Read => Self::Read(chat::Mark::read(fields)?),
            EventKind::Delivered => Self::Delivered(chat::Mark::read(fields)?),
            EventKind::OnlineUsers => Self::OnlineUsers(chat::InRoom::read(fields)?),
            EventKind::History => Self::History(chat::GetHistory::read(fields, limits)?),
            EventKind::Sync => Self::Sync(inbox::Sync::read(fields, limits)?),
            EventKind::Inbox => Self::Inbox(inbox::AskInbox::read(fields, limits)?),
            EventKind::PresenceSubscribe => Self::PresenceSubscribe(presence::Users::read(fields, limits)?),
            EventKind::PresenceUnsubscribe => {
                Self::PresenceUnsubscribe(presence::Users::read(fields, limits)?)
            }
            EventKind::SetStatus => Self::SetStatus(presence::SetStatus::read(fields, limits)?),
            EventKind::NotificationList => Self::NotificationList(notification::List::read(fields, limits)?),
            EventKind::NotificationRead => Self::NotificationRead(notification::ReadWhich::read(fields)?),
            EventKind::RefreshToken => Self::RefreshToken(connection::RefreshToken::read(fields)?),
            EventKind::ClientError => Self::ClientError(connection::ClientError::read(fields)),
            EventKind::Unsubscribe => Self::Unsubscribe(chat::InRoom::read(fields)?),
            EventKind::Members => Self::Members(chat::GetMembers::read(fields, limits)?),
            EventKind::Ping => Self::Ping,
            EventKind::Moderate => Self::Moderate(moderation::Moderate::read(fields, limits)?),
            EventKind::Block => Self::Block(blocks::BlockUser::read(fields)?),
            EventKind::Unblock => Self::Unblock(blocks::BlockUser::read(fields)?),
            EventKind::Blocks => Self::Blocks,
            EventKind::Report => Self::Report(reports::ReportMessage::read(fields, limits)?),
            EventKind::GetUsers => Self::GetUsers(user::GetUsers::read(fields, limits)?),
        })
    }
}

impl EventKind {
    const fn requires_nothing(self) -> bool {
        matches!(
            self,
            Self::Inbox | Self::NotificationList | Self::Ping | Self::Blocks
        )
    }

    const fn takes_a_bare_room(self) -> bool {
        matches!(
            self,
            Self::Join
                | Self::Leave
                | Self::TypingStart
                | Self::TypingStop
                | Self::OnlineUsers
                | Self::History
                | Self::Unsubscribe
                | Self::Members
        )
    }
}
