//! What all nodes must do, whatever the bus loses: it stands in the order of all entries like what is said, in a room of the
//! cluster's own, so that whoever follows the order finds it.
//!
//! It is written after the store knows what it tells, and before whoever asked is answered. A node that dies in between
//! has answered nobody: the call is made again, and does it all again. A room that is gone can't be named again, so it goes in
//! the transaction that writes the command.

use roomful_store::RoomId;
use serde::{Deserialize, Serialize};

use crate::presence::cluster_presence::view::Shown;
use crate::types::Notice;

/// The name of the room in which controls stand. No client can name it: it has a control character.
pub(crate) const CONTROL_ROOM: &str = "\u{1}cluster";
/// How many of them are kept: far more than are written while a node is behind.
pub(crate) const KEPT: u64 = 10_000;

/// What all nodes must do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Control {
    /// The user is a member of the room: on whichever node they are, they are online in it.
    Joined { room: RoomId, user: String },
    /// The user is a member of the room no more: their sockets are out of it.
    Left { room: RoomId, user: String },
    /// The room is gone, with all that was in it.
    RoomDeleted { room: RoomId },
    /// The user's sockets are closed.
    SentAway { user: String },
    /// The same, if their tokens were issued before this time, or don't say when.
    Revoked { user: String, before: i64 },
    /// The user has chosen what to show as.
    Chose {
        user: String,
        shown: Shown,
        seen_at: i64,
    },
    /// A notification was posted: users with the number that it has among theirs.
    Notified {
        id: String,
        notice: Notice,
        at: i64,
        places: Vec<(String, u64)>,
    },
}
