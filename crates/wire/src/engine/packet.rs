//! An Engine.IO packet in text form: a digit for the type, then data. A binary WebSocket message is a
//! [`Packet::Binary`] without decoding.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Base64 without requiring padding, like the reference implementation.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// An Engine.IO packet (Engine.IO protocol 4, "Packet encoding").
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// `0`: the server opens a session; carries its JSON.
    Open(&'a str),
    /// `1`: this transport can be closed.
    Close,
    /// `2`: a ping of the server, or `probe` of a client during an upgrade.
    Ping(&'a str),
    /// `3`: the answer to a ping, with the same data.
    Pong(&'a str),
    /// `4`: a text message.
    Message(&'a str),
    /// A binary message: a binary frame, or `b` and base64.
    Binary(Cow<'a, [u8]>),
    /// `5`: the client has moved to the probed transport.
    Upgrade,
    /// `6`: nothing; ends a parked poll.
    Noop,
}

/// Why text is not an Engine.IO packet or payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PacketError {
    /// No type digit.
    #[error("an Engine.IO packet is empty")]
    Empty,
    /// Neither `0`-`6` nor `b`.
    #[error("an Engine.IO packet has an unknown type")]
    UnknownType,
    /// What follows `b` is not base64.
    #[error("a binary packet is not base64")]
    NotBase64,
    /// A polling body that is not UTF-8.
    #[error("a polling body is not UTF-8")]
    NotUtf8,
    /// A polling body with more packets than allowed.
    #[error("a polling body has more than {limit} packets")]
    TooManyPackets {
        /// The limit in packets.
        limit: usize,
    },
}

impl<'a> Packet<'a> {
    /// Parses the packet in `text`, for example `4hello`. Ignores data after a close, upgrade or noop, like
    /// the reference implementation.
    ///
    /// # Errors
    /// The text is empty, its type is unknown, or the data after `b` is not base64.
    pub fn from_text(text: &'a str) -> Result<Self, PacketError> {
        let mut chars = text.chars();
        let kind = chars.next().ok_or(PacketError::Empty)?;
        let data = chars.as_str();
        Ok(match kind {
            '0' => Self::Open(data),
            '1' => Self::Close,
            '2' => Self::Ping(data),
            '3' => Self::Pong(data),
            '4' => Self::Message(data),
            '5' => Self::Upgrade,
            '6' => Self::Noop,
            // On WebSocket too: clients with `forceBase64` send it there.
            'b' => {
                let bytes = LENIENT.decode(data).map_err(|_| PacketError::NotBase64)?;
                Self::Binary(Cow::Owned(bytes))
            }
            _ => return Err(PacketError::UnknownType),
        })
    }
}
