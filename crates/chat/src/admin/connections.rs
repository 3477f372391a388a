//! Backend calls that show the connections of this node.

use std::{
    net::IpAddr,
    time::{SystemTime, UNIX_EPOCH},
};

use roomful_socket::Socket;

use super::{room_name, user_id};
use crate::{
    error::ChatError,
    server::ChatServer,
    session::Session,
    types::{RoomName, UserId},
};

/// An authenticated connection of this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Ascends in the order of admission on this node.
    pub serial: u64,
    /// The id from its `session` event.
    pub session_id: String,
    /// The user's id.
    pub user_id: String,
    /// The user's name in the token.
    pub name: Option<String>,
    /// The device's name; empty if the client gave none.
    pub device: String,
    /// The client's address.
    pub address: IpAddr,
    /// `polling` or `websocket`.
    pub transport: &'static str,
    /// When the client opened it, in milliseconds since 1970.
    pub connected_at: i64,
    /// When its token expires, in milliseconds since 1970.
    pub expires_at: i64,
    /// The number of subscribed rooms.
    pub rooms: usize,
    /// Bytes that wait for the client.
    pub queued_bytes: usize,
}

/// Which connections to list. The default lists all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectionFilter {
    /// Only connections of this user.
    pub user: Option<String>,
    /// Only connections that are subscribed to this room.
    pub room: Option<String>,
}

impl ChatServer {
    /// The connections of this node in the order of admission: the first `limit` after the serial `after`.
    ///
    /// The call looks at every connection of the node once.
    ///
    /// # Errors
    /// `invalid_request` for an invalid id or name.
    pub fn connections(
        &self,
        filter: &ConnectionFilter,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Connection>, ChatError> {
        let user = filter.user.as_deref().map(user_id).transpose()?;
        let room = filter.room.as_deref().map(room_name).transpose()?;
        let mut found: Vec<_> = self
            .app
            .namespace
            .sockets()
            .into_iter()
            .filter_map(|socket| {
                let session = socket.state::<Session>()?;
                let is_wanted = after.is_none_or(|after| session.serial > after)
                    && belongs(&session, user.as_ref(), room.as_ref());
                is_wanted.then_some((session.serial, socket))
            })
            .collect();
        found.sort_unstable_by_key(|(serial, _)| *serial);
        found.truncate(limit);
        Ok(found
            .iter()
            .filter_map(|(_, socket)| Connection::of(socket))
            .collect())
    }
}

fn belongs(session: &Session, user: Option<&UserId>, room: Option<&RoomName>) -> bool {
    user.is_none_or(|user| session.user == *user) && room.is_none_or(|room| session.joined(room).is_some())
}

impl Connection {
    fn of(socket: &Socket) -> Option<Self> {
        let session = socket.state::<Session>()?;
        let handshake = socket.handshake();
        Some(Self {
            serial: session.serial,
            session_id: socket.id().as_str().to_owned(),
            user_id: session.user.to_string(),
            name: session.name().map(|name| name.to_string()),
            device: session.device.to_string(),
            address: handshake.address,
            transport: socket.transport(),
            connected_at: milliseconds(handshake.time),
            expires_at: session.expires_at(),
            rooms: session.rooms(),
            queued_bytes: socket.queued_bytes(),
        })
    }
}

fn milliseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
