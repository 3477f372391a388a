//! The one place that knows the names of events and their JSON, in both directions.
//!
//! A client's event becomes a [`Command`] here, checked against the limits; what a handler answers or the server
//! emits is a struct here. Nothing else in the crate spells an event's name.

pub(crate) mod chat;
pub(crate) mod connection;
mod fields;
pub(crate) mod inbox;
pub(crate) mod log;
pub(crate) mod notification;
pub(crate) mod presence;
pub mod webhook;

use serde_json::Value;

use crate::{error::ChatError, types::Limits};
use fields::Fields;

/// The names of the events that clients send, in the order of [`EventKind`]'s metrics.
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
}

impl EventKind {
    pub(crate) const ALL: [Self; 21] = [
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
        }
    }

    pub(crate) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What a client asks for, decoded and checked.
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
}

impl Command {
    /// Reads the first argument of an event.
    ///
    /// # Errors
    /// `invalid_request` or `payload_too_large`, naming the field and what it may be.
    pub(crate) fn decode(
        kind: EventKind,
        payload: Option<Value>,
        limits: &Limits,
    ) -> Result<Self, ChatError> {
        // The bare room stands for `{room}` where nothing else is required.
        let payload = match payload {
            Some(Value::String(room)) if kind.takes_a_bare_room() => serde_json::json!({ "room": room }),
            Some(payload) => payload,
            // Nothing is required: no payload stands for an empty one.
            None if kind.requires_nothing() => Value::Object(serde_json::Map::new()),
            None => Value::Null,
        };
        let fields = &mut Fields::of(kind.name(), payload)?;
        Ok(match kind {
            EventKind::Join => Self::Join(chat::Join::read(fields, limits)?),
            EventKind::Leave => Self::Leave(chat::InRoom::read(fields)?),
            EventKind::Send => Self::Send(chat::SendMessage::read(fields, limits)?),
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
        })
    }
}

impl EventKind {
    const fn requires_nothing(self) -> bool {
        matches!(self, Self::Inbox | Self::NotificationList)
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
        )
    }
}
