//! Detection of clients with the msgpack parser (`socket.io-msgpack-parser`), and a refusal in their own
//! encoding.
//!
//! Such a client sends its CONNECT packet as a binary message with a map: `{type: 0, nsp: "/", data: {…}}`.
//! The server answers with a `CONNECT_ERROR` packet in the same encoding, so that the client's developer
//! gets a `connect_error` with an explanation, and the client stops reconnecting.

/// The explanation, also for the log.
pub(super) const MESSAGE: &str =
    "This server supports only the default parser; remove the client's `parser` option";

/// The `CONNECT_ERROR` packet type.
const CONNECT_ERROR: u8 = 4;

/// The `CONNECT_ERROR` for a message that is a packet of the msgpack parser. `None` for any other message.
pub(super) fn refuse(message: &[u8]) -> Option<Vec<u8>> {
    let namespace = namespace(message)?;
    let mut out = vec![0x83];
    string(&mut out, "type");
    out.push(CONNECT_ERROR);
    string(&mut out, "nsp");
    string(&mut out, namespace);
    string(&mut out, "data");
    out.push(0x81);
    string(&mut out, "message");
    string(&mut out, MESSAGE);
    Some(out)
}

/// The namespace of a packet: a small map with the keys `type` and `nsp`.
fn namespace(message: &[u8]) -> Option<&str> {
    let is_map = matches!(message.first()?, 0x80..=0x8f);
    if !is_map || after(message, b"\xa4type").is_none() {
        return None;
    }
    let (length, rest) = match after(message, b"\xa3nsp")?.split_first()? {
        (&length @ 0xa0..=0xbf, rest) => (usize::from(length & 0x1f), rest),
        (0xd9, rest) => {
            let (&length, rest) = rest.split_first()?;
            (usize::from(length), rest)
        }
        _ => return None,
    };
    let name = std::str::from_utf8(rest.get(..length)?).ok()?;
    name.starts_with('/').then_some(name)
}

/// The bytes that follow the first occurrence of `key`.
fn after<'a>(message: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let at = message.windows(key.len()).position(|window| window == key)?;
    message.get(at + key.len()..)
}

/// Appends a string of at most 255 bytes.
fn string(out: &mut Vec<u8>, text: &str) {
    match u8::try_from(text.len()) {
        Ok(length @ ..=31) => out.push(0xa0 | length),
        Ok(length) => out.extend_from_slice(&[0xd9, length]),
        Err(_) => return string(out, "/"),
    }
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connect_packet_gets_a_connect_error_in_its_own_encoding() {
        // encode({ type: 0, data: undefined, nsp: "/" }) of notepack.io
        let connect = b"\x83\xa4type\x00\xa4data\xc0\xa3nsp\xa1/";
        let refusal = refuse(connect).unwrap();
        assert!(refusal.starts_with(b"\x83\xa4type\x04\xa3nsp\xa1/\xa4data\x81\xa7message\xd9"));
        assert!(refusal.ends_with(MESSAGE.as_bytes()));
        let named = b"\x82\xa4type\x00\xa3nsp\xa6/admin";
        assert!(
            refuse(named)
                .unwrap()
                .windows(10)
                .any(|bytes| bytes == b"\xa3nsp\xa6/admi")
        );
    }

    #[test]
    fn other_binary_messages_are_not_taken_for_packets() {
        for message in [
            &b""[..],
            b"\x83",
            b"\x01\x02\x03",
            b"\x82\xa4type\x00\xa3nsp",
            b"\x82\xa4type\x00\xa3nsp\xa9/x",
            b"\x82\xa4type\x00\xa3nsp\xa1x",
            b"\x81\xa3nsp\xa1/",
        ] {
            assert_eq!(refuse(message), None, "{message:?}");
        }
    }
}
