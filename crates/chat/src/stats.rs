//! Figures of one node: connections, users, rooms and messages.

use serde::{Deserialize, Serialize};

use crate::{message_rate::PerSecond, metrics::Messages};

/// What is going on on one node, as of its last sign of life.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeStats {
    /// Its name.
    pub node: String,
    /// Its figures.
    pub stats: Stats,
}

/// What is going on, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Stats {
    /// Authenticated connections.
    pub connections: usize,
    /// Users who are online; all devices of one count once.
    pub users: usize,
    /// Rooms in memory: those that somebody is subscribed to.
    pub rooms: usize,
    /// Messages since the start.
    pub messages: Messages,
    /// Messages a second, over the last minute or less.
    pub per_second: PerSecond,
}
