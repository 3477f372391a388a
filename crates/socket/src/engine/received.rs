//! What to do with one WebSocket message of a client.

use bytes::Bytes;
use roomful_wire::{
    engine::Packet,
    frame::{self, Message, OpCode},
};

use super::{Connection, Incoming, session::Session};
use crate::reason::Reason;

/// RFC 6455, 7.1.5: the code that stands for "the close frame had none". It is never sent.
pub(super) const NO_STATUS: u16 = 1005;

/// The message ends the session.
pub(super) struct End {
    pub(super) reason: Reason,
    /// The code to close with, where the reason alone does not say it.
    pub(super) code: Option<u16>,
}

impl From<Reason> for End {
    fn from(reason: Reason) -> Self {
        End { reason, code: None }
    }
}

/// Acts on a message; gives back a control frame to send.
pub(super) fn act_on(
    message: Message<'_>,
    session: &Session,
    connection: &mut dyn Connection,
) -> Result<Option<Bytes>, End> {
    match message {
        Message::Text(text) => packet(&text, session, connection)?,
        Message::Binary(bytes) => {
            session.metrics().packets_in.increment(1);
            connection.receive(Incoming::Binary(&bytes))?;
        }
        Message::Ping(payload) => {
            let mut pong = Vec::with_capacity(payload.len() + 2);
            frame::write(OpCode::Pong, &payload, &mut pong);
            return Ok(Some(pong.into()));
        }
        Message::Pong(_) => {}
        Message::Close(close) => {
            session.farewell();
            return Err(End {
                reason: Reason::TransportClose,
                code: Some(close.map_or(NO_STATUS, |close| close.code)),
            });
        }
    }
    Ok(None)
}

fn packet(text: &str, session: &Session, connection: &mut dyn Connection) -> Result<(), End> {
    match Packet::from_text(text) {
        Ok(Packet::Message(text)) => {
            session.metrics().packets_in.increment(1);
            connection.receive(Incoming::Text(text))?;
        }
        // A client may insist on base64 here too.
        Ok(Packet::Binary(bytes)) => {
            session.metrics().packets_in.increment(1);
            connection.receive(Incoming::Binary(&bytes))?;
        }
        Ok(Packet::Pong(_)) => session.pong(),
        Ok(Packet::Close) => {
            session.farewell();
            return Err(End {
                reason: Reason::TransportClose,
                code: Some(NO_STATUS),
            });
        }
        // In version 4 it is the server that pings.
        Ok(Packet::Ping(_)) => return Err(Reason::TransportError.into()),
        Ok(Packet::Open(_) | Packet::Upgrade | Packet::Noop) => {}
        Err(error) => {
            tracing::debug!(%error, "bad Engine.IO packet");
            return Err(Reason::ParseError.into());
        }
    }
    Ok(())
}
