//! A device's connection: a WebSocket to one node, or long-polling with each request to a random node.

use std::net::SocketAddr;

use roomful_testkit::Error;
use roomful_testkit::polling::PollingSession;
use roomful_testkit::session::{Incoming, Session};
use serde_json::Value;

#[derive(Debug)]
pub(super) enum Line {
    WebSocket(Box<Session>),
    Polling(Box<PollingSession>),
}

impl Line {
    /// With the data of the answer to CONNECT.
    pub(super) async fn over_websocket(node: SocketAddr, auth: &Value) -> Result<(Self, Value), Error> {
        let (session, welcome) = Session::connect(node, "/", auth).await?;
        Ok((Self::WebSocket(Box::new(session)), welcome))
    }

    /// With the data of the answer to CONNECT.
    pub(super) async fn by_polling(
        nodes: &[SocketAddr],
        seed: u64,
        auth: &Value,
    ) -> Result<(Self, Value), Error> {
        let (session, welcome) = PollingSession::connect(nodes, seed, auth).await?;
        Ok((Self::Polling(Box::new(session)), welcome))
    }

    /// The next packet, or `None` at the end. Cancel safe.
    pub(super) async fn next(&mut self) -> Incoming {
        match self {
            Self::WebSocket(session) => session.next().await,
            Self::Polling(session) => session.next().await,
        }
    }

    /// A failed send shows as the end on the reading side.
    pub(super) async fn emit(&mut self, id: u64, event: &str, argument: &Value) {
        match self {
            Self::WebSocket(session) => _ = session.emit(Some(id), event, argument).await,
            Self::Polling(session) => session.emit(Some(id), event, argument).await,
        }
    }

    /// Breaks the connection, whatever is in progress.
    pub(super) fn abort(self) {
        if let Self::WebSocket(session) = self {
            session.into_ws().abort();
        }
    }
}
