//! What an act changes on this node: subscriptions, connections, and the event `chat:moderation`.

use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering},
};

use roomful_socket::{Class, Socket};
use roomful_store::{LogPosition, RoomRow};

use crate::{
    app::App,
    closing::close_sockets,
    events::{
        chat::MEMBER_LEFT,
        connection::SessionEnded,
        moderation::{Announcement, MODERATION},
    },
    handlers::membership,
    room::{Frame, Room},
    session::Session,
    types::{RoomName, UserId},
};

/// The most moderators of a room that hear of its acts.
const MODERATORS: u32 = 200;

/// Tells the room's moderators and the user concerned, on this node. An act about the room as a whole goes to
/// all its sockets.
pub(crate) async fn notify_concerned(app: &App, room: Option<&Room>, notice: &Announcement) {
    let Announcement {
        event: notice,
        to_user,
    } = notice;
    let Some(frame) = Frame::encode(&app.namespace, MODERATION, notice, Class::Durable) else {
        return;
    };
    let Some(concerned) = &notice.user_id else {
        if let Some(room) = room {
            room.emit(&frame, |_| true);
        }
        return;
    };
    // Not through the room: a ban takes the user out of it at the same time.
    if *to_user {
        let name = notice.room.as_deref().and_then(|name| RoomName::new(name).ok());
        let sockets = match &name {
            Some(name) => membership::sockets_allowed(app, concerned, name),
            None => app.connections.sockets(concerned),
        };
        for socket in sockets {
            socket.send_prepared(&frame.event, Class::Durable);
        }
    }
    if let Some(room) = room {
        notify_moderators(app, room, &frame, concerned).await;
    }
}

/// Tells the room's moderators on this node, except for the user concerned, who knows already.
async fn notify_moderators(app: &App, room: &Room, frame: &Frame, concerned: &str) {
    let moderators: HashSet<_> = match app.store.moderators(room.id, MODERATORS).await {
        Ok(moderators) => moderators.into_iter().filter(|user| user != concerned).collect(),
        Err(error) => {
            tracing::warn!(%error, "failed to look up the moderators of a room");
            HashSet::new()
        }
    };
    room.emit(frame, |subscriber| {
        let session = subscriber.socket.state::<Session>();
        let is_moderator = session.is_some_and(|session| session.is_moderator());
        *subscriber.user != *concerned && (is_moderator || moderators.contains(&*subscriber.user))
    });
    let is_subscribed = |socket: &Socket| {
        let session = socket.state::<Session>();
        session.is_some_and(|session| session.is_in_any(&[room.id]))
    };
    for user in &moderators {
        for socket in app.connections.sockets(user) {
            if !is_subscribed(&socket) {
                socket.send_prepared(&frame.event, Class::Durable);
            }
        }
    }
}

/// Ends the connections of a user who is banned from all rooms. Returns once this node knows of the ban: a
/// connection that it admits at the same time checks again.
pub(super) async fn end_connections(app: &App, user: &str, notice: &Announcement) {
    let serial = app.serials.fetch_add(1, Ordering::SeqCst);
    app.last_revocation.fetch_max(serial, Ordering::SeqCst);
    notify_concerned(app, None, notice).await;
    close_sockets(app, user, SessionEnded::BANNED, |_| true);
}

/// A user's membership of a room has ended with a ban from all rooms.
pub(super) async fn left(app: &App, user: &UserId, row: &RoomRow) {
    let room = match RoomName::new(&row.name) {
        Ok(name) => app.rooms.open(&name, None).await.ok().flatten(),
        Err(_) => None,
    };
    let Some(room) = room.filter(|room| room.id == row.id) else {
        app.presence.leave(user, row.id);
        return;
    };
    let _one_change = app.one_membership_change(user, &room).await;
    membership::emit_membership_change(app, &room, MEMBER_LEFT, user, None);
    membership::take_out(app, &room, user).await;
}

/// Another node has banned a user from all rooms, at this position of the log.
pub(crate) fn apply_remote_ban(app: Arc<App>, user: UserId, notice: Announcement, position: LogPosition) {
    tokio::spawn(async move {
        let mut rooms = Vec::new();
        for socket in app.connections.sockets(&user) {
            let session = socket.state::<Session>();
            if let Some(session) = session.filter(|session| session.since < position) {
                rooms.extend(session.all_joined());
            }
        }
        // The ban may have been lifted, and the user may be back.
        if matches!(app.check_banned(&user).await, Ok(())) {
            return;
        }
        end_connections(&app, &user, &notice).await;
        for room in rooms {
            let _one_change = app.one_membership_change(&user, &room).await;
            membership::take_out(&app, &room, &user).await;
        }
        app.presence.membership_changed(&user).await;
    });
}
