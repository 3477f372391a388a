//! The payload and the ack data of each client event.

use schemars::JsonSchema;

use super::{Describe, describe};
use crate::events::{
    EventKind,
    blocks::{BlockUser, Blocked, Blocks, Unblocked},
    chat::{
        DeliveredMark, GetHistory, GetMembers, HistoryPage, InRoom, Join, Joined, Left, Mark, MembersPage,
        OnlineUsers, ReadMark, SendMessage, Sent,
    },
    connection::{ClientError, Nothing, Pong, RefreshToken, TokenExpires},
    inbox::{AskInbox, InboxPage, Sync, Synced},
    log::{Changed, DeleteMessage, EditMessage, React},
    moderation::{Moderate, Moderated},
    notification::{List, Listed, ReadWhich, Unread},
    presence::{SetStatus, States, Users},
    reports::{ReportMessage, ReportedMessage},
    user::{GetUsers, UserProfiles},
};

/// The types of one client event.
pub(super) struct ClientEvent {
    pub(super) summary: &'static str,
    pub(super) payload: Describe,
    pub(super) ack: Describe,
}

/// An event with payload `P` and ack data `A`.
const fn event<P: JsonSchema, A: JsonSchema>(summary: &'static str) -> ClientEvent {
    ClientEvent {
        summary,
        payload: describe::<P>,
        ack: describe::<A>,
    }
}

pub(super) const fn of(kind: EventKind) -> ClientEvent {
    match kind {
        EventKind::Join => event::<Join, Joined<'static>>(
            "Makes the user a member of the room, subscribes this socket, and returns what it missed.",
        ),
        EventKind::Leave => event::<InRoom, Left<'static>>("Ends the membership on all the user's sockets."),
        EventKind::Unsubscribe => {
            event::<InRoom, Left<'static>>("Ends the subscription of this socket. The membership stays.")
        }
        EventKind::Send => {
            event::<SendMessage, Sent<'static>>("Stores a message and sends it to the room's subscribers.")
        }
        EventKind::Edit => {
            event::<EditMessage, Changed<'static>>("Replaces the text of the user's own message.")
        }
        EventKind::Delete => event::<DeleteMessage, Changed<'static>>(
            "Removes the content of a message, for its author and for moderators.",
        ),
        EventKind::React => {
            event::<React, Changed<'static>>("Adds or removes the user's reaction to a message.")
        }
        EventKind::TypingStart => event::<InRoom, Nothing>("Tells the room that the user types."),
        EventKind::TypingStop => event::<InRoom, Nothing>("Tells the room that the user stopped typing."),
        EventKind::Read => event::<Mark, ReadMark<'static>>("Marks everything up to a seq as read."),
        EventKind::Delivered => {
            event::<Mark, DeliveredMark<'static>>("Marks everything up to a seq as delivered to a device.")
        }
        EventKind::OnlineUsers => event::<InRoom, OnlineUsers<'static>>("Lists the room's online users."),
        EventKind::Members => {
            event::<GetMembers, MembersPage<'static>>("Lists the room's members by user id.")
        }
        EventKind::History => event::<GetHistory, HistoryPage<'static>>("Reads a page of the room's log."),
        EventKind::Sync => event::<Sync, Synced<'static>>(
            "Subscribes to rooms of which the user is a member, and returns what the client missed in each.",
        ),
        EventKind::Inbox => event::<AskInbox, InboxPage<'static>>(
            "Lists the user's rooms, the one with the latest message first.",
        ),
        EventKind::PresenceSubscribe => {
            event::<Users, States>("Returns the users' presence and sends its changes from now on.")
        }
        EventKind::PresenceUnsubscribe => {
            event::<Users, States>("Ends presence subscriptions and returns the users' presence.")
        }
        EventKind::SetStatus => event::<SetStatus, Nothing>("Sets the user's status on all their devices."),
        EventKind::NotificationList => {
            event::<List, Listed<'static>>("Lists the user's notifications, newest first.")
        }
        EventKind::NotificationRead => {
            event::<ReadWhich, Unread>("Marks one notification as read, or all of them.")
        }
        EventKind::RefreshToken => {
            event::<RefreshToken, TokenExpires>("Replaces the token of the live connection.")
        }
        EventKind::Moderate => event::<Moderate, Moderated<'static>>(
            "Bans and mutes, slow mode, freezing and deletion, for moderators of the room.",
        ),
        EventKind::Block => event::<BlockUser, Blocked>(
            "Blocks a user: their mentions, notifications and presence requests no longer reach this user.",
        ),
        EventKind::Unblock => event::<BlockUser, Unblocked>("Ends a block."),
        EventKind::Blocks => event::<Nothing, Blocks>("Lists the users whom the user has blocked."),
        EventKind::Report => event::<ReportMessage, ReportedMessage>(
            "Reports a message to the moderators. A second report of the same message returns the first one.",
        ),
        EventKind::GetUsers => event::<GetUsers, UserProfiles<'static>>("Returns the profiles of users."),
        EventKind::Ping => event::<Nothing, Pong>("Checks that the connection is alive."),
        EventKind::ClientError => {
            event::<ClientError, Nothing>("Reports an error of the client to the server's log.")
        }
    }
}
