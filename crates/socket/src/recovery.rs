//! Connection state recovery: the seam between this layer, which speaks the protocol, and whoever remembers sessions.
//!
//! The protocol (Socket.IO 4.6 and later, "connection state recovery"): the answer to CONNECT carries a private id
//! beside the public one. A client that comes back shows it, with the offset of the last event it has seen: the last
//! argument of an event, if that is a string. If its session can be given back, it keeps both ids, and what it missed
//! is sent before the answer to CONNECT; the client holds that back until it is connected.
//!
//! Nothing here stores anything, and nothing decides what counts as missed.

use std::{fmt, future::Future, pin::Pin};

use serde::Deserialize;
use serde_json::value::RawValue;

pub use crate::id::PrivateId;
use crate::{id::SocketId, prepared::Prepared, socketio::Socket};

/// The longest offset that is looked at, in bytes.
const OFFSET_BYTES: usize = 128;

/// Remembers sessions. See [`crate::Namespace::set_recovery`].
pub trait Recovery: Send + Sync + 'static {
    /// A socket begins a new session under this private id. `false`: it gets none and can't be recovered.
    fn begin(&self, socket: &Socket, pid: &PrivateId) -> bool;

    /// A client that has passed the middleware asks for a session. `None` if it can't be given back whole: the socket
    /// begins a new one.
    ///
    /// Whoever answers `Some` has seen to it that nothing but what is missed is sent to the socket before its connect
    /// handler runs; from then on it gets everything. A connection that still has the session has to be closed by it.
    fn restore<'a>(&'a self, socket: &'a Socket, claim: &'a Claim) -> Restoring<'a>;

    /// The socket to which a session was given back was disconnected before it got in; its handlers won't run.
    fn abandon(&self, socket: &Socket);
}

/// What [`Recovery::restore`] returns.
pub type Restoring<'a> = Pin<Box<dyn Future<Output = Option<Restored>> + Send + 'a>>;

/// A session that is given back.
#[derive(Debug)]
pub struct Restored {
    /// The public id that the session had.
    pub sid: SocketId,
    /// The events that it missed, in order.
    pub missed: Vec<Prepared>,
}

/// What a client shows to get its session back.
pub struct Claim {
    /// The private id of the session.
    pub pid: PrivateId,
    /// The offset of the last event that the client has seen. Whatever the client makes of it.
    pub offset: String,
}

#[derive(Deserialize)]
struct Shown {
    pid: Option<String>,
    offset: Option<String>,
}

impl Claim {
    /// What is shown in the `auth` of a CONNECT, if it is whole.
    pub(crate) fn read(auth: &RawValue) -> Option<Self> {
        let shown: Shown = serde_json::from_str(auth.get()).ok()?;
        let pid = PrivateId::parse(&shown.pid?)?;
        let offset = shown.offset.filter(|offset| offset.len() <= OFFSET_BYTES)?;
        Some(Self { pid, offset })
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim")
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}
