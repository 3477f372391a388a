//! WebSocket frames from a client's side: masked ones out, unmasked ones in.

/// The servers are not under attack, so a constant mask is enough and costs the loader nothing.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// The first frame in some received bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    /// A whole text message.
    Text(&'a [u8]),
    /// A ping with its payload.
    Ping(&'a [u8]),
    /// A frame that needs no answer, such as a pong.
    Other,
    /// The server ends the connection.
    Close,
}

/// The first frame in `bytes` with its length; `None` if it is incomplete.
pub(crate) fn first(bytes: &[u8]) -> Option<(Frame<'_>, usize)> {
    let (&[head, short], rest) = bytes.split_first_chunk::<2>()?;
    let (length, rest) = match short & 0x7f {
        126 => {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*length)), rest)
        }
        127 => {
            let (length, rest) = rest.split_first_chunk::<8>()?;
            (usize::try_from(u64::from_be_bytes(*length)).ok()?, rest)
        }
        short => (usize::from(short), rest),
    };
    let payload = rest.get(..length)?;
    let frame = match head & 0x0f {
        TEXT => Frame::Text(payload),
        PING => Frame::Ping(payload),
        CLOSE => Frame::Close,
        _ => Frame::Other,
    };
    Some((frame, bytes.len() - rest.len() + length))
}

/// A text message as the client sends it.
pub(crate) fn text(payload: &[u8]) -> Vec<u8> {
    masked(TEXT, payload)
}

/// The answer to a ping.
pub(crate) fn pong(payload: &[u8]) -> Vec<u8> {
    masked(PONG, payload)
}

fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(opcode, payload.len(), 0x80);
    frame.extend(MASK);
    frame.extend(
        payload
            .iter()
            .zip(MASK.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    frame
}

/// A text message as a server sends it.
pub(crate) fn unmasked_text(payload: &[u8]) -> Vec<u8> {
    let mut frame = header(TEXT, payload.len(), 0);
    frame.extend(payload);
    frame
}

fn header(opcode: u8, length: usize, mask_bit: u8) -> Vec<u8> {
    let mut frame = Vec::with_capacity(length + 14);
    frame.push(0x80 | opcode);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length @ 0..=125), _) => frame.push(mask_bit | length),
        (_, Ok(length)) => {
            frame.push(mask_bit | 0x7e);
            frame.extend(length.to_be_bytes());
        }
        _ => {
            frame.push(mask_bit | 0x7f);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame
}

/// The first masked frame in `bytes`, unmasked, and its length: the floor's read side.
pub(crate) fn first_masked(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let short = bytes.get(1)?;
    let head = match short & 0x7f {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    // With the mask counted as the payload's first four bytes, `first` can measure the frame.
    let (_, unmasked_size) = first(bytes)?;
    let size = unmasked_size + MASK.len();
    let body = bytes.get(head..size)?;
    let (mask, payload) = body.split_first_chunk::<4>()?;
    let payload = payload
        .iter()
        .zip(mask.iter().cycle())
        .map(|(byte, mask)| byte ^ mask);
    Some((payload.collect(), size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_all_lengths_round_trip() {
        for length in [0, 125, 126, 65_535, 65_536] {
            let payload = vec![b'x'; length];
            let bytes = unmasked_text(&payload);
            assert_eq!(first(&bytes), Some((Frame::Text(&payload), bytes.len())));
            assert_eq!(first(&bytes[..bytes.len() - 1]), None);
            let bytes = text(&payload);
            let size = bytes.len();
            assert_eq!(first_masked(&bytes), Some((payload, size)));
            assert_eq!(first_masked(&bytes[..size - 1]), None);
        }
    }
}
