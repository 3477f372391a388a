//! What a user may do in a room, in the answers to `chat:join` and `chat:sync`, and after a recovery.

use roomful_store::Role;
use schemars::JsonSchema;
use serde::Serialize;

use crate::types::RoomName;

/// The user's role in a room, and what restrains them from writing there.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Standing {
    /// A token may make its user a moderator of all rooms.
    pub(crate) role: RoleName,
    /// Whether only moderators and owners may write.
    pub(crate) frozen: bool,
    /// Seconds between two messages of one user; 0 without slow mode. It does not bind moderators and owners.
    pub(crate) slow_mode: u64,
    /// Milliseconds until slow mode lets the user write again; 0 for at once.
    pub(crate) retry_after_ms: u64,
    /// There if the user is muted, in this room or in all rooms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) muted: Option<Muted>,
}

/// `chat:room_state`: to all sockets of a user whose role has changed, and to a recovered session that may
/// have missed that or an act of moderation.
pub(crate) const ROOM_STATE: &str = "chat:room_state";

/// The payload of [`ROOM_STATE`].
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RoomState<'a> {
    pub(crate) room: &'a RoomName,
    #[serde(flatten)]
    pub(crate) standing: Standing,
}

/// The name of a role.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Role")]
pub(crate) enum RoleName {
    Member,
    Moderator,
    Owner,
}

impl From<Role> for RoleName {
    fn from(role: Role) -> Self {
        match role {
            Role::Member => Self::Member,
            Role::Moderator => Self::Moderator,
            Role::Owner => Self::Owner,
        }
    }
}

/// A mute.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Muted {
    /// When it ends, in milliseconds since 1970. Not there if it has no end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}
