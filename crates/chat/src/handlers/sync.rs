//! Coming back to many rooms in one trip.
//!
//! It is a join of each room, done together: all are subscribed first, all histories are read up to the heads noted
//! then, the one answer goes out, and what was delivered meanwhile follows it.

use std::sync::Arc;

use futures_util::future::try_join_all;
use roomful_store::{Entry, History, Member};

use super::membership::{self, From, catch_up};
use crate::{
    app::Context,
    error::ChatError,
    events::inbox::{Sync, SyncRoom, Synced, SyncedRoom},
    log::view::PageView,
    recovery,
    reply::Reply,
    room::{Room, pending_join::PendingJoin},
    room_manager::RoomRef,
};

/// What an entry takes of an answer beside its body, in bytes.
const ENTRY_BYTES: usize = 256;

/// What is answered of a room that the user may be in.
struct Caught {
    room: RoomRef,
    head: u64,
    history: History,
    reset: bool,
}

/// `chat:sync`. A room that the user may not enter is answered with an error of its own; unlike a join, it makes nobody
/// a member.
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

/// The room, if this socket may subscribe to it beside `others`.
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
    let room = app.rooms.open(name, false).await?.ok_or(ChatError::Forbidden)?;
    app.store
        .member(room.id, &me.user)
        .await?
        .ok_or(ChatError::Forbidden)?;
    app.follower.reach(&room, wanted.since).await?;
    Ok(room)
}

/// The memberships in which the rooms are subscribed to. Who left a room before is a member no more, and is subscribed all
/// the same.
async fn memberships(context: &Context, rooms: &[(RoomRef, u64)]) -> Result<Vec<u64>, ChatError> {
    let Context { app, me, .. } = context;
    let members = rooms.iter().map(|(room, _)| app.store.member(room.id, &me.user));
    let membership = |member: Option<Member>| member.map(|member| member.membership);
    let memberships: Option<_> = try_join_all(members).await?.into_iter().map(membership).collect();
    memberships.ok_or(ChatError::Unavailable(
        "you left one of these rooms just now; try again",
    ))
}

/// The pages of the rooms, as many bytes as fit into one answer. A room for which nothing is left gets an empty page
/// with `more`.
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
        let (history, reset) = catch_up(app, &room, head, &from).await?;
        bytes += history.entries.iter().map(weight).sum::<usize>();
        caught.push(Ok(Caught {
            room,
            head,
            history,
            reset,
        }));
    }
    Ok(caught)
}

fn weight(entry: &Entry) -> usize {
    ENTRY_BYTES + entry.body.len()
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
    let PageView { messages, changes } = PageView::of(room, &caught.history);
    SyncedRoom::Caught {
        room: &room.name,
        epoch: &room.epoch,
        head: caught.head,
        messages,
        changes,
        more: caught.history.more,
        reset: caught.reset,
    }
}

/// The answer goes out, and what waited follows.
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
