//! A message that is encoded once and then shared by all its recipients.
//!
//! The bytes are ready WebSocket frames: header, Engine.IO type, Socket.IO packet; attachments follow as further
//! frames in the same buffer. Long-polling takes the same bytes and strips the headers off.

use bytes::Bytes;
use roomful_wire::{
    frame::{self, OpCode},
    packet::{self, Payload},
};
use serde::Serialize;
use serde_json::Value;

/// Room for the longest header of a server frame, so that the packet can be written before its length is known.
const HEADER: usize = 10;

/// An encoded message. Cloning it copies no bytes.
#[derive(Debug, Clone)]
pub struct Prepared {
    frame: Bytes,
    /// Bytes of the offset at its end, with quotes and comma; 0 without one.
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

    /// A frame that is ready as it is.
    pub(crate) fn from_frame(frame: Bytes) -> Self {
        Prepared { frame, offset: 0 }
    }

    pub(crate) fn event(namespace: &str, name: &str, id: Option<u64>, payload: &Payload) -> Self {
        Self::build(payload.attachments(), |out| {
            packet::event(out, namespace, name, id, payload, None);
        })
    }

    /// An event that carries the offset at which a client that has seen it may take up its session.
    pub(crate) fn event_at(namespace: &str, name: &str, payload: &Payload, offset: &str) -> Self {
        let event = Self::build(payload.attachments(), |out| {
            packet::event(out, namespace, name, None, payload, Some(offset));
        });
        // Quotes and comma. One that had to be escaped, or is longer than any of ours, can't be taken off again.
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

    /// The same event without its offset, for clients that don't know what to make of it.
    pub fn without_offset(&self) -> Self {
        let split = frame::split(&self.frame).filter(|_| self.offset > 0);
        let Some((_, text, attachments)) = split else {
            return self.clone();
        };
        // What is left of `…,"offset"]` is the same list, one element shorter.
        let kept = text.len().saturating_sub(usize::from(self.offset) + 1);
        let mut out = Vec::with_capacity(self.frame.len());
        let text = [text.get(..kept).unwrap_or_default(), b"]"].concat();
        frame::write(OpCode::Text, &text, &mut out);
        out.extend_from_slice(attachments);
        Self::from_frame(out.into())
    }

    pub(crate) fn ack(namespace: &str, id: u64, payload: &Payload) -> Self {
        Self::build(payload.attachments(), |out| {
            packet::ack(out, namespace, id, payload);
        })
    }

    /// An answer of one value.
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

    /// Messages that go out one after the other as if they were one.
    pub(crate) fn row<'a>(messages: impl IntoIterator<Item = &'a Prepared>) -> Self {
        let mut messages = messages.into_iter().peekable();
        let first = messages.next().map_or_else(Bytes::new, Prepared::frame);
        if messages.peek().is_none() {
            return Self::from_frame(first);
        }
        let mut row = Vec::from(first);
        for message in messages {
            row.extend_from_slice(&message.frame);
        }
        Self::from_frame(row.into())
    }

    /// Size in bytes as it goes over a WebSocket.
    pub fn len(&self) -> usize {
        self.frame.len()
    }

    /// Never true: even an empty message has a header.
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
    fn the_text_frame_comes_first_and_attachments_follow() {
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
    fn an_offset_can_be_taken_off_again() {
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
