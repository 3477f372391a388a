//! Joining and leaving rooms.
//!
//! A join subscribes first and reads afterwards: the room notes its head, history is read up to it, and what is
//! delivered meanwhile waits until the answer is on its way. So a client gets the answer, then the next seq, and the
//! next, without a hole or a repeat.

use std::sync::Arc;

use futures_util::future::try_join3;
use roomful_socket::Socket;
use roomful_store::{History, Joined as Membership, Range, Unread};
use serde::Serialize;

use super::message;
use crate::{
    app::{App, Context},
    error::ChatError,
    events::chat::{InRoom, Join, Joined, Left, MEMBER_JOINED, MEMBER_LEFT, UserInRoom},
    log::{control::Control, view::PageView},
    recovery,
    reply::Reply,
    room::{Room, Subscriber, pending_join::PendingJoin},
    room_manager::RoomRef,
    session::Session,
    types::UserId,
};

/// The answer to who would have to wait for too much.
const TOO_BUSY: ChatError = ChatError::Unavailable("too much is said right now to get in; try again");

/// What the store knows that a join is answered with.
struct Found {
    membership: Membership,
    history: History,
    reset: bool,
    unread: Unread,
}

/// `chat:join`.
pub(crate) async fn join(context: &Context, ask: Join, reply: Reply) {
    let Context { app, socket, me } = context;
    let room = match enterable(context, &ask).await {
        Ok(room) => room,
        Err(error) => return reply.fail(&error),
    };
    let _one_change = app.one_membership_change(&me.user, &room).await;
    let into = [room.clone()];
    let session = Arc::clone(me) as _;
    let joining = PendingJoin::begin(&app.log, session, socket, into, app.config.join_buffer).await;
    let Ok(joining) = joining else {
        return reply.fail(&ChatError::Internal);
    };
    match look_up(context, &joining, &ask).await {
        Ok(found) => finish(context, joining, &found, reply).await,
        // The frames of its other rooms go before the answer.
        Err(error) => joining.reject(move || reply.fail(&error)).await,
    }
    if me.joined(&ask.room).is_none() {
        // Or a later join would go on from here.
        recovery::forget_rooms(app, me, &[room]).await;
    }
}

/// The room, if this socket may subscribe to it.
async fn enterable(context: &Context, ask: &Join) -> Result<RoomRef, ChatError> {
    let Context { app, me, .. } = context;
    if !me.allows(&ask.room) {
        return Err(ChatError::Forbidden);
    }
    me.has_room_for(&ask.room, app.config.limits.rooms_per_socket)?;
    let room = app.rooms.open(&ask.room, app.config.create_rooms).await?;
    let room = room.ok_or(ChatError::Forbidden)?;
    app.follower.reach(&room, ask.since.unwrap_or_default()).await?;
    Ok(room)
}

async fn look_up(context: &Context, joining: &PendingJoin, ask: &Join) -> Result<Found, ChatError> {
    let Context { app, me, .. } = context;
    let [(room, head)] = joining.rooms() else {
        return Err(ChatError::Internal);
    };
    let joined = app.store.join(room.id, &me.user, app.clock.now_ms()).await?;
    let membership = joined.ok_or(ChatError::Forbidden)?;
    app.presence.ensure_rooms_read(&[room.id]).await;
    if membership.newly {
        // Whatever becomes of this join: the user is a member.
        tell_others(app, room, MEMBER_JOINED, &me.user, Some(&context.socket));
        app.presence.member_joined(&me.user, room.id).await?;
    }
    let from = From {
        since: ask.since,
        epoch: ask.epoch.as_deref(),
        limit: ask.limit,
    };
    let unread = async { Ok(app.store.unread(room.id, &me.user).await?.unwrap_or_default()) };
    let ((history, reset), unread, ()) = try_join3(
        catch_up(app, room, *head, &from),
        unread,
        recovery::subscribe(app, me, (room.id, *head), membership.member.membership),
    )
    .await?;
    Ok(Found {
        membership,
        history,
        reset,
        unread,
    })
}

/// Up to where a client knows a room's log, and how much it wants of what it does not know.
pub(super) struct From<'a> {
    pub(super) since: Option<u64>,
    pub(super) epoch: Option<&'a str>,
    pub(super) limit: u32,
}

/// What follows what a client knows: a page from there on, or, if it knows nothing or nothing that can be continued,
/// the newest one. Answers also whether it has to forget what it knows.
pub(super) async fn catch_up(
    app: &App,
    room: &Room,
    head: u64,
    from: &From<'_>,
) -> Result<(History, bool), ChatError> {
    let known = from.epoch.is_none_or(|epoch| epoch == &*room.epoch);
    let resumable = from.since.filter(|since| known && *since <= head);
    if let Some(seq) = resumable {
        let history = message::page(app, room, Range::After { seq, upto: head }, from.limit).await?;
        // Retention may have taken what came next: then a hole would be left.
        if seq + 1 >= history.first {
            return Ok((history, false));
        }
    }
    let reset = from.since.is_some() || !known;
    let history = message::page(app, room, Range::Last { upto: head }, from.limit).await?;
    Ok((history, reset))
}

