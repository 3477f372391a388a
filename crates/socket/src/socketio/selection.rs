//! A selection of sockets and an action on them, as other nodes receive them.

use serde::{Deserialize, Serialize};

/// A selection of sockets: the members of any of the rooms (all sockets without rooms), minus the
/// exceptions.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Selection {
    pub(super) rooms: Vec<String>,
    pub(super) except: Vec<String>,
    pub(super) except_socket: Option<String>,
}

impl Selection {
    /// Selects one socket.
    pub(super) fn one(socket: &str) -> Self {
        Selection {
            rooms: vec![socket.to_owned()],
            ..Selection::default()
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Action {
    Join(String),
    Leave(String),
    /// True to close the whole connection.
    Disconnect(bool),
}
