//! Handlers for joining and leaving rooms.
//!
//! A join subscribes first and reads second: it notes the room's head, reads history up to it, and buffers
//! new entries until the ack is on its way. So the client gets the ack, then the next seq, without a gap or a
//! duplicate.

use std::sync::Arc;

use roomful_socket::Socket;
use roomful_store::{
    CatchUp, CaughtUp, EnterRoom, Entered, Joined as Membership, Range, RoomId, RoomKind, Unread,
};
use serde::Serialize;

use super::message::Page;
use crate::{
    app::{App, Context},
    error::ChatError,
    events::{
        chat::{
            InRoom, Join, Joined, Left, MEMBER_JOINED, MEMBER_LEFT, ROOM_ADDED, ROOM_REMOVED, Removal,
            RoomAdded, RoomRemoved, UserInRoom,
        },
        standing::Standing,
    },
    log::{
        control::Control,
        page_view::{PageContext, PageView},
    },
    middleware::price,
    recovery,
    reply::Reply,
    room::{Room, Subscriber, pending_join::PendingJoin},
    room_manager::RoomRef,
    session::Session,
    standing,
    types::{RoomName, UserId},
};

/// The error of a join whose buffer overflowed.
const TOO_BUSY: ChatError = ChatError::Unavailable("messages arrive faster than the join can read them");

/// The store's data for the ack of a join.
struct Found {
    membership: Membership,
    caught: Caught,
    context: PageContext,
    unread: Unread,
    standing: Standing,
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
        Ok(found) => finish(context, joining, found, reply).await,
        // Buffered entries leave before the error does.
        Err(error) => joining.reject(move || reply.fail(&error)).await,
    }
    if me.joined(&ask.room).is_none() {
        // A failed join must not be recoverable.
        recovery::forget_rooms(app, me, &[room]).await;
    }
}

/// The room, if this socket may subscribe to it.
async fn enterable(context: &Context, ask: &Join) -> Result<RoomRef, ChatError> {
    let Context { app, me, .. } = context;
    if !me.allows(&ask.room) {
        return Err(ChatError::NotJoinable);
    }
    check_subscriptions(context, &ask.room, 0)?;
    app.ask_to_join(&me.user, &ask.room).await?;
    // A hook may take seconds.
    if !me.allows(&ask.room) || !context.socket.is_connected() {
        return Err(ChatError::NotJoinable);
    }
    let may_create = app.config.may_create(ask.room.as_str());
    let creator = may_create.then_some(&*me.user);
    let room = app.rooms.open(&ask.room, creator).await?;
    let room = room.ok_or(ChatError::NotJoinable)?;
    if let Err(error) = check_quota(app, &me.user, room.id).await {
        // To non-members, a private room looks as if it did not exist.
        let row = app.store.room(room.id).await?;
        let is_public = row.is_some_and(|row| row.kind == RoomKind::Public);
        return Err(if is_public { error } else { ChatError::NotJoinable });
    }
    app.follower
        .catch_up_to(&room, ask.since.unwrap_or_default())
        .await?;
    Ok(room)
}

async fn look_up(context: &Context, joining: &PendingJoin, ask: &Join) -> Result<Found, ChatError> {
    let Context { app, me, .. } = context;
    let [(room, head)] = joining.rooms() else {
        return Err(ChatError::Internal);
    };
    let from = Position {
        since: ask.since,
        epoch: ask.epoch.as_deref(),
    };
    // With a limit of 0 the reply still describes the log, so one entry is read and dropped.
    let catch_up = from.catch_up(room, *head, ask.limit.max(1));
    let enter = EnterRoom {
        user_id: me.user.to_string(),
        at: app.clock.now_ms(),
        starts_read: app.config.newcomers_start_read,
        session: recovery::stored_session(me),
        catch_up,
    };
    let Some(entered) = app.store.enter_room(enter).await? else {
        return Err(app
            .not_member_error(room.id, &me.user, ChatError::NotJoinable)
            .await?);
    };
    let Entered {
        joined: membership,
        unread,
        subscribed,
        page,
    } = entered;
    if !subscribed {
        recovery::taken_over(me);
    }
    app.presence.ensure_rooms_read(&[room.id]).await;
    if membership.newly {
        // The membership stands even if the rest of the join fails.
        emit_membership_change(app, room, MEMBER_JOINED, &me.user, Some(&context.socket));
        notify_room_added(app, &me.user, &room.name, membership.member.joined_at);
        me.add_debt(price::of_comparisons(app.presence.count_compared(&me.user)));
        app.presence.membership_changed(&me.user).await;
        app.presence.member_joined(&me.user, room.id).await?;
    }
    let mut page = page?.ok_or(ChatError::Forbidden)?;
    if ask.limit == 0 {
        page.history.empty();
    }
    let role = membership.member.role;
    let standing = standing::standings(app, me, &[(room.id, role)]).await?;
    let standing = standing.into_iter().next().ok_or(ChatError::Internal)?;
    let context = PageContext::read(app, Some(&me.user), [(room.id, &page.history)].into_iter()).await?;
    let bytes = price::page_bytes(&page.history) + context.bytes(&page.history);
    me.add_debt(price::of_answer(bytes));
    Ok(Found {
        membership,
        caught: from.caught(room, page),
        context,
        unread,
        standing,
    })
}

