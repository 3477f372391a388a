//! What the app's own backend may do, as methods of [`ChatServer`](crate::ChatServer): it is trusted, so nothing here
//! asks who may do what; names, sizes and idempotency are held to the rules that clients have.
//!
//! | file | what |
//! |---|---|
//! | `rooms`, `members` | rooms of both kinds, and who is in them |
//! | `messages` | posting and reading |
//! | `users` | where users stand, sending them away, voiding their tokens |

mod members;
mod messages;
mod rooms;
mod users;

use std::sync::Arc;

pub use self::{
    messages::{Post, Posted},
    rooms::RoomState,
    users::{Presence, Revoked, UserState},
};
pub(crate) use self::{rooms::clear as clear_room, users::close_sockets};
pub use crate::presence::device::Device;
use crate::{
    app::App, error::ChatError, middleware::auth::is_user_id, room_manager::RoomRef, types::RoomName,
    types::UserId,
};

/// The room of a name, for those who need no membership.
async fn existing(app: &App, name: &str) -> Result<RoomRef, ChatError> {
    let name = room_name(name)?;
    app.rooms.open(&name, false).await?.ok_or(NO_ROOM)
}

const NO_ROOM: ChatError = ChatError::NotFound("there is no such room");

fn room_name(name: &str) -> Result<RoomName, ChatError> {
    RoomName::new(name).map_err(|must| ChatError::InvalidRequest(format!("the room's name {must}")))
}

fn user_id(id: &str) -> Result<UserId, ChatError> {
    if is_user_id(id) {
        return Ok(Arc::from(id));
    }
    let message = "a user's id has 1 to 128 characters, none of control";
    Err(ChatError::InvalidRequest(message.to_owned()))
}
