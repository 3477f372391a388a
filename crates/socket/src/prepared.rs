//! A message that is encoded once and shared by all its recipients.
//!
//! The bytes are complete WebSocket frames: header, Engine.IO type, Socket.IO packet, then one frame for
//! each attachment. Long-polling uses the same bytes without the frame headers.

use bytes::Bytes;
use roomful_wire::{
    frame::{self, OpCode},
    packet::{self, Body, Packet, Payload},
    parser::{self, Parser},
};
use serde::Serialize;
use serde_json::Value;

/// Space for the longest header of a server frame, so that the packet can be written before its length is
/// known.
const HEADER: usize = 10;

/// An encoded message. A clone shares the bytes.
#[derive(Debug, Clone)]
pub struct Prepared {
    frame: Bytes,
    /// Length of the offset at the end, with quotes and comma. 0 without an offset.
    offset: u8,
}

impl Prepared {
    /// An Engine.IO text message.
    pub fn text(message: &str) -> Self {
        Self::build(&[], |out| out.extend_from_slice(message.as_bytes()))
    }

    /// An Engine.IO binary message.
    pub fn binary(message: &[u8]) -> Self {
        let mut out = Vec::with_capacity(HEADER + message.len());
        frame::write(OpCode::Binary, message, &mut out);
        Self::from_frame(out.into())
    }

    /// Wraps a frame that is already encoded.
    pub(crate) fn from_frame(frame: Bytes) -> Self {
        Prepared { frame, offset: 0 }
    }

    pub(crate) fn event(namespace: &str, name: &str, id: Option<u64>, payload: &Payload) -> Self {
        Self::build(payload.attachments(), |out| {
            packet::event(out, namespace, name, id, payload, None);
        })
    }

    /// An event with a recovery offset. A client that has received it can recover from this offset.
    pub(crate) fn event_at(namespace: &str, name: &str, payload: &Payload, offset: &str) -> Self {
        let event = Self::build(payload.attachments(), |out| {
            packet::event(out, namespace, name, None, payload, Some(offset));
        });
        // Two quotes and a comma. An offset that needs escaping or is too long cannot be removed later, so
        // its length is 0.
        let plain = offset
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
        let length = if plain {
            u8::try_from(offset.len() + 3)
        } else {
            Ok(0)
        };
        Prepared {
            offset: length.unwrap_or_default(),
            ..event
        }
    }

    /// The same event without its offset, for clients that would pass it to the application.
    pub fn without_offset(&self) -> Self {
        let split = frame::split(&self.frame).filter(|_| self.offset > 0);
        let Some((_, text, attachments)) = split else {
            return self.clone();
        };
        // Cutting `,"offset"` off leaves the same array, one element shorter.
        let kept = text.len().saturating_sub(usize::from(self.offset) + 1);
        let mut out = Vec::with_capacity(self.frame.len());
        let text = [text.get(..kept).unwrap_or_default(), b"]"].concat();
        frame::write(OpCode::Text, &text, &mut out);
        out.extend_from_slice(attachments);
        Self::from_frame(out.into())
    }

    /// The events in the message, for observers. Other packets are left out.
    pub(crate) fn events(&self) -> Vec<(Box<str>, Payload)> {
        let limits = parser::Limits {
            max_attachments: usize::MAX,
            max_attachment_bytes: usize::MAX,
        };
        let (mut parser, mut events) = (Parser::default(), Vec::new());
        let mut rest: &[u8] = &self.frame;
        while let Some((op, content, after)) = frame::split(rest) {
            rest = after;
            let parsed = match (op, content) {
                (OpCode::Text, [b'4', text @ ..]) => {
                    parser.text(&limits, std::str::from_utf8(text).unwrap_or_default())
                }
                (OpCode::Binary, bytes) => parser.binary(&limits, bytes),
                _ => continue,
            };
            if let Ok(Some(Packet {
                body: Body::Event { name, payload, .. },
                ..
            })) = parsed
            {
                events.push((name, payload));
            }
        }
        events
    }

    pub(crate) fn ack(namespace: &str, id: u64, payload: &Payload) -> Self {
        Self::build(payload.attachments(), |out| {
            packet::ack(out, namespace, id, payload);
        })
    }

