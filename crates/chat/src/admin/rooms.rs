//! Creating, changing, removing and listing rooms.

use roomful_socket::Class;
use roomful_store::{RoomChange, RoomRow};

use super::{NO_ROOM, existing, room_name};
use crate::{
    error::ChatError,
    events::chat::{ROOM_DELETED, RoomDeleted},
    handlers::membership::{frame, give_up},
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
        Ok(self.chat.store.rooms(after, limit).await?)
    }

    /// Removes a room with all that was said in it. Its sockets get `chat:room_deleted` and are no longer in it. A room
    /// that is created under its name afterwards is another one.
    ///
    /// # Errors
    /// `not_found` if there is none of this name.
    pub async fn delete_room(&self, room: &str) -> Result<(), ChatError> {
        let chat = &self.chat;
        let room = existing(chat, room).await?;
        if !chat.store.delete_room(room.id).await? {
            return Err(NO_ROOM);
        }
        chat.rooms.detach(&room);
        if let Some(frame) = frame(
            chat,
            ROOM_DELETED,
            &RoomDeleted { room: &room.name },
            Class::Durable,
        ) {
            room.tell(&frame, |_| true);
        }
        let seats = room.unsubscribe_all();
        for seat in &seats {
            chat.typing.stop(&seat.user, room.id);
        }
        give_up(&room, seats);
        for user in chat.presence.everyone_in(room.id, usize::MAX) {
            chat.presence.leave(&user, room.id);
        }
        Ok(())
    }
}

async fn state(chat: &Chat, room: RoomRow) -> Result<RoomState, ChatError> {
    Ok(RoomState {
        members: chat.store.count_members(room.id).await?,
        online: chat.presence.count_in(room.id),
        room,
    })
}
