//! Messages between nodes and their encoding: the length of a JSON head, the head, and WebSocket frames (an
//! event, or the attachments of an answer).
//!
//! The bus is trusted with the content but not with memory safety: a message has a maximum size, its head
//! is parsed into types, and its frames are validated before use.

use bytes::Bytes;
use roomful_wire::{
    frame::{self, OpCode},
    packet::Payload,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    node_tag::NodeTag,
    outbox::Class,
    socketio::{
        ack::AckError,
        remote_socket::SocketDetails,
        selection::{Action, Selection},
    },
};

/// Maximum size of a message in bytes.
const MAX_MESSAGE: usize = 64 * 1024 * 1024;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct BusMessage {
    pub(super) from: NodeTag,
    pub(super) namespace: String,
    pub(super) body: MessageBody,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum MessageBody {
    /// Sends the frames to the selected sockets. `once` identifies copies on several topics.
    Emit {
        selection: Selection,
        class: SentClass,
        once: Option<u64>,
    },
    /// Performs an action on the selected sockets.
    Do {
        selection: Selection,
        act: Action,
        once: Option<u64>,
    },
    /// Asks for the selected sockets.
    Select {
        call: u64,
        selection: Selection,
        details: bool,
    },
    /// Answers `Select`. `cut`: the list is incomplete.
    Selected {
        call: u64,
        sockets: Vec<SocketInfo>,
        cut: bool,
    },
    /// Sends the frames to these sockets and reports their acks with this id.
    Ask {
        call: u64,
        sockets: Vec<String>,
        id: u64,
        timeout_ms: u64,
    },
    /// An event for the servers themselves. The frames are its attachments.
    ServerEvent { name: String, args: String },
    /// The outcome for one socket. The frames are its attachments.
    Answered {
        call: u64,
        socket: String,
        outcome: Outcome,
    },
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) enum SentClass {
    Durable,
    Volatile,
    Latest(u64),
}

impl From<Class> for SentClass {
    fn from(class: Class) -> Self {
        match class {
            Class::Durable => SentClass::Durable,
            Class::Volatile => SentClass::Volatile,
            Class::Latest(key) => SentClass::Latest(key),
        }
    }
}

impl From<SentClass> for Class {
    fn from(class: SentClass) -> Self {
        match class {
            SentClass::Durable => Class::Durable,
            SentClass::Volatile => Class::Volatile,
            SentClass::Latest(key) => Class::Latest(key),
        }
    }
}

/// A socket as listed for other nodes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct SocketInfo {
    pub(super) id: String,
    pub(super) details: Option<SocketDetails>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Outcome {
    /// The arguments' JSON, joined by commas.
    Answer(String),
    Timeout,
    Disconnected,
    TooMany,
}

impl Outcome {
    pub(super) fn of(outcome: &Result<Payload, AckError>) -> (Self, Vec<u8>) {
        let mut tail = Vec::new();
        let outcome = match outcome {
            Ok(payload) => {
                let (text, attachments) = split_payload(payload);
                tail = attachments;
                Outcome::Answer(text)
            }
            Err(AckError::Timeout) => Outcome::Timeout,
            Err(AckError::TooMany) => Outcome::TooMany,
            // Only the caller decodes answers.
            Err(AckError::Disconnected | AckError::Unsendable | AckError::Unreadable(_)) => {
                Outcome::Disconnected
            }
        };
        (outcome, tail)
    }

    /// Reads an outcome. `None` if it is malformed.
    pub(super) fn read(self, tail: &Bytes) -> Option<Result<Payload, AckError>> {
        let text = match self {
            Outcome::Answer(text) => text,
            Outcome::Timeout => return Some(Err(AckError::Timeout)),
            Outcome::Disconnected => return Some(Err(AckError::Disconnected)),
            Outcome::TooMany => return Some(Err(AckError::TooMany)),
        };
        join_payload(text, tail).map(Ok)
    }
}

/// The JSON and the frames of a payload.
pub(super) fn split_payload(payload: &Payload) -> (String, Vec<u8>) {
    let mut frames = Vec::new();
    for attachment in payload.attachments() {
        frame::write(OpCode::Binary, attachment, &mut frames);
    }
    (payload.text().to_owned(), frames)
}

/// The payload of such a JSON and frames. `None` if they are malformed.
pub(super) fn join_payload(text: String, tail: &Bytes) -> Option<Payload> {
    let len = serde_json::from_str::<Vec<&RawValue>>(&format!("[{text}]"))
        .ok()?
        .len();
    let attachments = frames(tail)?.into_iter().map(|(_, bytes)| bytes).collect();
    Some(Payload::from_parts(text, len, attachments))
}

impl BusMessage {
    pub(super) fn encode(&self, tail: &[u8]) -> Bytes {
        // Names, numbers and lists always convert to JSON.
        let head = serde_json::to_vec(self).unwrap_or_default();
        let length = u32::try_from(head.len()).unwrap_or(u32::MAX);
        let mut out = Vec::with_capacity(4 + head.len() + tail.len());
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&head);
        out.extend_from_slice(tail);
        out.into()
    }

    /// Reads a message and its frames. `None` if it is malformed.
    pub(super) fn decode(bytes: &Bytes) -> Option<(Self, Bytes)> {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        if bytes.len() > MAX_MESSAGE || length > rest.len() {
            return None;
        }
        let message = serde_json::from_slice(rest.get(..length)?).ok()?;
        let tail = bytes.slice(4 + length..);
        frames(&tail)?;
        Some((message, tail))
    }
}

