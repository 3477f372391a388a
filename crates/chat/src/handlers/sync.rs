//! The handler that catches up on many rooms in one round trip.
//!
//! It joins all rooms together: subscribes to all, reads each history up to its noted head, sends one ack,
//! and then releases the buffered entries.

use std::sync::Arc;

use roomful_store::Role;

use super::membership::{self, Caught, Position};
use crate::{
    app::Context,
    error::ChatError,
    events::{
        inbox::{Sync, SyncRoom, Synced, SyncedRoom},
        standing::Standing,
    },
    log::page_view::{PageContext, PageView},
    middleware::price,
    recovery,
    reply::Reply,
    room::pending_join::PendingJoin,
    room_manager::RoomRef,
    standing,
};

/// The result for a room that the user may enter.
struct InRoom {
    room: RoomRef,
    head: u64,
    caught: Caught,
    standing: Standing,
}

/// A room that this socket may subscribe to, and the user's role there.
type Enterable = (RoomRef, Role);

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
    let rooms = found.iter().flatten().map(|(room, _)| room.clone());
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
) -> Result<Vec<Result<Enterable, ChatError>>, ChatError> {
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
        let member = room.as_ref().and_then(|_| memberships.next().flatten());
        let Some((room, member)) = room.zip(member) else {
            found.push(Err(ChatError::Forbidden));
            continue;
        };
        if let Err(error) = membership::check_subscriptions(context, &wanted.room, new) {
            found.push(Err(error));
            continue;
        }
        new += usize::from(me.joined(&wanted.room).is_none());
        app.follower.catch_up_to(&room, wanted.since).await?;
        found.push(Ok((room, member.role)));
    }
    Ok(found)
}

/// The rooms' pages, as many as fit into one ack. The remaining rooms get empty pages with `more`.
async fn read(
    context: &Context,
    asked: &[SyncRoom],
    found: Vec<Result<Enterable, ChatError>>,
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
    let roles: Vec<_> = found
        .iter()
        .flatten()
        .map(|(room, role)| (room.id, *role))
        .collect();
    let mut standings = standing::standings(app, me, &roles).await?.into_iter();
    let mut rooms = Vec::with_capacity(found.len());
    for (asked, found) in asked.iter().zip(found) {
        rooms.push(match found {
            Ok((room, _)) => {
                let (head, page) = pages.next().map_or((0, None), |((_, head), page)| (*head, page));
                let page = page.ok_or(ChatError::Forbidden)?;
                let caught = position(asked).caught(&room, page);
                let standing = standings.next().ok_or(ChatError::Internal)?;
                Ok(InRoom {
                    room,
                    head,
                    caught,
                    standing,
                })
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

fn caught_up<'a>(entered: &'a InRoom, pages: &PageContext) -> SyncedRoom<'a> {
    let InRoom {
        room,
        head,
        caught,
        standing,
    } = entered;
    let PageView { messages, changes } = PageView::of(room, &caught.page.history, pages);
    SyncedRoom::Caught {
        room: &room.name,
        epoch: &room.epoch,
        head: *head,
        messages,
        changes,
        bounds: caught.page.bounds,
        reset: caught.reset,
        standing,
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