/// Refuses a new subscription to a socket at the limit of subscriptions. It is about to get `new` others.
pub(crate) fn check_subscriptions(context: &Context, room: &RoomName, new: usize) -> Result<(), ChatError> {
    let Context { app, me, .. } = context;
    let most = app.config.limits.rooms_per_socket;
    if me.joined(room).is_some() || me.rooms() + new < most {
        return Ok(());
    }
    app.metrics.subscriptions_over_quota.increment(1);
    Err(ChatError::TooManySubscriptions(most))
}

/// Refuses a new membership to a user at the limit of memberships.
pub(crate) async fn check_quota(app: &App, user: &str, room: RoomId) -> Result<(), ChatError> {
    let most = app.config.rooms_per_user;
    let rooms = match app.presence.rooms_of(user) {
        Some(rooms) => rooms,
        None => app.store.rooms_of(user, most).await?.len(),
    };
    if rooms < most as usize || app.store.member(room, user).await?.is_some() {
        return Ok(());
    }
    app.metrics.memberships_over_quota.increment(1);
    Err(ChatError::TooManyRooms(most))
}

/// Marks everything as read for a user's first membership of the room, if the settings say so.
pub(crate) async fn start_read(app: &App, joined: &mut Membership) -> Result<(), ChatError> {
    if !app.config.newcomers_start_read || !joined.is_first() {
        return Ok(());
    }
    let Membership { room, member, .. } = joined;
    let marked = app
        .store
        .mark_read(room.id, &member.user_id, room.head, member.joined_at)
        .await?;
    if let Some(marked) = marked {
        member.read_seq = marked.read_seq;
        member.delivered_seq = member.delivered_seq.max(marked.read_seq);
    }
    Ok(())
}

/// A client's position in a room's log.
pub(super) struct Position<'a> {
    pub(super) since: Option<u64>,
    pub(super) epoch: Option<&'a str>,
}

/// A page of the entries after a client's position, or the newest page if that position is unknown or no
/// longer kept.
pub(super) struct Caught {
    pub(super) page: Page,
    /// Tells the client to discard its copy.
    pub(super) reset: bool,
}

impl Position<'_> {
    fn is_of(&self, room: &Room) -> bool {
        self.epoch.is_none_or(|epoch| epoch == &*room.epoch)
    }

    pub(super) fn catch_up(&self, room: &Room, upto: u64, limit: u32) -> CatchUp {
        let since = self.since.filter(|since| self.is_of(room) && *since <= upto);
        let room = room.id;
        CatchUp {
            room,
            since,
            upto,
            limit,
        }
    }

    pub(super) fn caught(&self, room: &Room, CaughtUp { range, history }: CaughtUp) -> Caught {
        let continues = matches!(range, Range::After { .. });
        Caught {
            reset: !continues && (self.since.is_some() || !self.is_of(room)),
            page: Page::of(room, range, history),
        }
    }
}

async fn finish(context: &Context, joining: PendingJoin, found: Found, reply: Reply) {
    let Context { app, me, .. } = context;
    let [(room, head)] = joining.rooms() else {
        return reply.fail(&ChatError::Internal);
    };
    let (room, head) = (room.clone(), *head);
    app.presence.enter(&me.user, room.id);
    let member = &found.membership.member;
    let PageView { messages, changes } = PageView::of(&room, &found.caught.page.history, &found.context);
    let answer = Joined {
        room: &room.name,
        epoch: &room.epoch,
        head,
        messages,
        changes,
        bounds: found.caught.page.bounds,
        reset: found.caught.reset,
        read_seq: member.read_seq,
        delivered_seq: member.delivered_seq,
        unread: found.unread.messages,
        mentions: found.unread.mentions,
        online: app.presence.count_in(room.id),
        standing: found.standing,
    };
    answer_joining(joining, reply, &answer).await;
}

/// Sends a join's ack and releases the buffer. Returns false if the join failed; the reply then has the
/// error.
pub(super) async fn answer_joining<T: Serialize + Sync>(
    joining: PendingJoin,
    reply: Reply,
    answer: &T,
) -> bool {
    // Encoded here and not between two entries, since a page may be long.
    let answer = match serde_json::value::to_raw_value(answer) {
        Ok(answer) => answer,
        Err(error) => {
            tracing::error!(%error, "failed to encode the ack of a join");
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

/// `chat:leave`: ends the membership and all the user's subscriptions. Does nothing without a
/// membership.
pub(crate) async fn leave<'a>(context: &Context, ask: &'a InRoom) -> Result<Left<'a>, ChatError> {
    let Context { app, me, .. } = context;
    let left = Left { room: &ask.room };
    let allowed = me.allows(&ask.room);
    let Some(room) = app.rooms.open(&ask.room, None).await? else {
        return if allowed {
            Ok(left)
        } else {
            Err(ChatError::Forbidden)
        };
    };
    // Who never was a member changes nothing, and does not learn whether the room exists. A member may leave
    // even if a newer token no longer allows the room.
    if !app.store.was_member(room.id, &me.user).await? {
        return if allowed {
            Ok(left)
        } else {
            Err(ChatError::Forbidden)
        };
    }
    let ended = end(app, &room, &me.user, Removal::Left, Some(&context.socket)).await?;
    me.add_debt(if ended {
        price::of_comparisons(app.presence.count_compared(&me.user))
    } else {
        price::NO_LEAVE
    });
    Ok(left)
}

/// `chat:unsubscribe`: ends this socket's subscription. The membership stays.
pub(crate) async fn unsubscribe<'a>(context: &Context, ask: &'a InRoom) -> Result<Left<'a>, ChatError> {
    let Context { app, me, .. } = context;
    let room = context.my_room(&ask.room).await?;
    let _one_change = app.one_membership_change(&me.user, &room).await;
    app.typing.end_session(&me.user, me.serial, &[room.id]);
    room.unsubscribe(me.serial);
    me.forget_room(room.id);
    recovery::forget_rooms(app, me, &[room]).await;
    Ok(Left { room: &ask.room })
}