/// Splits bytes into text and binary frames. `None` if they contain anything else.
fn frames(bytes: &Bytes) -> Option<Vec<(OpCode, Bytes)>> {
    let mut frames = Vec::new();
    let mut rest: &[u8] = bytes;
    while !rest.is_empty() {
        let (op, payload, after) = frame::split(rest)?;
        let good = match op {
            OpCode::Text => std::str::from_utf8(payload).is_ok(),
            OpCode::Binary => true,
            _ => false,
        };
        if !good {
            return None;
        }
        frames.push((op, bytes.slice_ref(payload)));
        rest = after;
    }
    Some(frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body() -> MessageBody {
        MessageBody::Select {
            call: 7,
            selection: Selection::one("a"),
            details: true,
        }
    }

    fn message() -> BusMessage {
        BusMessage {
            from: NodeTag::random(),
            namespace: "/".to_owned(),
            body: body(),
        }
    }

    #[test]
    fn a_message_round_trips_and_a_cut_one_is_refused() {
        let mut tail = Vec::new();
        frame::write(OpCode::Text, b"42[\"a\"]", &mut tail);
        frame::write(OpCode::Binary, &[1, 2, 3], &mut tail);
        let bytes = message().encode(&tail);
        let (read, frames) = BusMessage::decode(&bytes).unwrap();
        assert!(matches!(
            read.body,
            MessageBody::Select {
                call: 7,
                details: true,
                ..
            }
        ));
        assert_eq!(frames, tail);
        for length in (0..bytes.len()).filter(|&length| length != bytes.len() - tail.len()) {
            let cut = bytes.slice(..length);
            let known = BusMessage::decode(&cut).is_some();
            // A cut between two frames leaves a well-formed message.
            assert!(!known || length == bytes.len() - 5, "{length}");
        }
    }

    #[test]
    fn malformed_messages_are_refused() {
        for bad in [
            &b""[..],
            b"\0\0\0",
            b"\xff\xff\xff\xff{}",
            b"\0\0\0\x02{}",
            b"\0\0\0\0",
        ] {
            assert!(BusMessage::decode(&Bytes::from_static(bad)).is_none(), "{bad:?}");
        }
        for tail in [
            &b"\x88\x00"[..],
            b"\x81\x01\xff",
            b"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff",
            b"x",
        ] {
            assert!(BusMessage::decode(&message().encode(tail)).is_none(), "{tail:?}");
        }
    }

    #[test]
    fn an_answer_round_trips_with_its_attachments() {
        let mut payload = Payload::one(&"a,b").unwrap();
        payload.push_binary(Bytes::from_static(&[1, 2]));
        let (outcome, tail) = Outcome::of(&Ok(payload.clone()));
        assert_eq!(outcome.read(&tail.into()), Some(Ok(payload)));
        assert_eq!(Outcome::Answer("]".to_owned()).read(&Bytes::new()), None);
        let (outcome, tail) = Outcome::of(&Err(AckError::TooMany));
        assert_eq!(outcome.read(&tail.into()), Some(Err(AckError::TooMany)));
    }
}