async fn finish(context: &Context, joining: PendingJoin, found: &Found, reply: Reply) {
    let Context { app, me, .. } = context;
    let [(room, head)] = joining.rooms() else {
        return reply.fail(&ChatError::Internal);
    };
    let (room, head) = (room.clone(), *head);
    app.presence.enter(&me.user, room.id);
    let member = &found.membership.member;
    let PageView { messages, changes } = PageView::of(&room, &found.history);
    let answer = Joined {
        room: &room.name,
        epoch: &room.epoch,
        head,
        messages,
        changes,
        more: found.history.more,
        reset: found.reset,
        read_seq: member.read_seq,
        delivered_seq: member.delivered_seq,
        unread: found.unread.messages,
        mentions: found.unread.mentions,
        online: app.presence.count_in(room.id),
    };
    answer_joining(joining, reply, &answer).await;
}

/// Ends a join with its answer. False if it failed, which it has answered.
pub(super) async fn answer_joining<T: Serialize + Sync>(
    joining: PendingJoin,
    reply: Reply,
    answer: &T,
) -> bool {
    // Encoded here and not between two entries, since a page may be long.
    let answer = match serde_json::value::to_raw_value(answer) {
        Ok(answer) => answer,
        Err(error) => {
            tracing::error!(%error, "failed to encode the answer to a join");
            joining.reject(move || reply.fail(&ChatError::Internal)).await;
            return false;
        }
    };
    let finished = joining.finish(move |accepted| {
        if accepted {
            reply.succeed(&answer);
        } else {
            reply.fail(&TOO_BUSY);
        }
    });
    finished.await.is_ok()
}

/// `chat:leave`: the membership ends, on all the user's sockets. Leaving where one is not a member changes nothing.
pub(crate) async fn leave<'a>(context: &Context, ask: &'a InRoom) -> Result<Left<'a>, ChatError> {
    let Context { app, me, .. } = context;
    let left = Left { room: &ask.room };
    let allowed = me.allows(&ask.room);
    let Some(room) = app.rooms.open(&ask.room, false).await? else {
        return if allowed {
            Ok(left)
        } else {
            Err(ChatError::Forbidden)
        };
    };
    // Who was let in before their token forbade it may still go.
    if !allowed && app.store.member(room.id, &me.user).await?.is_none() {
        return Err(ChatError::Forbidden);
    }
    end(app, &room, &me.user, Some(&context.socket)).await?;
    Ok(left)
}

/// Ends a membership with all that hangs on it. Answers whether there was one. `asked` is the socket that asked for it.
pub(crate) async fn end(
    app: &App,
    room: &Room,
    user: &UserId,
    asked: Option<&Socket>,
) -> Result<bool, ChatError> {
    let _one_change = app.one_membership_change(user, room).await;
    let was_member = app.store.leave(room.id, user).await?;
    if was_member {
        tell_others(app, room, MEMBER_LEFT, user, asked);
    }
    take_out(app, room, user).await;
    if let Some(cluster) = &app.cluster {
        // Also if there was none: whoever ended it may not have come this far.
        let (room, user) = (room.id, user.to_string());
        cluster.command(&Control::Left { room, user }).await?;
    }
    Ok(was_member)
}

/// Whatever the user has in the room here ends. Whoever calls this has the turn of their membership.
pub(crate) async fn take_out(app: &App, room: &Room, user: &UserId) {
    app.typing.stop(user, room.id);
    let subscribers = room.unsubscribe_user(user);
    recovery::unsubscribe(app, room.id, &subscribers).await;
    give_up(room, subscribers);
    // Last: a socket that was just given the room looks again, see `enter`.
    app.presence.leave(user, room.id);
}

/// The user is in the room, unless they were taken out of it just now.
pub(crate) fn enter(app: &App, me: &Session, room: &Room) {
    app.presence.enter(&me.user, room.id);
    if me.joined(&room.name).is_none() {
        app.presence.leave(&me.user, room.id);
    }
}

/// The sockets of these seats are no longer in the room.
pub(crate) fn give_up(room: &Room, subscribers: Vec<Subscriber>) {
    for subscriber in subscribers {
        if let Some(session) = subscriber.socket.state::<Session>() {
            session.forget_room(room.id);
        }
    }
}

/// Tells the room's other sockets, the user's other devices included, that a member came or went.
pub(crate) fn tell_others(app: &App, room: &Room, event: &str, user: &UserId, asked: Option<&Socket>) {
    if room.len() > app.config.announce_max {
        return;
    }
    let data = UserInRoom {
        room: &room.name,
        user_id: user,
    };
    app.tell_room(room, event, &data, None, |subscriber| {
        asked != Some(&subscriber.socket)
    });
}