/// Ends a membership and its subscriptions. Returns whether there was one. `asked` is the requesting socket.
pub(crate) async fn end(
    app: &App,
    room: &Room,
    user: &UserId,
    reason: Removal,
    asked: Option<&Socket>,
) -> Result<bool, ChatError> {
    let _one_change = app.one_membership_change(user, room).await;
    let was_member = end_here(app, room, user, reason, asked).await?;
    if let Some(cluster) = &app.cluster {
        // Repeat it on the other nodes even if there was no membership: an earlier attempt may have failed
        // halfway.
        let (room, user) = (room.id, user.to_string());
        cluster.command(&Control::Left { room, user, reason }).await?;
    }
    Ok(was_member)
}

/// Ends a membership, and its subscriptions on this node. The caller holds the membership lock.
pub(crate) async fn end_here(
    app: &App,
    room: &Room,
    user: &UserId,
    reason: Removal,
    asked: Option<&Socket>,
) -> Result<bool, ChatError> {
    let was_member = app.store.leave(room.id, user).await?;
    if was_member {
        emit_membership_change(app, room, MEMBER_LEFT, user, asked);
    }
    take_out(app, room, user).await;
    if was_member {
        app.presence.membership_changed(user).await;
        notify_room_removed(app, user, &room.name, reason);
    }
    Ok(was_member)
}

/// Ends the user's subscriptions on this node. The caller holds the membership lock.
pub(crate) async fn take_out(app: &App, room: &Room, user: &UserId) {
    app.typing.stop(user, room.id);
    let subscribers = room.unsubscribe_user(user);
    recovery::unsubscribe(app, room.id, &subscribers).await;
    give_up(room, subscribers);
    // This comes last: a socket that entered at the same time checks again, see `enter`.
    app.presence.leave(user, room.id);
}

/// Adds the user to the room's presence, unless their subscription has just ended.
pub(crate) fn enter(app: &App, me: &Session, room: &Room) {
    app.presence.enter(&me.user, room.id);
    if me.joined(&room.name).is_none() {
        app.presence.leave(&me.user, room.id);
    }
}

/// Removes the room from these subscribers' sessions.
pub(crate) fn give_up(room: &Room, subscribers: Vec<Subscriber>) {
    for subscriber in subscribers {
        if let Some(session) = subscriber.socket.state::<Session>() {
            session.forget_room(room.id);
        }
    }
}

/// Tells the room's other sockets, including the user's other devices, about a joined or left member.
pub(crate) fn emit_membership_change(
    app: &App,
    room: &Room,
    event: &str,
    user: &UserId,
    asked: Option<&Socket>,
) {
    if room.len() > app.config.announce_max {
        return;
    }
    let data = UserInRoom {
        room: &room.name,
        user_id: user,
    };
    app.emit_to_room(room, event, &data, None, |subscriber| {
        asked != Some(&subscriber.socket)
    });
}

/// Tells the user's sockets on this node that the user is now a member.
pub(crate) fn notify_room_added(app: &App, user: &str, room: &RoomName, at: i64) {
    notify_user(app, user, room, ROOM_ADDED, &RoomAdded { room, at });
}

/// Tells the user's sockets on this node that the user is no longer a member.
pub(crate) fn notify_room_removed(app: &App, user: &str, room: &RoomName, reason: Removal) {
    notify_user(app, user, room, ROOM_REMOVED, &RoomRemoved { room, reason });
}

/// Sends an event about a room to those of the user's sockets on this node whose tokens allow the room.
fn notify_user<T: Serialize>(app: &App, user: &str, room: &RoomName, event: &str, data: &T) {
    app.emit_to_sockets(&sockets_allowed(app, user, room), event, data);
}

/// The user's sockets on this node whose tokens allow the room.
pub(crate) fn sockets_allowed(app: &App, user: &str, room: &RoomName) -> Vec<Socket> {
    let mut sockets = app.connections.sockets(user);
    sockets.retain(|socket| {
        socket
            .state::<Session>()
            .is_some_and(|session| session.allows(room))
    });
    sockets
}