    /// An ack with one value.
    pub(crate) fn ack_one<T: Serialize + ?Sized>(
        namespace: &str,
        id: u64,
        value: &T,
    ) -> Result<Self, serde_json::Error> {
        let mut written = Ok(());
        let answer = Self::build(&[], |out| written = packet::ack_one(out, namespace, id, value));
        written.map(|()| answer)
    }

    pub(crate) fn connect(namespace: &str, sid: &str, pid: Option<&str>) -> Self {
        Self::build(&[], |out| packet::connect(out, namespace, sid, pid))
    }

    pub(crate) fn connect_error(namespace: &str, message: &str, data: Option<&Value>) -> Self {
        Self::build(&[], |out| packet::connect_error(out, namespace, message, data))
    }

    pub(crate) fn disconnect(namespace: &str) -> Self {
        Self::build(&[], |out| packet::disconnect(out, namespace))
    }

    /// Joins several messages into one, so that the outbox takes all or none of them.
    pub(crate) fn concat<'a>(messages: impl IntoIterator<Item = &'a Prepared>) -> Self {
        let mut messages = messages.into_iter().peekable();
        let first = messages.next().map_or_else(Bytes::new, Prepared::frame);
        if messages.peek().is_none() {
            return Self::from_frame(first);
        }
        let mut joined = Vec::from(first);
        for message in messages {
            joined.extend_from_slice(&message.frame);
        }
        Self::from_frame(joined.into())
    }

    /// Size in bytes, including the WebSocket headers.
    pub fn len(&self) -> usize {
        self.frame.len()
    }

    /// Always false: even an empty message has a header.
    pub fn is_empty(&self) -> bool {
        self.frame.is_empty()
    }

    pub(crate) fn frame(&self) -> Bytes {
        self.frame.clone()
    }

    fn build(attachments: &[Bytes], write_packet: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut out = Vec::with_capacity(256);
        out.extend_from_slice(&[0; HEADER]);
        out.push(b'4');
        write_packet(&mut out);
        let mut header = [0; HEADER];
        let used = frame::header(OpCode::Text, out.len() - HEADER, &mut header);
        let start = HEADER - used;
        if let (Some(place), Some(bytes)) = (out.get_mut(start..HEADER), header.get(..used)) {
            place.copy_from_slice(bytes);
        }
        for attachment in attachments {
            frame::write(OpCode::Binary, attachment, &mut out);
        }
        Self::from_frame(Bytes::from(out).slice(start..))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attachments_follow_the_text_frame() {
        let mut payload = Payload::one(&1).unwrap();
        payload.push_binary(Bytes::from_static(&[1, 2, 3]));
        let prepared = Prepared::event("/", "message", None, &payload);
        let frame = prepared.frame();
        let (op, text, rest) = frame::split(&frame).unwrap();
        assert_eq!(op, OpCode::Text);
        assert_eq!(text, br#"451-["message",1,{"_placeholder":true,"num":0}]"#);
        assert_eq!(
            frame::split(rest),
            Some((OpCode::Binary, &[1u8, 2, 3][..], &[][..]))
        );
    }

    #[test]
    fn without_offset_restores_the_plain_event() {
        for size in [0, 100, 125, 70_000] {
            let mut payload = Payload::one(&"x".repeat(size)).unwrap();
            if size == 100 {
                payload.push_binary(Bytes::from_static(&[1, 2, 3]));
            }
            let plain = Prepared::event("/a", "message", None, &payload).frame();
            let with = Prepared::event_at("/a", "message", &payload, "0123abcd.17");
            assert_ne!(with.frame(), plain);
            assert_eq!(with.without_offset().frame(), plain);
            assert_eq!(with.without_offset().without_offset().frame(), plain);
        }
    }

    #[test]
    fn long_messages_get_long_headers() {
        for length in [0, 124, 125, 65_534, 65_535, 70_000] {
            let text = "x".repeat(length);
            let frame = Prepared::text(&text).frame();
            let (op, payload, rest) = frame::split(&frame).unwrap();
            assert_eq!((op, payload.len(), rest.len()), (OpCode::Text, length + 1, 0));
        }
    }
}
