//! WebSocket frames as a server reads and writes them (RFC 6455): the types shared by decoder and encoder.
//! Not here: packets inside the frames (`engine`, `packet`), sockets, time-outs.

mod decoder;
mod encode;
mod error;
mod handshake;
mod header;
mod mask;

use std::borrow::Cow;

pub use decoder::{Decoded, Decoder};
pub use encode::{header, split, write, write_close};
pub use error::FrameError;
pub use handshake::{accept_key, is_valid_key};

/// The type of a frame (RFC 6455, section 5.2). Reserved opcodes have no variant: a frame with one is an
/// error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpCode {
    /// A further fragment of a text or binary message.
    Continuation,
    /// UTF-8 text, or its first fragment.
    Text,
    /// Bytes, or their first fragment.
    Binary,
    /// The closing handshake.
    Close,
    /// Asks for a pong.
    Ping,
    /// Answers a ping.
    Pong,
}

impl OpCode {
    /// The four bits on the wire.
    pub const fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xA,
        }
    }

    /// The opcode of the low four bits of `byte`; `None` for the reserved ones.
    pub const fn from_bits(byte: u8) -> Option<Self> {
        Some(match byte & 0x0F {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return None,
        })
    }

    /// Control frames (close, ping, pong) may come between the fragments of a message.
    pub const fn is_control(self) -> bool {
        self.bits() & 0x8 != 0
    }
}

/// What one connection may make the decoder hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes in one message, all its fragments summed. A larger one is refused when its length is
    /// announced, before memory is taken for it.
    pub max_message: usize,
    /// Most fragments in one message, empty ones included.
    pub max_fragments: u32,
}

impl Default for Limits {
    /// 100,000 bytes in 1,024 fragments.
    fn default() -> Self {
        Self {
            max_message: 100_000,
            max_fragments: 1024,
        }
    }
}

/// A complete message, or a control frame. Borrowed from the read buffer when it lay there in one piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A text message; its UTF-8 was checked.
    Text(Cow<'a, str>),
    /// A binary message.
    Binary(Cow<'a, [u8]>),
    /// A ping with its payload, at most 125 bytes, which the pong has to repeat.
    Ping(Cow<'a, [u8]>),
    /// A pong with its payload, at most 125 bytes.
    Pong(Cow<'a, [u8]>),
    /// The peer closes; `None` if it gave no code.
    Close(Option<CloseFrame<'a>>),
}

/// Why a peer closes (RFC 6455, section 5.5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseFrame<'a> {
    /// One of the codes that may be sent in a frame: 1000-1003, 1007-1014, 3000-4999.
    pub code: u16,
    /// At most 123 bytes of text for logs; untrusted.
    pub reason: Cow<'a, str>,
}

impl Message<'_> {
    /// The same message, free of the read buffer. Copies borrowed bytes.
    pub fn into_owned(self) -> Message<'static> {
        match self {
            Self::Text(text) => Message::Text(Cow::Owned(text.into_owned())),
            Self::Binary(bytes) => Message::Binary(Cow::Owned(bytes.into_owned())),
            Self::Ping(bytes) => Message::Ping(Cow::Owned(bytes.into_owned())),
            Self::Pong(bytes) => Message::Pong(Cow::Owned(bytes.into_owned())),
            Self::Close(frame) => Message::Close(frame.map(|f| CloseFrame {
                code: f.code,
                reason: Cow::Owned(f.reason.into_owned()),
            })),
        }
    }
}
