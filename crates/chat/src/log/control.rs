//! Control entries: commands that all nodes carry out, whatever the bus loses.
//!
//! A control entry has a position in the log like a message, in a room of the cluster's own, so every node
//! that follows the log finds it. A caller writes it after the store has the change that it announces, and
//! before it answers. If the node dies in between, the caller gets no answer and repeats the call, which
//! writes the entry again. The removal of a room can't be repeated, since its name is gone, so it shares a
//! transaction with its control entry.

use std::sync::Arc;

use parking_lot::Mutex;
use roomful_store::{EntryKind, LogEntry, NewEntry, RoomChange, RoomId, RoomKind, Store};
use serde::{Deserialize, Serialize};

use crate::{
    error::ChatError,
    events::{chat::Removal, moderation::Announcement},
    types::{Notice, Shown},
};

/// The name of the control room. No client can name it: it contains a control character.
pub(crate) const CONTROL_ROOM: &str = "\u{1}cluster";
/// How many control entries are kept: many more than are written while a node is behind.
const KEPT: u64 = 10_000;

/// A command to all nodes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Control {
    /// The user is a member of the room: they are online in it on every node they are connected to.
    Joined { room: RoomId, user: String },
    /// The user is no longer a member of the room: their sockets leave it.
    Left {
        room: RoomId,
        user: String,
        #[serde(default)]
        reason: Removal,
    },
    /// The role of a member has changed. The store has it already.
    RoleChanged { room: RoomId, user: String },
    /// The room and its messages are deleted.
    RoomDeleted {
        room: RoomId,
        #[serde(default)]
        name: String,
    },
    /// The user's sockets are closed.
    Disconnected { user: String },
    /// The user's sockets are closed if their tokens were issued before this time, or don't say when.
    Revoked { user: String, before: i64 },
    /// The user has chosen a status.
    StatusChosen {
        user: String,
        shown: Shown,
        seen_at: i64,
    },
    /// A moderator or the backend has acted. The store has the act's state already.
    Moderated {
        /// `None` for all rooms.
        room: Option<RoomId>,
        act: Announcement,
    },
    /// A user has blocked another one, or ended a block. The store has it already.
    BlockChanged {
        user: String,
        blocked: String,
        /// False for the end of a block.
        on: bool,
        at: i64,
    },
    /// The user's profile was changed at the time `at`.
    ProfileChanged { user: String, at: i64 },
    /// A notification was posted: its users, each with its number among their notifications.
    Notified {
        id: String,
        notice: Notice,
        at: i64,
        places: Vec<(String, u64)>,
    },
}

/// The entry of a command. `node` names the node, or in a cluster its incarnation.
///
/// # Errors
/// `internal` if it cannot be encoded.
pub(crate) fn entry(control: &Control, room: RoomId, node: &str, at: i64) -> Result<NewEntry, ChatError> {
    let body = serde_json::to_string(control).map_err(|error| {
        tracing::error!(%error, "failed to encode a control entry");
        ChatError::Internal
    })?;
    Ok(NewEntry {
        room,
        kind: EntryKind::Control,
        target: None,
        user_id: node.to_owned(),
        user_name: None,
        client_id: None,
        body,
        mentions: Vec::new(),
        at,
        replacement: None,
        exempt: false,
        as_member: false,
        charged: false,
    })
}

/// Carries out control entries. The follower calls it between two entries, so nothing here waits.
pub(crate) trait ControlHandler: Send + Sync {
    /// Carries out a control entry. Doing so twice has the same effect as doing so once.
    fn run_control(self: Arc<Self>, entry: &LogEntry);

    /// The log was restored from a backup, and this node has dropped its state of it.
    fn log_restored(&self);
}

/// The room that control entries are written to.
#[derive(Debug, Default)]
pub(crate) struct ControlRoom(Mutex<Option<RoomId>>);

impl ControlRoom {
    /// `None` until the room was looked up.
    pub(crate) fn get(&self) -> Option<RoomId> {
        *self.0.lock()
    }

    /// The control room, which is created if need be. No client can join it: it is private, and its name is
    /// not valid.
    pub(crate) async fn open(&self, store: &dyn Store, now: i64) -> Result<RoomId, ChatError> {
        if let Some(room) = self.get() {
            return Ok(room);
        }
        let change = RoomChange {
            kind: Some(RoomKind::Private),
            history: Some(Some(KEPT)),
        };
        let (room, _) = store.put_room(CONTROL_ROOM, change, now).await?;
        *self.0.lock() = Some(room.id);
        Ok(room.id)
    }

    /// The log was restored: the room may have another id now.
    pub(crate) fn forget(&self) {
        *self.0.lock() = None;
    }

    /// Whether this is the control room, or may be it since its id is unknown.
    pub(crate) fn may_be(&self, room: RoomId) -> bool {
        self.get().is_none_or(|control| control == room)
    }
}
