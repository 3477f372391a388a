//! Client side of RFC 6455 framing as pure functions, without I/O.
//!
//! Clients mask their frames (section 5.3), servers must not (section 5.1). The encoder can also produce
//! malformed frames for tests of a server.

use bytes::{Buf, Bytes, BytesMut};

use crate::Error;

/// Largest frame that the decoder accepts, in bytes, so that a broken server cannot exhaust memory.
pub const MAX_FRAME: u64 = 64 << 20;

/// The opcodes of RFC 6455, section 5.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are the RFC's")]
pub enum Opcode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

impl Opcode {
    fn from_bits(bits: u8) -> Result<Self, Error> {
        Ok(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            other => return Err(Error::Protocol(format!("reserved opcode {other}"))),
        })
    }
}

/// One frame off the wire, before fragments are joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawFrame {
    /// Whether this is the last fragment of its message.
    pub fin: bool,
    /// Its opcode.
    pub opcode: Opcode,
    /// The payload.
    pub payload: Bytes,
}

/// Encodes one final, masked frame.
pub fn encode(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    encode_with(0x80 | opcode as u8, Some(rand::random()), payload)
}

/// Encodes one masked frame; `fin` marks the last one of its message.
pub fn encode_fragment(fin: bool, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    encode_with((u8::from(fin) << 7) | opcode as u8, Some(rand::random()), payload)
}

/// Encodes a frame with any first byte (FIN, reserved bits, opcode) and mask, valid or not.
pub fn encode_with(first: u8, mask: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(14 + payload.len());
    out.push(first);
    let bit = if mask.is_some() { 0x80 } else { 0 };
    // Lossless by the match's bounds: each arm's length fits its width.
    match payload.len() {
        len @ 0..=125 => out.push(bit | u8::try_from(len).unwrap_or_default()),
        len @ 126..=0xffff => {
            out.push(bit | 0x7e);
            out.extend_from_slice(&u16::try_from(len).unwrap_or_default().to_be_bytes());
        }
        len => {
            out.push(bit | 0x7f);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    match mask {
        Some(key) => {
            out.extend_from_slice(&key);
            out.extend(
                payload
                    .iter()
                    .zip(key.iter().cycle())
                    .map(|(byte, key)| byte ^ key),
            );
        }
        None => out.extend_from_slice(payload),
    }
    out
}

/// Takes one frame off the front of `buffer`, or `None` if it is not complete yet.
///
/// # Errors
/// [`Error::Protocol`] for frames that RFC 6455 forbids a server: reserved bits or opcodes, a mask, a
/// fragmented control frame or one above 125 bytes. Also for a frame above [`MAX_FRAME`].
pub fn decode(buffer: &mut BytesMut) -> Result<Option<RawFrame>, Error> {
    let [first, second, ..] = buffer[..] else {
        return Ok(None);
    };
    if first & 0x70 != 0 {
        return Err(Error::Protocol(format!(
            "reserved bits set in frame header {first:#04x}"
        )));
    }
    if second & 0x80 != 0 {
        return Err(Error::Protocol("a server's frame must not be masked".into()));
    }
    let fin = first & 0x80 != 0;
    let opcode = Opcode::from_bits(first & 0x0f)?;
    let (header, length) = match (second & 0x7f, &buffer[2..]) {
        (126, [a, b, ..]) => (4, u64::from(u16::from_be_bytes([*a, *b]))),
        (127, rest) if rest.len() >= 8 => (10, rest[..8].iter().fold(0, |sum, b| (sum << 8) | u64::from(*b))),
        (126 | 127, _) => return Ok(None),
        (short, _) => (2, u64::from(short)),
    };
    if opcode as u8 >= 8 && (!fin || length > 125) {
        return Err(Error::Protocol(
            "a control frame must be whole and at most 125 bytes".into(),
        ));
    }
    if length > MAX_FRAME {
        return Err(Error::Protocol(format!("a frame of {length} bytes")));
    }
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if buffer.len() - header < length {
        return Ok(None);
    }
    buffer.advance(header);
    Ok(Some(RawFrame {
        fin,
        opcode,
        payload: buffer.split_to(length).freeze(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 6455, section 5.7.
    #[test]
    fn the_rfc_examples_hold() {
        let masked = encode_with(0x81, Some([0x37, 0xfa, 0x21, 0x3d]), b"Hello");
        assert_eq!(
            masked,
            [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]
        );
        let mut unmasked = BytesMut::from(&[0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f][..]);
        let frame = decode(&mut unmasked).unwrap().unwrap();
        assert_eq!(
            (frame.fin, frame.opcode, &frame.payload[..]),
            (true, Opcode::Text, &b"Hello"[..])
        );
        assert!(unmasked.is_empty());
    }

    #[test]
    fn every_length_class_survives_byte_by_byte() {
        for len in [0, 1, 125, 126, 127, 0xffff, 0x1_0000] {
            let payload = vec![7; len];
            let wire = encode_with(0x82, None, &payload);
            let mut buffer = BytesMut::new();
            for (at, byte) in wire.iter().enumerate() {
                assert_eq!(
                    decode(&mut buffer).unwrap(),
                    None,
                    "complete after {at} of {} bytes",
                    wire.len()
                );
                buffer.extend_from_slice(&[*byte]);
            }
            assert_eq!(decode(&mut buffer).unwrap().unwrap().payload, payload);
        }
    }

    #[test]
    fn frames_that_a_server_must_not_send_are_refused() {
        for bad in [
            &[0xc1, 0x00][..],
            &[0x83, 0x00],
            &[0x81, 0x80, 0, 0, 0, 0],
            &[0x09, 0x00],
            &[0x89, 0x7e, 0, 126],
        ] {
            assert!(decode(&mut BytesMut::from(bad)).is_err(), "{bad:02x?} was taken");
        }
    }
}
