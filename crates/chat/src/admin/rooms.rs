//! Creating, changing, removing and listing rooms.

use std::sync::Arc;

use roomful_socket::Class;
use roomful_store::{RoomChange, RoomRow};

use super::{NO_ROOM, existing, room_name};
use crate::{
    app::App,
    detached::run_to_completion,
    error::ChatError,
    events::chat::{ROOM_DELETED, RoomDeleted},
    handlers::membership::give_up,
    recovery,
    room::{Frame, Room},
    server::ChatServer,
};

/// A room with those who are in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomState {
    /// The room.
    pub room: RoomRow,
    /// How many members it has.
    pub members: u64,
    /// How many of them are online.
    pub online: usize,
}

impl ChatServer {
    /// Changes a room, or creates it so. Answers it, and whether it was created.
    ///
    /// Whoever is a member stays one when a room becomes private.
    ///
    /// # Errors
    /// `invalid_request` for a name that no room can have.
    pub async fn put_room(&self, room: &str, change: RoomChange) -> Result<(RoomState, bool), ChatError> {
        let app = &self.app;
        let name = room_name(room)?;
        let (row, created) = app
            .store
            .put_room(name.as_str(), change, app.clock.now_ms())
            .await?;
        Ok((state(app, row).await?, created))
    }

    /// A room.
    ///
    /// # Errors
    /// `not_found` if there is none of this name.
    pub async fn room(&self, room: &str) -> Result<RoomState, ChatError> {
        let app = &self.app;
        let name = room_name(room)?;
        let found = app
            .store
            .open_room(name.as_str(), false, app.clock.now_ms())
            .await?;
        state(app, found.ok_or(NO_ROOM)?).await
    }

    /// The rooms whose names come after `after` in the order of their bytes, `limit` at most.
    pub async fn rooms(&self, after: Option<&str>, limit: u32) -> Result<Vec<RoomRow>, ChatError> {
        // Rooms of the server's own come first: their names begin with a control character.
        let after = after.filter(|name| !name.is_empty()).unwrap_or("\u{1f}");
        Ok(self.app.store.rooms(Some(after), limit).await?)
    }

    /// Removes a room with all that was said in it. Its sockets get `chat:room_deleted` and are no longer in it. A room
    /// that is created under its name afterwards is another one.
    ///
    /// # Errors
    /// `not_found` if there is none of this name.
    pub async fn delete_room(&self, room: &str) -> Result<(), ChatError> {
        let (app, room) = (Arc::clone(&self.app), room.to_owned());
        run_to_completion(async move { delete(&app, &room).await }).await
    }
}

async fn delete(app: &App, room: &str) -> Result<(), ChatError> {
    // One that another node has removed may still be in memory, and another of its name be in the store: then that is meant.
    loop {
        let room = existing(app, room).await?;
        let was_there = match &app.cluster {
            Some(cluster) => cluster.remove_room(room.id).await?,
            None => app.store.delete_room(room.id).await?,
        };
        clear(app, &room).await;
        if was_there {
            return Ok(());
        }
    }
}

/// A room that was removed: its sockets here are told, and are no longer in it.
pub(crate) async fn clear(app: &App, room: &Room) {
    app.rooms.detach(room);
    let gone = RoomDeleted { room: &room.name };
    if let Some(frame) = Frame::encode(&app.namespace, ROOM_DELETED, &gone, Class::Durable) {
        room.tell(&frame, |_| true);
    }
    let subscribers = room.unsubscribe_all();
    for subscriber in &subscribers {
        app.typing.stop(&subscriber.user, room.id);
    }
    recovery::unsubscribe(app, room.id, &subscribers).await;
    give_up(room, subscribers);
    for user in app.presence.everyone_in(room.id, usize::MAX) {
        app.presence.leave(&user, room.id);
    }
}

async fn state(app: &App, room: RoomRow) -> Result<RoomState, ChatError> {
    app.presence.ensure_rooms_read(&[room.id]).await;
    Ok(RoomState {
        members: app.store.count_members(room.id).await?,
        online: app.presence.count_in(room.id),
        room,
    })
}
