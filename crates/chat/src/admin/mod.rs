//! The calls of the app's own backend, as methods of [`ChatServer`](crate::ChatServer). The backend is
//! trusted, so these calls check no permissions. Names, sizes and idempotency follow the same rules as for
//! clients.
//!
//! | file | content |
//! |---|---|
//! | `rooms`, `members` | rooms and memberships |
//! | `messages` | posting and reading |
//! | `moderation` | bans, mutes, frozen rooms, slow mode, blocks |
//! | `reports` | reported messages |
//! | `users` | presence, disconnecting, revoking tokens |
//! | `audit` | the audit log |
//! | `connections` | the connections of all nodes |
//! | `hooks` | the state of hooks on all nodes |
//! | `memberships` | the rooms of a user |
//! | `explain` | the delivery of a message to one user |
//! | `records` | records of webhooks and streams |
//! | `personal_data` | exports and erasures of users |
//! | `faults` | an outage and expired tokens, in dev mode |

mod audit;
mod connections;
mod explain;
mod faults;
mod hooks;
mod members;
mod memberships;
mod messages;
mod moderation;
mod personal_data;
mod records;
mod reports;
mod rooms;
mod users;

use std::sync::Arc;

pub use self::{
    connections::{Connection, ConnectionFilter, ConnectionKey, ConnectionPage},
    explain::{ExplainedMessage, Explanation},
    hooks::HookStates,
    memberships::Membership,
    messages::{Post, Posted},
    moderation::Impose,
    personal_data::Erased,
    reports::{ReportAction, ResolveReport},
    rooms::RoomState,
    users::{Presence, Revoked, UserState},
};
pub(crate) use self::{rooms::clear as clear_room, users::apply_remote_revocation};
pub use crate::presence::device::Device;
use crate::{
    app::App,
    error::{ChatError, NO_ROOM},
    room_manager::RoomRef,
    types::{RoomName, UserId, names::check_acting_user_id},
};

/// The room of this name, without a check of membership.
async fn existing(app: &App, name: &str) -> Result<RoomRef, ChatError> {
    let name = room_name(name)?;
    app.rooms.open(&name, None).await?.ok_or(NO_ROOM)
}

fn room_name(name: &str) -> Result<RoomName, ChatError> {
    RoomName::new(name).map_err(|must| ChatError::InvalidRequest(format!("the room's name {must}")))
}

fn user_id(id: &str) -> Result<UserId, ChatError> {
    check_acting_user_id(id).map_err(|must| ChatError::InvalidRequest(format!("the user's id {must}")))?;
    Ok(Arc::from(id))
}
