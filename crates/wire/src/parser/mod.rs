//! Parser from text and binary messages to Socket.IO packets, with limits. It follows the reference parser
//! (socket.io-parser 4) and is stricter where servers were vulnerable. Not here: the meaning of packets,
//! and their encoding (`packet`).

mod array;
mod error;
mod placeholder;
mod text;

use bytes::Bytes;

pub use error::ParseError;

use crate::packet::{Body, Packet};

/// Names that mean something to a Socket.IO client or server itself, so that no event may have them.
const RESERVED: [&str; 6] = [
    "connect",
    "connect_error",
    "disconnect",
    "disconnecting",
    "newListener",
    "removeListener",
];

/// Limits on the memory that one packet may hold, beyond its text, which the transport limits.
pub fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// What one packet may make the parser hold, beyond its text, which the transport bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most binary attachments of a packet.
    pub max_attachments: usize,
    /// Most bytes in all attachments of a packet together.
    pub max_attachment_bytes: usize,
}

impl Default for Limits {
    /// 10 attachments of 1,000,000 bytes together.
    fn default() -> Self {
        Self {
            max_attachments: 10,
            max_attachment_bytes: 1_000_000,
        }
    }
}

/// Assembles the packets of one connection. The default parser reads packets of clients.
///
/// It owns no heap when idle. Between a binary packet's text and its last attachment it holds both; see
/// [`buffered_bytes`](Self::buffered_bytes).
#[derive(Debug, Default)]
pub struct Parser {
    pending: Option<Box<Pending>>,
    peer: Peer,
}

/// Which side wrote the packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Peer {
    #[default]
    Client,
    Server,
}

/// A binary packet that waits for attachments.
#[derive(Debug)]
struct Pending {
    packet: Packet,
    expected: usize,
    attachments: Vec<Bytes>,
    bytes: usize,
}

impl Parser {
    /// A parser for packets of a server, which include `CONNECT_ERROR`.
    pub const fn of_server_packets() -> Self {
        Self {
            pending: None,
            peer: Peer::Server,
        }
    }

    /// Parses a text message (without the Engine.IO `4`). `None` means that a binary packet has begun and
    /// its attachments follow.
    ///
    /// # Errors
    /// The text is not a packet, or an attachment was expected. The parser drops its buffers. The
    /// connection must close, since the following messages have no meaning.
    pub fn text(&mut self, limits: &Limits, text: &str) -> Result<Option<Packet>, ParseError> {
        if self.pending.take().is_some() {
            return Err(ParseError::TextInBinary);
        }
        let (packet, expected) = text::parse(text, limits)?;
        if matches!(packet.body, Body::ConnectError(_)) && self.peer == Peer::Client {
            return Err(ParseError::ServerOnly);
        }
        if expected == 0 {
            return Ok(Some(packet));
        }
        self.pending = Some(Box::new(Pending {
            packet,
            expected,
            attachments: Vec::new(),
            bytes: 0,
        }));
        Ok(None)
    }

    /// Parses a binary message: an attachment of the open packet. Returns that packet with its last
    /// attachment.
    ///
    /// # Errors
    /// No attachment was expected, or the attachments are too large. As with [`text`](Self::text), the
    /// connection must close.
    pub fn binary(&mut self, limits: &Limits, bytes: &[u8]) -> Result<Option<Packet>, ParseError> {
        let mut pending = self.pending.take().ok_or(ParseError::StrayBinary)?;
        pending.bytes = pending.bytes.saturating_add(bytes.len());
        if pending.bytes > limits.max_attachment_bytes {
            return Err(ParseError::AttachmentsTooLong {
                limit: limits.max_attachment_bytes,
            });
        }
        pending.attachments.push(Bytes::copy_from_slice(bytes));
        if pending.attachments.len() < pending.expected {
            self.pending = Some(pending);
            return Ok(None);
        }
        let Pending {
            mut packet,
            attachments,
            ..
        } = *pending;
        if let Body::Event { payload, .. } | Body::Ack { payload, .. } = &mut packet.body {
            payload.attach(attachments);
        }
        Ok(Some(packet))
    }

    /// Whether an attachment is expected.
    pub const fn is_reconstructing(&self) -> bool {
        self.pending.is_some()
    }

    /// Bytes of heap held for a packet with missing attachments; 0 when idle.
    pub fn buffered_bytes(&self) -> usize {
        let Some(pending) = &self.pending else { return 0 };
        let text = match &pending.packet.body {
            Body::Event { name, payload, .. } => name.len() + payload.text().len(),
            Body::Ack { payload, .. } => payload.text().len(),
            Body::Connect(_) | Body::Disconnect | Body::ConnectError(_) => 0,
        };
        let attachments = pending.attachments.capacity() * size_of::<Bytes>() + pending.bytes;
        size_of::<Pending>() + pending.packet.namespace.len() + text + attachments
    }
}
