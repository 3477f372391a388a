//! Handling of one WebSocket message from a client.

use bytes::Bytes;
use roomful_wire::{
    engine::Packet,
    frame::{self, Message, OpCode},
};

use super::{Connection, Incoming, session::Session};
use crate::reason::Reason;

/// RFC 6455, 7.1.5: stands for a close frame without a code. Never sent.
pub(super) const NO_STATUS: u16 = 1005;

/// The message ends the session.
pub(super) struct SessionEnd {
    pub(super) reason: Reason,
    /// The WebSocket close code, if the reason alone does not determine it.
    pub(super) code: Option<u16>,
}

impl From<Reason> for SessionEnd {
    fn from(reason: Reason) -> Self {
        SessionEnd { reason, code: None }
    }
}

/// Handles a message. Returns a control frame to send, if any.
pub(super) fn handle_message(
    message: Message<'_>,
    session: &Session,
    connection: &mut dyn Connection,
) -> Result<Option<Bytes>, SessionEnd> {
    match message {
        Message::Text(text) => packet(&text, session, connection)?,
        Message::Binary(bytes) => {
            session.metrics().packets_in.increment(1);
            connection.receive(Incoming::Binary(&bytes))?;
        }
        Message::Ping(payload) => {
            session.count_idle_packet();
            let mut pong = Vec::with_capacity(payload.len() + 2);
            frame::write(OpCode::Pong, &payload, &mut pong);
            return Ok(Some(pong.into()));
        }
        Message::Pong(_) => session.count_idle_packet(),
        Message::Close(close) => {
            session.note_client_close();
            return Err(SessionEnd {
                reason: Reason::TransportClose,
                code: Some(close.map_or(NO_STATUS, |close| close.code)),
            });
        }
    }
    Ok(None)
}

fn packet(text: &str, session: &Session, connection: &mut dyn Connection) -> Result<(), SessionEnd> {
    match Packet::from_text(text) {
        Ok(Packet::Message(text)) => {
            session.metrics().packets_in.increment(1);
            connection.receive(Incoming::Text(text))?;
        }
        // Clients with `forceBase64` send base64 over WebSocket too.
        Ok(Packet::Binary(bytes)) => {
            session.metrics().packets_in.increment(1);
            connection.receive(Incoming::Binary(&bytes))?;
        }
        Ok(Packet::Pong(_)) => {
            session.count_idle_packet();
            session.pong();
        }
        Ok(Packet::Close) => {
            session.note_client_close();
            return Err(SessionEnd {
                reason: Reason::TransportClose,
                code: Some(NO_STATUS),
            });
        }
        // In Engine.IO 4 only the server pings.
        Ok(Packet::Ping(_)) => return Err(Reason::TransportError.into()),
        Ok(Packet::Open(_) | Packet::Upgrade | Packet::Noop) => session.count_idle_packet(),
        Err(error) => {
            tracing::debug!(%error, "failed to decode an Engine.IO packet");
            return Err(Reason::ParseError.into());
        }
    }
    Ok(())
}
