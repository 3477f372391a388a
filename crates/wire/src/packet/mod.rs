//! Socket.IO 5 packets as values, and how they are written. How they are read is in `parser`.

mod binary;
mod encode;
mod payload;

use std::borrow::Cow;

use serde_json::value::RawValue;

pub use binary::Binary;
pub use encode::{ack, ack_one, connect, connect_error, disconnect, event};
pub use payload::{ArgError, Payload};

/// The namespace every client knows.
pub const MAIN_NAMESPACE: &str = "/";

/// A complete packet, its attachments included.
#[derive(Clone, Debug)]
pub struct Packet {
    /// The namespace, `/` first, without a query string. `/` itself is borrowed.
    pub namespace: Cow<'static, str>,
    /// The packet's type and content.
    pub body: Body,
}

/// Type and content of a packet (Socket.IO protocol 5, "Packet types"). Binary events and acks are events
/// and acks whose payload has attachments.
#[derive(Clone, Debug)]
pub enum Body {
    /// A client asks for the namespace, with its `auth` object; or the server accepts it, with `{sid}`.
    Connect(Option<Box<RawValue>>),
    /// The sender leaves the namespace.
    Disconnect,
    /// An event.
    Event {
        /// The event's name, never a reserved one.
        name: Box<str>,
        /// The id of the expected ack, if any; at most 2^53 - 1.
        id: Option<u64>,
        /// The arguments after the name.
        payload: Payload,
    },
    /// The ack of an event.
    Ack {
        /// The id of the event.
        id: u64,
        /// The arguments of the ack.
        payload: Payload,
    },
    /// The server refuses a namespace: a string or an object. Only clients read it.
    ConnectError(Box<RawValue>),
}

impl Packet {
    /// Appends the packet's text to `out`, without the Engine.IO `4`. The attachments of its payload are
    /// not written; send them as binary messages after the text.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let namespace = &self.namespace;
        match &self.body {
            Body::Connect(data) => encode::raw(out, '0', namespace, data.as_deref()),
            Body::Disconnect => disconnect(out, namespace),
            Body::Event { name, id, payload } => event(out, namespace, name, *id, payload, None),
            Body::Ack { id, payload } => ack(out, namespace, *id, payload),
            Body::ConnectError(data) => encode::raw(out, '4', namespace, Some(data)),
        }
    }
}
