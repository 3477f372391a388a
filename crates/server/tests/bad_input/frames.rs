//! Rows for WebSocket frames that RFC 6455 forbids, and for messages over the limits.

use roomful_testkit::frame::{Opcode, encode, encode_fragment, encode_with};

use crate::row::{Act, Row, Stage};

const MASK: Option<[u8; 4]> = Some([1, 2, 3, 4]);

pub(crate) fn rows() -> Vec<Row> {
    let cases = [headers(), texts(), closes(), sizes()].concat();
    let mut rows: Vec<_> = cases
        .into_iter()
        .map(|(name, bytes, code)| Row {
            name,
            act: Act::Bytes(Stage::Connected, bytes, code),
        })
        .collect();
    let oversize = Act::Bytes(Stage::Opened, encode(Opcode::Text, &vec![b'4'; 200_000]), 1009);
    rows.push(Row {
        name: "an oversize message before any namespace",
        act: oversize,
    });
    rows
}

/// A row's name, its bytes, and the expected close code.
type Case = (&'static str, Vec<u8>, u16);

fn headers() -> Vec<Case> {
    let started = encode_fragment(false, Opcode::Text, b"42");
    let text_inside = [started.clone(), encode(Opcode::Text, b"2")].concat();
    let binary_inside = [started, encode(Opcode::Binary, b"2")].concat();
    vec![
        ("an unmasked frame", encode_with(0x81, None, b"42[\"x\"]"), 1002),
        ("reserved bit 1", encode_with(0xc1, MASK, b"x"), 1002),
        ("reserved bit 2", encode_with(0xa1, MASK, b"x"), 1002),
        ("reserved bit 3", encode_with(0x91, MASK, b"x"), 1002),
        ("a reserved data opcode", encode_with(0x83, MASK, b"x"), 1002),
        ("a reserved control opcode", encode_with(0x8b, MASK, b""), 1002),
        ("a fragmented ping", encode_with(0x09, MASK, b"x"), 1002),
        ("a ping of 126 bytes", encode(Opcode::Ping, &[0; 126]), 1002),
        (
            "a continuation of nothing",
            encode(Opcode::Continuation, b"x"),
            1002,
        ),
        ("a message inside another", text_inside, 1002),
        ("a binary message inside a text", binary_inside, 1002),
        (
            "an HTTP request on an upgraded stream",
            b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
            1002,
        ),
    ]
}

fn texts() -> Vec<Case> {
    let first = encode_fragment(false, Opcode::Text, b"4\xe2\x82");
    let across = [first, encode_fragment(true, Opcode::Continuation, b"x")].concat();
    vec![
        (
            "text that is not UTF-8",
            encode(Opcode::Text, b"42[\"\xff\"]"),
            1007,
        ),
        ("an overlong encoding", encode(Opcode::Text, b"4\xc0\xaf"), 1007),
        (
            "a surrogate in UTF-8",
            encode(Opcode::Text, b"4\xed\xa0\x80"),
            1007,
        ),
        (
            "a code point beyond Unicode",
            encode(Opcode::Text, b"4\xf4\x90\x80\x80"),
            1007,
        ),
        (
            "a character cut off at the end",
            encode(Opcode::Text, b"4\xe2\x82"),
            1007,
        ),
        ("bad UTF-8 across fragments", across, 1007),
    ]
}

fn closes() -> Vec<Case> {
    vec![
        ("a close frame of one byte", encode(Opcode::Close, b"\x03"), 1002),
        (
            "a close code that never travels",
            encode(Opcode::Close, &1005_u16.to_be_bytes()),
            1002,
        ),
        (
            "a close code out of range",
            encode(Opcode::Close, &999_u16.to_be_bytes()),
            1002,
        ),
        (
            "a close reason that is not UTF-8",
            encode(Opcode::Close, b"\x03\xe8\xff"),
            1007,
        ),
    ]
}

fn sizes() -> Vec<Case> {
    vec![
        ("a frame that announces exabytes", announced(1 << 62), 1009),
        ("a frame with a negative length", announced(1 << 63 | 5), 1002),
        (
            "a frame just over the limit, announced only",
            announced(100 * 1024 + 1),
            1009,
        ),
        (
            "a whole message over the limit",
            encode(Opcode::Text, &vec![b'4'; 200_000]),
            1009,
        ),
        (
            "a binary message over the limit",
            encode(Opcode::Binary, &vec![0; 200_000]),
            1009,
        ),
        (
            "fragments that add up beyond the limit",
            fragments(11, 10_000),
            1009,
        ),
        ("endless fragments of one byte", fragments(2_000, 1), 1009),
        ("endless empty fragments", fragments(2_000, 0), 1009),
    ]
}

/// The header of a text frame that announces `len` bytes in the eight-byte form, without a payload.
fn announced(len: u64) -> Vec<u8> {
    let mut bytes = vec![0x81, 0xff];
    bytes.extend(len.to_be_bytes());
    bytes.extend([1, 2, 3, 4]);
    bytes
}

/// An unfinished message of `count` fragments.
fn fragments(count: usize, size: usize) -> Vec<u8> {
    let mut bytes = encode_fragment(false, Opcode::Text, &vec![b'4'; size]);
    for _ in 1..count {
        bytes.extend(encode_fragment(false, Opcode::Continuation, &vec![b'x'; size]));
    }
    bytes
}
