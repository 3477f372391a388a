//! The header of a client's frame and the rules that it shows by itself (RFC 6455, section 5.2).

use super::{FrameError, OpCode};

/// The longest header: two bytes, a 64-bit length, the mask.
pub(super) const MAX_HEADER: usize = 14;

/// The longest payload of a control frame.
const MAX_CONTROL: u64 = 125;

/// A header that keeps the rules.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) op: OpCode,
    pub(super) fin: bool,
    pub(super) len: u64,
    pub(super) mask: [u8; 4],
}

impl Header {
    /// Parses the header at the start of `bytes`. Returns it and its length, or `None` if more bytes are
    /// needed.
    ///
    /// Checks each byte as soon as it arrives, so that a faulty client fails early.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, FrameError> {
        let Some((&first, rest)) = bytes.split_first() else {
            return Ok(None);
        };
        let (op, fin) = first_byte(first)?;
        let Some((&second, rest)) = rest.split_first() else {
            return Ok(None);
        };
        if second & 0x80 == 0 {
            return Err(FrameError::NotMasked);
        }
        let Some((len, length_bytes, rest)) = length(second & 0x7F, op, rest)? else {
            return Ok(None);
        };
        let Some(&mask) = rest.first_chunk::<4>() else {
            return Ok(None);
        };
        Ok(Some((Self { op, fin, len, mask }, 2 + length_bytes + 4)))
    }
}

fn first_byte(byte: u8) -> Result<(OpCode, bool), FrameError> {
    if byte & 0x70 != 0 {
        return Err(FrameError::ReservedBits);
    }
    let op = OpCode::from_bits(byte).ok_or(FrameError::ReservedOpCode(byte & 0x0F))?;
    let fin = byte & 0x80 != 0;
    if op.is_control() && !fin {
        return Err(FrameError::ControlFragmented);
    }
    Ok((op, fin))
}

/// A payload's length, the number of extra bytes that encoded it, and the bytes after them.
type Length<'a> = (u64, usize, &'a [u8]);

fn length(short: u8, op: OpCode, rest: &[u8]) -> Result<Option<Length<'_>>, FrameError> {
    if op.is_control() && u64::from(short) > MAX_CONTROL {
        return Err(FrameError::ControlTooLong);
    }
    match short {
        126 => {
            let Some((&bytes, rest)) = rest.split_first_chunk::<2>() else {
                return Ok(None);
            };
            let len = u16::from_be_bytes(bytes);
            if len < 126 {
                return Err(FrameError::LengthNotMinimal);
            }
            Ok(Some((u64::from(len), 2, rest)))
        }
        127 => {
            let Some((&bytes, rest)) = rest.split_first_chunk::<8>() else {
                return Ok(None);
            };
            let len = u64::from_be_bytes(bytes);
            if len >> 63 != 0 {
                return Err(FrameError::LengthOverflow);
            }
            if u16::try_from(len).is_ok() {
                return Err(FrameError::LengthNotMinimal);
            }
            Ok(Some((len, 8, rest)))
        }
        short => Ok(Some((u64::from(short), 0, rest))),
    }
}
