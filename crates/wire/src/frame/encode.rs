//! Frames a server sends: always final, never masked, no extension (RFC 6455, sections 5.1 and 5.2).

use super::OpCode;

/// Most bytes of a close frame's reason: a control frame's 125 less the code.
const MAX_REASON: usize = 123;

/// Writes the header of a frame of `len` bytes to the start of `out`. Returns its length: 2, 4 or 10.
pub fn header(op: OpCode, len: usize, out: &mut [u8; 10]) -> usize {
    let [first, second, extended @ ..] = out;
    *first = 0x80 | op.bits();
    match (u8::try_from(len), u16::try_from(len)) {
        (Ok(short @ ..=125), _) => {
            *second = short;
            2
        }
        (_, Ok(medium)) => {
            *second = 126;
            let [a, b, ..] = extended;
            [*a, *b] = medium.to_be_bytes();
            4
        }
        _ => {
            *second = 127;
            *extended = (len as u64).to_be_bytes();
            10
        }
    }
}

/// Appends a whole frame to `out`. A control frame's payload has to be 125 bytes at most.
pub fn write(op: OpCode, payload: &[u8], out: &mut Vec<u8>) {
    debug_assert!(
        !op.is_control() || payload.len() <= 125,
        "a control frame carries at most 125 bytes"
    );
    let mut head = [0; 10];
    let len = header(op, payload.len(), &mut head);
    out.reserve(len + payload.len());
    out.extend(head.into_iter().take(len));
    out.extend_from_slice(payload);
}

/// Appends a close frame to `out`: empty without a code, else the code and as much of `reason` as fits, cut
/// between characters.
pub fn write_close(code: Option<u16>, reason: &str, out: &mut Vec<u8>) {
    let Some(code) = code else {
        return write(OpCode::Close, &[], out);
    };
    let reason = reason
        .get(..reason.floor_char_boundary(MAX_REASON))
        .unwrap_or_default();
    let mut payload = Vec::with_capacity(2 + reason.len());
    payload.extend_from_slice(&code.to_be_bytes());
    payload.extend_from_slice(reason.as_bytes());
    write(OpCode::Close, &payload, out);
}

/// Parses one frame written by [`write()`]: its opcode, its payload, and the bytes after it. `None` if
/// `frame` does not start with a whole unmasked final frame.
pub fn split(frame: &[u8]) -> Option<(OpCode, &[u8], &[u8])> {
    let (&[first, second], rest) = frame.split_first_chunk::<2>()?;
    if first & 0xF0 != 0x80 {
        return None;
    }
    let op = OpCode::from_bits(first)?;
    let (len, rest) = match second {
        126 => {
            let (&len, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(len)), rest)
        }
        127 => {
            let (&len, rest) = rest.split_first_chunk::<8>()?;
            (usize::try_from(u64::from_be_bytes(len)).ok()?, rest)
        }
        // The mask bit is clear and 126, 127 are handled above.
        short @ ..=125 => (usize::from(short), rest),
        _ => return None,
    };
    let (payload, rest) = rest.split_at_checked(len)?;
    Some((op, payload, rest))
}
