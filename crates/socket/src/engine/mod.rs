//! Engine.IO 4: sessions over HTTP long-polling and WebSocket. Knows nothing of Socket.IO: what a message means is
//! up to the [`Service`] that sits on top.

mod flusher;
mod http_error;
mod polling;
mod probe;
mod query;
mod received;
mod registry;
mod server;
mod session;
mod stream;
mod task;
mod upgrade;

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::time::Instant;

pub(crate) use self::server::Engine;
pub use self::{
    server::EngineServer,
    session::{SentMark, Session},
};
use crate::reason::Reason;

/// A message from the client.
#[derive(Debug)]
pub enum Incoming<'a> {
    /// A text message, without its Engine.IO type.
    Text(&'a str),
    /// A binary message.
    Binary(&'a [u8]),
}

/// What sits on top of Engine.IO: makes a [`Connection`] for each new session.
pub trait Service: Send + Sync + 'static {
    /// A session has opened; the open packet is on its way.
    fn connect(&self, session: &Arc<Session>) -> Box<dyn Connection>;
}

/// The upper layer's side of one session. All calls come from the session's own task, one at a time.
pub trait Connection: Send {
    /// A message came, in order. Must not block; longer work is queued for [`Connection::poll`]. An error closes the
    /// session for that reason.
    fn receive(&mut self, message: Incoming<'_>) -> Result<(), Reason>;

    /// Goes on with queued work; ready when there is none left.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Is so much work queued that reading should stop until some is done?
    fn is_saturated(&self) -> bool {
        false
    }

    /// When [`Connection::on_deadline`] wants to be called.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// The deadline passed; a reason closes the session.
    fn on_deadline(&mut self) -> Option<Reason> {
        None
    }

    /// Bytes held for messages that are not complete yet.
    fn held(&self) -> usize {
        0
    }

    /// The session ended. Called once; queued work still goes on until [`Connection::poll`] is ready.
    fn closed(&mut self, reason: Reason);
}

/// A message taken out of a POST body, on its way to the session's task.
#[derive(Debug)]
enum Owned {
    Text(String),
    Binary(Bytes),
}

impl Owned {
    fn as_incoming(&self) -> Incoming<'_> {
        match self {
            Owned::Text(text) => Incoming::Text(text),
            Owned::Binary(bytes) => Incoming::Binary(bytes),
        }
    }
}
