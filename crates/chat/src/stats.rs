//! Figures of one node: connections, users, rooms and messages.

use serde::{Deserialize, Serialize};

use crate::{message_rate::PerSecond, metrics::Messages};

/// The figures of one node, as of its last heartbeat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeStats {
    /// The node's name.
    pub node: String,
    /// The node's figures.
    pub stats: Stats,
}

/// The figures of a node.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Stats {
    /// Authenticated connections.
    pub connections: usize,
    /// Users who are online, each counted once for all devices.
    pub users: usize,
    /// Rooms in memory: those that a subscriber, a handler or a queued write holds.
    pub rooms: usize,
    /// Messages since the start.
    pub messages: Messages,
    /// Messages per second, over the last minute or less.
    pub per_second: PerSecond,
}
