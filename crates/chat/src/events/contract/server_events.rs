//! The payload of each server event.

use schemars::JsonSchema;

use super::{Describe, describe};
use crate::events::{
    blocks::{self, BlockChanged},
    chat::{self, MarkedBy, OnlineUsers, RoomAdded, RoomDeleted, RoomRemoved, UserInRoom},
    connection::{self, Draining, ErrorEvent, SessionBegan, SessionEnded, TokenExpires},
    inbox::{self, UnreadIn},
    log::{self, LiveChange, MessageView},
    moderation::{self, Moderation},
    notification::{self, NotificationView, Unread},
    presence::{self, Offline, Online, ShowsAs},
    standing::{self, RoomState},
    user::{self, UserUpdated},
};

/// The type of one server event.
pub(super) struct ServerEvent {
    pub(super) name: &'static str,
    pub(super) summary: &'static str,
    pub(super) payload: Describe,
}

const fn event<P: JsonSchema>(name: &'static str, summary: &'static str) -> ServerEvent {
    ServerEvent {
        name,
        summary,
        payload: describe::<P>,
    }
}

pub(super) const ALL: &[ServerEvent] = &[
    event::<SessionBegan<'static>>(connection::SESSION, "The first event of every connection."),
    event::<SessionEnded>(
        connection::SESSION_ENDED,
        "The last event before the server ends the connection on purpose.",
    ),
    event::<TokenExpires>(
        connection::TOKEN_EXPIRING,
        "The token is about to end. Refresh it to keep the connection.",
    ),
    event::<MessageView<'static>>(
        chat::RECEIVE_MESSAGE,
        "A message, to all subscribers of the room.",
    ),
    event::<LiveChange<'static>>(log::MESSAGE_EDITED, "An edit, to all subscribers of the room."),
    event::<LiveChange<'static>>(
        log::MESSAGE_DELETED,
        "A deletion, to all subscribers of the room.",
    ),
    event::<LiveChange<'static>>(
        log::REACTION,
        "A reaction or its removal, to all subscribers of the room.",
    ),
    event::<MarkedBy<'static>>(
        chat::MESSAGE_READ,
        "A member's read mark, to the room's other sockets.",
    ),
    event::<MarkedBy<'static>>(
        chat::MESSAGE_DELIVERED,
        "A member's delivered mark, to the room's other sockets.",
    ),
    event::<UnreadIn<'static>>(
        inbox::UNREAD,
        "Counts of a room, to the user's sockets that are not subscribed to it.",
    ),
    event::<UserInRoom<'static>>(chat::TYPING_START, "A user types, to the others in the room."),
    event::<UserInRoom<'static>>(
        chat::TYPING_STOP,
        "A user stopped typing, to the others in the room.",
    ),
    event::<UserInRoom<'static>>(chat::MEMBER_JOINED, "A new member, to the room."),
    event::<UserInRoom<'static>>(chat::MEMBER_LEFT, "A member is gone, to the room."),
    event::<RoomAdded<'static>>(chat::ROOM_ADDED, "A new membership, to all the user's sockets."),
    event::<RoomRemoved<'static>>(
        chat::ROOM_REMOVED,
        "The end of a membership, to all the user's sockets.",
    ),
    event::<Moderation>(
        moderation::MODERATION,
        "An act of moderation, to the room's moderators and the user concerned, or to the whole room.",
    ),
    event::<RoomState<'static>>(
        standing::ROOM_STATE,
        "What the user may do in a room, to a recovered session that may have missed an act of moderation.",
    ),
    event::<BlockChanged<'static>>(
        blocks::BLOCK_CHANGED,
        "The user has blocked or unblocked somebody, to the user's other sockets.",
    ),
    event::<RoomDeleted<'static>>(chat::ROOM_DELETED, "The room was deleted, to its subscribers."),
    event::<OnlineUsers<'static>>(
        chat::ONLINE_USERS,
        "The list that `chat:get_online_users` asked for.",
    ),
    event::<Online<'static>>(
        presence::ONLINE,
        "A user came online, to users who share a room and to subscribers.",
    ),
    event::<Offline<'static>>(
        presence::OFFLINE,
        "A user went offline, to users who share a room and to subscribers.",
    ),
    event::<ShowsAs<'static>>(
        presence::STATUS,
        "A user's new status, to users who share a room, to subscribers, and to their other devices.",
    ),
    event::<UserUpdated<'static>>(
        user::UPDATED,
        "A user has a new profile, to users who share a room.",
    ),
    event::<NotificationView<'static>>(
        notification::RECEIVE,
        "A notification, to all the user's devices.",
    ),
    event::<Unread>(
        notification::UNREAD,
        "The count of unread notifications, to the user's other sockets.",
    ),
    event::<Draining>(
        connection::DRAINING,
        "The server is about to stop and ends the connection.",
    ),
    event::<ErrorEvent<'static>>(connection::ERROR, "A failure of an event without a callback."),
];
