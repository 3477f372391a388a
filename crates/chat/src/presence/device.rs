//! A connection of a user, as backends see it.

use roomful_socket::Socket;
use serde::{Deserialize, Serialize};

use crate::session::Session;

/// A connection of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Its id, as its `session` event says.
    pub session_id: String,
    /// How many rooms it is subscribed to.
    pub rooms: usize,
    /// When its token ends.
    pub expires_at: i64,
}

impl Device {
    pub(crate) fn of(socket: &Socket) -> Option<Self> {
        let session = socket.state::<Session>()?;
        Some(Self {
            session_id: socket.id().as_str().to_owned(),
            rooms: session.rooms(),
            expires_at: session.expires_at(),
        })
    }
}
