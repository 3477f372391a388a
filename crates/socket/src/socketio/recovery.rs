//! Connection state recovery: the interface between the protocol in this crate and a store of sessions.
//!
//! Protocol (Socket.IO 4.6 and later): the CONNECT answer carries a private id (`pid`) beside the public
//! one. A client that reconnects sends the `pid` and the offset of the last event it received, which is the
//! event's last argument if that is a string. If the session can be restored, the client keeps both ids.
//! The server sends the missed events before the CONNECT answer, and the client buffers them until then.
//!
//! This file stores nothing and does not decide which events count as missed.

use std::{fmt, future::Future, pin::Pin};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Socket;
pub use crate::id::PrivateId;
use crate::{id::SocketId, prepared::Prepared};

/// Longest accepted offset in bytes.
const OFFSET_BYTES: usize = 128;

/// A store of sessions, for [`crate::Namespace::set_recovery`]. For recovery in the memory of one server, see
/// [`crate::Builder::connection_state_recovery`].
pub trait Recovery: Send + Sync + 'static {
    /// Starts a new session under this private id. `false` means that the socket gets no private id and
    /// cannot recover.
    fn begin(&self, socket: &Socket, pid: &PrivateId) -> bool;

    /// Restores the session of a client that has passed the middleware. `None` if the session cannot be
    /// restored completely; the socket then starts a new one.
    ///
    /// An implementation that returns `Some` must make sure that the socket receives only the missed events
    /// until its connect handler runs, and everything after that. It must also close a connection that
    /// still uses the session.
    fn restore<'a>(&'a self, socket: &'a Socket, request: &'a RecoveryRequest) -> Restoring<'a>;

    /// Connects a socket whose session was restored: calls `enter` once, which sends the missed events and
    /// the CONNECT answer. `false` if the socket did not enter. An implementation that keeps the missed
    /// events itself can hold back new ones meanwhile.
    fn enter(
        &self,
        _socket: &Socket,
        _request: &RecoveryRequest,
        restored: Restored,
        enter: &mut dyn FnMut(&Restored) -> bool,
    ) -> bool {
        enter(&restored)
    }

    /// Called if a socket disconnects after its session was restored but before it entered the namespace.
    /// Its handlers do not run.
    fn abandon(&self, socket: &Socket);
}

/// Future returned by [`Recovery::restore`].
pub type Restoring<'a> = Pin<Box<dyn Future<Output = Option<Restored>> + Send + 'a>>;

/// A restored session.
#[derive(Debug)]
pub struct Restored {
    /// The public id of the session.
    pub sid: SocketId,
    /// The missed events in order.
    pub missed: Vec<Prepared>,
}

/// A client's request to recover its session.
pub struct RecoveryRequest {
    /// The private id of the session.
    pub pid: PrivateId,
    /// The offset of the last event that the client received. Untrusted text.
    pub offset: String,
}

#[derive(Deserialize)]
struct Shown {
    pid: Option<String>,
    offset: Option<String>,
}

impl RecoveryRequest {
    /// Reads a request from the `auth` of a CONNECT. `None` if it is missing or incomplete.
    pub(crate) fn read(auth: &RawValue) -> Option<Self> {
        let shown: Shown = serde_json::from_str(auth.get()).ok()?;
        let pid = PrivateId::parse(&shown.pid?)?;
        let offset = shown.offset.filter(|offset| offset.len() <= OFFSET_BYTES)?;
        Some(Self { pid, offset })
    }
}

impl fmt::Debug for RecoveryRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecoveryRequest")
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}
