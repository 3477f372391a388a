//! The handler that catches up on many rooms in one round trip.
//!
//! It joins all rooms together: subscribes to all, reads each history up to its noted head, sends one ack,
//! and then releases the buffered entries.

use std::sync::Arc;

use futures_util::future::try_join_all;
use roomful_store::Member;

use super::{
    membership::{self, From, catch_up},
    message::Page,
};
use crate::{
    app::Context,
    error::ChatError,
    events::inbox::{Sync, SyncRoom, Synced, SyncedRoom},
    log::view::PageView,
    middleware::price,
    recovery,
    reply::Reply,
    room::{Room, pending_join::PendingJoin},
    room_manager::RoomRef,
};

/// The result for a room that the user may enter.
struct Caught {
    room: RoomRef,
    head: u64,
    page: Page,
    reset: bool,
}

/// `chat:sync`. A room that the user may not enter gets its own error. Unlike a join, a sync creates no
/// membership.
pub(crate) async fn sync(context: &Context, ask: &Sync, reply: Reply) {
    let Context { app, socket, me } = context;
    let mut found = Vec::with_capacity(ask.rooms.len());
    for wanted in &ask.rooms {
        match enterable(context, wanted, found.iter().flatten()).await {
            Err(error @ (ChatError::Unavailable(_) | ChatError::Internal)) => return reply.fail(&error),
            outcome => found.push(outcome),
        }
    }
    let rooms = found.iter().flatten().cloned();
    let session = Arc::clone(me) as _;
    let joining = PendingJoin::begin(&app.log, session, socket, rooms, app.config.join_buffer).await;
    let Ok(joining) = joining else {
        return reply.fail(&ChatError::Internal);
    };
    match read(context, &ask.rooms, found, joining.rooms()).await {
        Ok(caught) => finish(context, &ask.rooms, &caught, joining, reply).await,
        Err(error) => joining.reject(move || reply.fail(&error)).await,
    }
}

/// The room, if this socket may subscribe to it in addition to `others`.
async fn enterable(
    context: &Context,
    wanted: &SyncRoom,
    others: impl Iterator<Item = &RoomRef>,
) -> Result<RoomRef, ChatError> {
    let Context { app, me, .. } = context;
    let name = &wanted.room;
    if !me.allows(name) {
        return Err(ChatError::Forbidden);
    }
    let new = others.filter(|room| me.joined(&room.name).is_none()).count();
    me.has_room_for(name, app.config.limits.rooms_per_socket.saturating_sub(new))?;
    let room = app.rooms.open(name, None).await?.ok_or(ChatError::Forbidden)?;
    app.store
        .member(room.id, &me.user)
        .await?
        .ok_or(ChatError::Forbidden)?;
    app.follower.reach(&room, wanted.since).await?;
    Ok(room)
}

/// The memberships that the subscriptions depend on. A user may have left a room since the first check.
async fn memberships(context: &Context, rooms: &[(RoomRef, u64)]) -> Result<Vec<u64>, ChatError> {
    let Context { app, me, .. } = context;
    let members = rooms.iter().map(|(room, _)| app.store.member(room.id, &me.user));
    let membership = |member: Option<Member>| member.map(|member| member.membership);
    let memberships: Option<_> = try_join_all(members).await?.into_iter().map(membership).collect();
    memberships.ok_or(ChatError::Unavailable(
        "you left one of these rooms just now; try again",
    ))
}

/// The rooms' pages, as many as fit into one ack. The remaining rooms get empty pages with `more`.
async fn read(
    context: &Context,
    asked: &[SyncRoom],
    found: Vec<Result<RoomRef, ChatError>>,
    begun: &[(RoomRef, u64)],
) -> Result<Vec<Result<Caught, ChatError>>, ChatError> {
    let Context { app, me, .. } = context;
    let memberships = memberships(context, begun).await?;
    let subscribe = begun
        .iter()
        .zip(memberships)
        .map(|((room, head), membership)| recovery::subscribe(app, me, (room.id, *head), membership));
    try_join_all(subscribe).await?;
    let mut heads = begun.iter().map(|(_, head)| *head);
    let (mut caught, mut bytes) = (Vec::with_capacity(found.len()), 0);
    for (asked, found) in asked.iter().zip(found) {
        let room = match found {
            Ok(room) => room,
            Err(error) => {
                caught.push(Err(error));
                continue;
            }
        };
        let head = heads.next().unwrap_or_default();
        let full = bytes >= app.config.sync_bytes;
        let from = From {
            since: Some(asked.since),
            epoch: asked.epoch.as_deref(),
            limit: if full { 0 } else { app.config.limits.max_page },
        };
        let (page, reset) = catch_up(app, &room, head, &from).await?;
        bytes += price::page_bytes(&page.history);
        caught.push(Ok(Caught {
            room,
            head,
            page,
            reset,
        }));
    }
    me.add_debt(price::of_answer(bytes));
    Ok(caught)
}

fn line<'a>(asked: &'a SyncRoom, caught: &'a Result<Caught, ChatError>) -> SyncedRoom<'a> {
    match caught {
        Ok(caught) => caught_up(&caught.room, caught),
        Err(error) => SyncedRoom::Refused {
            room: &asked.room,
            error: error.body(),
        },
    }
}

fn caught_up<'a>(room: &'a Room, caught: &'a Caught) -> SyncedRoom<'a> {
    let PageView { messages, changes } = PageView::of(room, &caught.page.history);
    SyncedRoom::Caught {
        room: &room.name,
        epoch: &room.epoch,
        head: caught.head,
        messages,
        changes,
        bounds: caught.page.bounds,
        reset: caught.reset,
    }
}

/// Sends the ack, then releases the buffered entries.
async fn finish(
    context: &Context,
    asked: &[SyncRoom],
    caught: &[Result<Caught, ChatError>],
    joining: PendingJoin,
    reply: Reply,
) {
    let Context { app, me, .. } = context;
    let answer = Synced {
        rooms: asked
            .iter()
            .zip(caught)
            .map(|(asked, caught)| line(asked, caught))
            .collect(),
    };
    if membership::answer_joining(joining, reply, &answer).await {
        for caught in caught.iter().flatten() {
            membership::enter(app, me, &caught.room);
        }
    }
}
