//! One Engine.IO packet in its text form: a digit for the type, then data. A binary WebSocket message needs no decoding:
//! it is a [`Packet::Binary`] as it is.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Base64 as the reference implementation reads it: padding may be missing.
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
    /// `2`: a ping of the server, or a client's `probe` while it upgrades.
    Ping(&'a str),
    /// `3`: answers a ping with the same data.
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

/// Why text is no Engine.IO packet or payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
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
    /// Reads the packet in `text`, for example `4hello`. Data after a close, upgrade or noop is ignored, as the reference
    /// implementation does.
    ///
    /// # Errors
    /// The text is empty, its type is unknown, or what follows `b` is not base64.
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
            // On WebSocket too: a client told to force base64 sends it there.
            'b' => {
                let bytes = LENIENT.decode(data).map_err(|_| PacketError::NotBase64)?;
                Self::Binary(Cow::Owned(bytes))
            }
            _ => return Err(PacketError::UnknownType),
        })
    }
}
