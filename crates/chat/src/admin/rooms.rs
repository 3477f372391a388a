//! Creating, changing, removing and listing rooms.

use std::sync::Arc;

use roomful_socket::Class;
use roomful_store::{RoomChange, RoomRow};

use super::{NO_ROOM, existing, room_name, to_its_end};
use crate::{
    error::ChatError,
    events::chat::{ROOM_DELETED, RoomDeleted},
    handlers::membership::{frame, give_up},
    recovery,
    room::Room,
    servers::chat::{Chat, ChatServer},
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
        let chat = &self.chat;
        let name = room_name(room)?;
        let (row, created) = chat
            .store
            .put_room(name.as_str(), change, chat.clock.now_ms())
            .await?;
        Ok((state(chat, row).await?, created))
    }

    /// A room.
    ///
    /// # Errors
    /// `not_found` if there is none of this name.
    pub async fn room(&self, room: &str) -> Result<RoomState, ChatError> {
        let chat = &self.chat;
        let name = room_name(room)?;
        let found = chat
            .store
            .open_room(name.as_str(), false, chat.clock.now_ms())
            .await?;
        state(chat, found.ok_or(NO_ROOM)?).await
    }

    /// The rooms whose names come after `after` in the order of their bytes, `limit` at most.
    pub async fn rooms(&self, after: Option<&str>, limit: u32) -> Result<Vec<RoomRow>, ChatError> {
        // Rooms of the server's own come first: their names begin with a control character.
        let after = after.filter(|name| !name.is_empty()).unwrap_or("\u{1f}");
        Ok(self.chat.store.rooms(Some(after), limit).await?)
    }

    /// Removes a room with all that was said in it. Its sockets get `chat:room_deleted` and are no longer in it. A room
    /// that is created under its name afterwards is another one.
    ///
    /// # Errors
    /// `not_found` if there is none of this name.
    pub async fn delete_room(&self, room: &str) -> Result<(), ChatError> {
        let (chat, room) = (Arc::clone(&self.chat), room.to_owned());
        to_its_end(async move { delete(&chat, &room).await }).await
    }
}

async fn delete(chat: &Chat, room: &str) -> Result<(), ChatError> {
    // One that another node has removed may still be in memory, and another of its name be in the store: then that is meant.
    loop {
        let room = existing(chat, room).await?;
        let was_there = match &chat.cluster {
            Some(cluster) => cluster.remove_room(room.id).await?,
            None => chat.store.delete_room(room.id).await?,
        };
        clear(chat, &room).await;
        if was_there {
            return Ok(());
        }
    }
}

/// A room that was removed: its sockets here are told, and are no longer in it.
pub(crate) async fn clear(chat: &Chat, room: &Room) {
    chat.rooms.detach(room);
    let gone = RoomDeleted { room: &room.name };
    if let Some(frame) = frame(chat, ROOM_DELETED, &gone, Class::Durable) {
        room.tell(&frame, |_| true);
    }
    let seats = room.unsubscribe_all();
    for seat in &seats {
        chat.typing.stop(&seat.user, room.id);
    }
    recovery::unsubscribe(chat, room.id, &seats).await;
    give_up(room, seats);
    for user in chat.presence.everyone_in(room.id, usize::MAX) {
        chat.presence.leave(&user, room.id);
    }
}

async fn state(chat: &Chat, room: RoomRow) -> Result<RoomState, ChatError> {
    chat.presence.look_around(&[room.id]).await;
    Ok(RoomState {
        members: chat.store.count_members(room.id).await?,
        online: chat.presence.count_in(room.id),
        room,
    })
}
