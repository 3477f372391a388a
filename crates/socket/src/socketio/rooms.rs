//! Generic rooms of a namespace and their members. A room exists while it has members.

use std::{collections::HashMap, sync::Arc};

use indexmap::IndexMap;
use parking_lot::RwLock;

use super::Socket;
use crate::id::SocketId;

type MemberCache = IndexMap<SocketId, Socket>;

/// One lock for all rooms of a namespace: joins are rare compared to sends, which share it.
#[derive(Default)]
pub(super) struct Rooms(RwLock<HashMap<Arc<str>, MemberCache>>);

impl Rooms {
    /// Adds a member. Returns the room's shared name and whether the room is new, or `None` if the socket
    /// was a member already.
    pub(super) fn join(&self, room: &str, socket: &Socket) -> Option<(Arc<str>, bool)> {
        let mut rooms = self.0.write();
        if let Some((name, _)) = rooms.get_key_value(room) {
            let name = name.clone();
            let members = rooms.get_mut(room)?;
            return members
                .insert(*socket.id(), socket.clone())
                .is_none()
                .then_some((name, false));
        }
        let name: Arc<str> = room.into();
        let mut members = MemberCache::with_capacity(1);
        members.insert(*socket.id(), socket.clone());
        rooms.insert(name.clone(), members);
        Some((name, true))
    }

    /// Removes a member, unless another socket has its id by now. Returns whether the room has ended.
    pub(super) fn leave(&self, room: &str, socket: &Socket) -> bool {
        let mut rooms = self.0.write();
        if let Some(members) = rooms.get_mut(room) {
            if members.get(socket.id()) == Some(socket) {
                members.swap_remove(socket.id());
            }
            if members.is_empty() {
                rooms.remove(room);
                return true;
            }
        }
        false
    }

    /// Whether the room has members.
    #[cfg(feature = "cluster")]
    pub(super) fn is_used(&self, room: &str) -> bool {
        self.0.read().contains_key(room)
    }

    /// Calls `f` for each member under a shared lock: `f` must not join or leave.
    pub(super) fn for_each(&self, room: &str, f: impl FnMut(&Socket)) {
        if let Some(members) = self.0.read().get(room) {
            members.values().for_each(f);
        }
    }

    pub(super) fn names(&self) -> Vec<Arc<str>> {
        self.0.read().keys().cloned().collect()
    }
}
