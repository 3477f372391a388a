//! The body of a polling request or answer: packets joined by the record separator (Engine.IO protocol 4,
//! "HTTP long-polling").

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::packet::{Packet, PacketError};

/// Between two packets of a body.
const SEPARATOR: u8 = 0x1E;

/// Reads all packets of `body`, `max_packets` at most. The caller bounds the bytes.
///
/// # Errors
/// The body is not UTF-8, has too many packets, or one of them is malformed; then none of them counts.
pub fn decode(body: &[u8], max_packets: usize) -> Result<Vec<Packet<'_>>, PacketError> {
    let text = simdutf8::basic::from_utf8(body).map_err(|_| PacketError::NotUtf8)?;
    // A body of separators alone would cost many times its bytes: counted before anything is built.
    let count = text.bytes().filter(|&byte| byte == SEPARATOR).count() + 1;
    if count > max_packets {
        return Err(PacketError::TooManyPackets { limit: max_packets });
    }
    text.split(char::from(SEPARATOR)).map(Packet::from_text).collect()
}

/// Appends a packet in its text form (`4hello`) to the body `out`, after a separator unless it is the first.
pub fn encode_text(out: &mut Vec<u8>, packet: &str) {
    separate(out);
    out.extend_from_slice(packet.as_bytes());
}

/// Appends a binary message to the body `out` as `b` and base64, after a separator unless it is the first.
pub fn encode_binary(out: &mut Vec<u8>, bytes: &[u8]) {
    separate(out);
    let encoded = STANDARD.encode(bytes);
    out.reserve(1 + encoded.len());
    out.push(b'b');
    out.extend_from_slice(encoded.as_bytes());
}

fn separate(out: &mut Vec<u8>) {
    if !out.is_empty() {
        out.push(SEPARATOR);
    }
}
