//! The handler that catches up on many rooms in one round trip.
//!
//! It joins all rooms together: subscribes to all, reads each history up to its noted head, sends one ack,
//! and then releases the buffered entries.

use std::sync::Arc;

use super::membership::{self, Caught, Position};
use crate::{
    app::Context,
    error::ChatError,
    events::inbox::{Sync, SyncRoom, Synced, SyncedRoom},
    log::page_view::{PageContext, PageView},
    middleware::price,
    recovery,
    reply::Reply,
    room::pending_join::PendingJoin,
    room_manager::RoomRef,
};

/// The result for a room that the user may enter.
struct InRoom {
    room: RoomRef,
    head: u64,
    caught: Caught,
}

/// The results for all rooms, in the order of the request.
struct Read {
    rooms: Vec<Result<InRoom, ChatError>>,
    pages: PageContext,
}

/// `chat:sync`. A room that the user may not enter gets its own error. Unlike a join, a sync creates no
/// membership.
pub(crate) async fn sync(context: &Context, ask: &Sync, reply: Reply) {
    let Context { app, socket, me } = context;
    let found = match enterable(context, &ask.rooms).await {
        Ok(found) => found,
        Err(error) => return reply.fail(&error),
    };
    let rooms = found.iter().flatten().cloned();
    let session = Arc::clone(me) as _;
    let joining = PendingJoin::begin(&app.log, session, socket, rooms, app.config.join_buffer).await;
    let Ok(joining) = joining else {
        return reply.fail(&ChatError::Internal);
    };
    match read(context, &ask.rooms, found, joining.rooms()).await {
        Ok(read) => finish(context, &ask.rooms, &read, joining, reply).await,
        Err(error) => joining.reject(move || reply.fail(&error)).await,
    }
}

/// The rooms that this socket may subscribe to, and errors for the others.
///
/// # Errors
/// If the store failed.
async fn enterable(
    context: &Context,
    asked: &[SyncRoom],
) -> Result<Vec<Result<RoomRef, ChatError>>, ChatError> {
    let Context { app, me, .. } = context;
    // Rooms of others are not even opened.
    let allowed: Vec<_> = asked
        .iter()
        .map(|wanted| &wanted.room)
        .filter(|name| me.allows(name))
        .collect();
    let mut opened = app.rooms.open_all(&allowed).await?.into_iter();
    let rooms = asked
        .iter()
        .map(|wanted| me.allows(&wanted.room).then(|| opened.next().flatten()).flatten());
    let rooms: Vec<Option<RoomRef>> = rooms.collect();
    let ids: Vec<_> = rooms.iter().flatten().map(|room| room.id).collect();
    let mut memberships = app.store.memberships(&me.user, &ids).await?.into_iter();
    let (mut found, mut new) = (Vec::with_capacity(asked.len()), 0);
    for (wanted, room) in asked.iter().zip(rooms) {
        let room = room.filter(|_| memberships.next().flatten().is_some());
        let Some(room) = room else {
            found.push(Err(ChatError::Forbidden));
            continue;
        };
        let most = app.config.limits.rooms_per_socket.saturating_sub(new);
        if let Err(error) = me.has_room_for(&wanted.room, most) {
            found.push(Err(error));
            continue;
        }
        new += usize::from(me.joined(&wanted.room).is_none());
        app.follower.reach(&room, wanted.since).await?;
        found.push(Ok(room));
    }
    Ok(found)
}

/// The rooms' pages, as many as fit into one ack. The remaining rooms get empty pages with `more`.
async fn read(
    context: &Context,
    asked: &[SyncRoom],
    found: Vec<Result<RoomRef, ChatError>>,
    begun: &[(RoomRef, u64)],
) -> Result<Read, ChatError> {
    let Context { app, me, .. } = context;
    // A user may have left a room since the first check.
    let rooms = begun.iter().map(|(room, head)| (room.id, *head)).collect();
    recovery::subscribe_all(app, me, rooms).await?;
    let entered = asked.iter().zip(&found).filter(|(_, found)| found.is_ok());
    let asks = entered
        .zip(begun)
        .map(|((asked, _), (room, head))| position(asked).catch_up(room, *head, app.config.limits.max_page));
    let pages = app.store.catch_up(asks.collect(), app.config.sync_bytes).await?;
    let mut pages = begun.iter().zip(pages);
    let mut rooms = Vec::with_capacity(found.len());
    for (asked, found) in asked.iter().zip(found) {
        rooms.push(match found {
            Ok(room) => {
                let (head, page) = pages.next().map_or((0, None), |((_, head), page)| (*head, page));
                let page = page.ok_or(ChatError::Forbidden)?;
                let caught = position(asked).caught(&room, page);
                Ok(InRoom { room, head, caught })
            }
            Err(error) => Err(error),
        });
    }
    let histories = || {
        rooms
            .iter()
            .flatten()
            .map(|room| (room.room.id, &room.caught.page.history))
    };
    let pages = PageContext::read(app, Some(&me.user), histories()).await?;
    let bytes = histories().map(|(_, history)| price::page_bytes(history) + pages.bytes(history));
    me.add_debt(price::of_answer(bytes.sum()));
    Ok(Read { rooms, pages })
}

fn position(asked: &SyncRoom) -> Position<'_> {
    Position {
        since: Some(asked.since),
        epoch: asked.epoch.as_deref(),
    }
}

fn line<'a>(
    asked: &'a SyncRoom,
    found: &'a Result<InRoom, ChatError>,
    pages: &PageContext,
) -> SyncedRoom<'a> {
    match found {
        Ok(entered) => caught_up(entered, pages),
        Err(error) => SyncedRoom::Refused {
            room: &asked.room,
            error: error.body(),
        },
    }
}

fn caught_up<'a>(InRoom { room, head, caught }: &'a InRoom, pages: &PageContext) -> SyncedRoom<'a> {
    let PageView { messages, changes } = PageView::of(room, &caught.page.history, pages);
    SyncedRoom::Caught {
        room: &room.name,
        epoch: &room.epoch,
        head: *head,
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
    Read { rooms, pages }: &Read,
    joining: PendingJoin,
    reply: Reply,
) {
    let Context { app, me, .. } = context;
    let answer = Synced {
        rooms: asked
            .iter()
            .zip(rooms)
            .map(|(asked, found)| line(asked, found, pages))
            .collect(),
    };
    if membership::answer_joining(joining, reply, &answer).await {
        for entered in rooms.iter().flatten() {
            membership::enter(app, me, &entered.room);
        }
    }
}
