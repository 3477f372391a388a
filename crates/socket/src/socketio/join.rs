//! The outcome of joining a room.

/// Result of [`Socket::join`](crate::Socket::join).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Joined {
    /// The socket is a new member.
    New,
    /// The socket was a member before.
    Already,
    /// The socket is in [`max_rooms`](crate::Settings::max_rooms) rooms and did not join another.
    TooManyRooms,
    /// The socket has left its namespace.
    Disconnected,
}

impl Joined {
    /// Whether the socket is in the room now.
    pub const fn is_member(self) -> bool {
        matches!(self, Joined::New | Joined::Already)
    }
}
