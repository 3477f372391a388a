//! Coming back to many rooms in one trip.
//!
//! It is a join of each room, done together: all are subscribed first, all histories are read up to the heads noted
//! then, the one answer goes out, and what was delivered meanwhile follows it.

use roomful_socket::Reason;
use roomful_store::{Entry, History};

use super::membership::{From, catch_up};
use crate::{
    controller::Context,
    error::ChatError,
    events::inbox::{Sync, SyncRoom, Synced, SyncedRoom},
    reply::{Reply, emit_error},
    room::{Finish, Room, Seat, view::PageView},
    room_manager::RoomRef,
    types::RoomName,
};

/// What an entry takes of an answer beside its body, in bytes.
const ENTRY_BYTES: usize = 256;

/// A room under way.
struct Begun {
    room: RoomRef,
    head: u64,
}

struct Caught {
    history: History,
    reset: bool,
}

/// `chat:sync`. A room that the user may not enter is answered with an error of its own; unlike a join, it makes nobody
/// a member.
pub(crate) async fn sync(context: &Context, ask: &Sync, reply: Reply) {
    let mut begun = Vec::with_capacity(ask.rooms.len());
    for wanted in &ask.rooms {
        match begin(context, &wanted.room).await {
            Err(error @ (ChatError::Unavailable(_) | ChatError::Internal)) => {
                abandon(context, begun);
                return reply.fail(&error);
            }
            outcome => begun.push(outcome),
        }
    }
    match read(context, &ask.rooms, &begun).await {
        Ok(caught) => {
            reply.succeed(&answer(&ask.rooms, &begun, &caught));
            go_live(context, begun);
        }
        Err(error) => {
            abandon(context, begun);
            reply.fail(&error);
        }
    }
}

/// Begins to subscribe. The membership can't end between the look at it and that.
async fn begin(context: &Context, name: &RoomName) -> Result<Begun, ChatError> {
    let Context { chat, socket, me } = context;
    if !me.allows(name) {
        return Err(ChatError::Forbidden);
    }
    me.has_room_for(name, chat.config.limits.rooms_per_socket)?;
    let room = chat.rooms.open(name, false).await?.ok_or(ChatError::Forbidden)?;
    let _one_change = chat.one_membership_change(&me.user, &room).await;
    if chat.store.member(room.id, &me.user).await?.is_none() {
        return Err(ChatError::Forbidden);
    }
    let seat = Seat {
        socket: socket.clone(),
        user: me.user.clone(),
    };
    let head = room.begin_join(seat);
    me.remember_room(room.clone());
    Ok(Begun { room, head })
}

/// The pages of the rooms, as many bytes as fit into one answer. A room for which nothing is left gets an empty page
/// with `more`.
async fn read(
    context: &Context,
    asked: &[SyncRoom],
    begun: &[Result<Begun, ChatError>],
) -> Result<Vec<Option<Caught>>, ChatError> {
    let chat = &context.chat;
    let (mut caught, mut bytes) = (Vec::with_capacity(begun.len()), 0);
    for (asked, begun) in asked.iter().zip(begun) {
        let Ok(Begun { room, head }) = begun else {
            caught.push(None);
            continue;
        };
        let full = bytes >= chat.config.sync_bytes;
        let from = From {
            since: Some(asked.since),
            epoch: asked.epoch.as_deref(),
            limit: if full { 0 } else { chat.config.limits.max_page },
        };
        let (history, reset) = catch_up(chat, room, *head, &from).await?;
        bytes += history.entries.iter().map(weight).sum::<usize>();
        caught.push(Some(Caught { history, reset }));
    }
    Ok(caught)
}

fn weight(entry: &Entry) -> usize {
    ENTRY_BYTES + entry.body.len()
}

fn answer<'a>(
    asked: &'a [SyncRoom],
    begun: &'a [Result<Begun, ChatError>],
    caught: &'a [Option<Caught>],
) -> Synced<'a> {
    let line = |((asked, begun), caught): (
        (&'a SyncRoom, &'a Result<Begun, ChatError>),
        &'a Option<Caught>,
    )| {
        match (begun, caught) {
            (Ok(begun), Some(caught)) => caught_up(&begun.room, begun.head, caught),
            (Ok(_), None) => refused(asked, &ChatError::Internal),
            (Err(error), _) => refused(asked, error),
        }
    };
    Synced {
        rooms: asked.iter().zip(begun).zip(caught).map(line).collect(),
    }
}

fn caught_up<'a>(room: &'a Room, head: u64, caught: &'a Caught) -> SyncedRoom<'a> {
    let PageView { messages, changes } = PageView::of(room, &caught.history);
    SyncedRoom::Caught {
        room: &room.name,
        epoch: &room.epoch,
        head,
        messages,
        changes,
        more: caught.history.more,
        reset: caught.reset,
    }
}

fn refused<'a>(asked: &'a SyncRoom, error: &ChatError) -> SyncedRoom<'a> {
    SyncedRoom::Refused {
        room: &asked.room,
        error: error.body(),
    }
}

/// The answer is on its way: what waited follows.
fn go_live(context: &Context, begun: Vec<Result<Begun, ChatError>>) {
    let Context { chat, socket, me } = context;
    for Begun { room, .. } in begun.into_iter().flatten() {
        match room.finish_join(socket, || ()) {
            Finish::Live => chat.presence.enter(&me.user, &room),
            // It left meanwhile, and was told.
            Finish::Gone => me.forget_room(room.id),
            Finish::Overflow => {
                // The answer said otherwise, so the client has to come back.
                me.forget_room(room.id);
                let error = ChatError::Unavailable("the room is too busy to join right now");
                emit_error(socket, error.body(), None);
                socket.close(Reason::ForcedClose);
            }
        }
    }
}

/// Takes it all back.
fn abandon(context: &Context, begun: Vec<Result<Begun, ChatError>>) {
    for Begun { room, .. } in begun.into_iter().flatten() {
        if !room.abandon_join(&context.socket) {
            context.me.forget_room(room.id);
        }
    }
}
