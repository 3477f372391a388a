//! Callbacks from a cluster to its node: messages of other nodes, and the begin and end of the lease.

use std::sync::Arc;

use roomful_store::{RoomId, SessionKey};
use serde_json::value::RawValue;

use super::{NodeAnswer, NodeQuery};
use crate::{
    stats::Stats,
    types::{RoomName, UserId},
};

/// A node, as its cluster sees it. Called by the bus, so nothing here waits.
pub(crate) trait NodeEvents: Send + Sync {
    /// The node's figures, for its registry entry.
    fn stats(&self) -> Stats;

    /// Answers a query of another node. It may be slow, so the task of the bus does not call it.
    fn answer(&self, query: &NodeQuery) -> NodeAnswer;

    /// A lease has begun: the registry knows nothing of this node.
    fn lease_began(&self);

    /// The lease has ended, so the other nodes treat this node's clients as offline. Closes all connections,
    /// and returns their number.
    fn lease_lost(&self) -> u64;

    /// Sends an event without a log entry to the room's sockets on this node. `mark` is the user and the
    /// value of the mark that the event carries.
    fn room_event(&self, room: RoomId, event: &str, data: &RawValue, mark: Option<(&str, u64)>);

    /// Another node's list of a room's online users has changed.
    fn room_presence_changed(&self, room: RoomId);

    /// A user on another node types in a room, or has stopped.
    fn typing(&self, user: &UserId, room: RoomId, typing: bool);

    /// Another node's entry of a user has changed.
    fn user_presence_changed(&self, user: &str);

    /// A user has read on in a room, on another node.
    fn room_read(self: Arc<Self>, user: UserId, room: RoomId, name: RoomName);

    /// A user has read notifications on another node, and `unread` are left.
    fn notifications_read(&self, user: &UserId, unread: u64);

    /// A session of a user was resumed on another node: a connection that still has it here is dead.
    fn session_taken_over(&self, user: &str, key: SessionKey);
}
