//! Engine.IO 4: sessions over HTTP long-polling and WebSocket. It does not interpret messages; the
//! [`Service`] on top does.

mod flusher;
mod http_error;
mod http_service;
mod incoming;
mod peers;
mod polling;
mod probe;
mod query;
mod registry;
mod server;
mod session;
mod stream;
mod task;
mod unfinished;
mod upgrade;

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::time::Instant;

pub(crate) use self::peers::Peers;
use self::{flusher::Flusher, registry::Registry, unfinished::UnfinishedBytes};
#[cfg(feature = "cluster")]
pub(crate) use self::{http_error::HttpError, peers::Forwarding, registry::CapacityError};
pub use self::{
    http_service::SocketService,
    server::EngineServer,
    session::{DeliveryMark, Session},
};
use crate::{cors::Cors, handshake::Handshake, metrics::Metrics, reason::Reason, settings::Settings};

/// A message from the client.
#[derive(Debug)]
pub enum Incoming<'a> {
    /// A text message, without its Engine.IO type.
    Text(&'a str),
    /// A binary message.
    Binary(&'a [u8]),
}

/// The layer on top of Engine.IO. Creates a [`Connection`] for each new session.
pub trait Service: Send + Sync + 'static {
    /// Called when a session has opened. The open packet is already queued.
    fn connect(&self, session: &Arc<Session>) -> Box<dyn Connection>;
}

/// The upper layer's side of one session. The session's task makes all calls, one at a time.
pub trait Connection: Send {
    /// Receives a message, in order. Must not block: queue longer work for [`Connection::poll`]. An error
    /// closes the session with that reason.
    fn receive(&mut self, message: Incoming<'_>) -> Result<(), Reason>;

    /// Continues queued work. Ready when none is left.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Whether reading should pause until some queued work is done.
    fn is_saturated(&self) -> bool {
        false
    }

    /// When to call [`Connection::on_deadline`].
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// Called when the deadline has passed. Returning a reason closes the session.
    fn on_deadline(&mut self) -> Option<Reason> {
        None
    }

    /// Bytes held for incomplete messages.
    fn buffered_bytes(&self) -> usize {
        0
    }

    /// Called when a WebSocket has replaced long-polling.
    fn upgraded(&mut self) {}

    /// Called once when the session ends. Queued work continues until [`Connection::poll`] is ready.
    fn closed(&mut self, reason: Reason);
}

/// State shared by all sessions of a server.
pub(crate) struct Engine {
    pub(crate) settings: Settings,
    pub(crate) cors: Cors,
    pub(crate) metrics: Metrics,
    pub(crate) registry: Arc<Registry>,
    flusher: Flusher<Session>,
    /// Bytes of unfinished messages of all sessions.
    unfinished: UnfinishedBytes,
    /// Connections to the other nodes of a cluster.
    pub(crate) peers: Option<Arc<dyn Peers>>,
    /// Whether the server takes new sessions now. Always, if not set.
    accepts: OnceLock<Box<dyn Fn() -> bool + Send + Sync>>,
    /// The application's check of new clients.
    allow_request: OnceLock<AllowRequest>,
}

type AllowRequest = Box<dyn Fn(Arc<Handshake>) -> Allowing + Send + Sync>;
type Allowing = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// A message from a POST body on its way to the session's task.
#[derive(Debug)]
enum OwnedMessage {
    Text(String),
    Binary(Bytes),
}

impl OwnedMessage {
    fn as_incoming(&self) -> Incoming<'_> {
        match self {
            OwnedMessage::Text(text) => Incoming::Text(text),
            OwnedMessage::Binary(bytes) => Incoming::Binary(bytes),
        }
    }
}
