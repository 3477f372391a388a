//! The rules of RFC 6455 that a server must enforce, one row per rule.

mod client;

use std::borrow::Cow;

use client::{BINARY, CLOSE, CONTINUATION, FIN, KEY, PING, PONG, TEXT, frame, header, read};
use roomful_wire::frame::{
    self, CloseFrame, Decoder, FrameError, Limits, Message, OpCode, accept_key, is_valid_key,
};

fn text(text: &str) -> Message<'static> {
    Message::Text(Cow::Owned(text.to_owned()))
}

fn limits() -> Limits {
    Limits {
        max_message: 100_000,
        max_fragments: 4,
    }
}

/// Section 5.7: the masked examples.
#[test]
fn the_examples_of_the_rfc() {
    let masked_hello = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    assert_eq!(read(&limits(), &masked_hello, &[]), (vec![text("Hello")], None));
    let masked_pong = [0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    assert_eq!(
        read(&limits(), &masked_pong, &[]).0,
        vec![Message::Pong(Cow::Borrowed(b"Hello"))]
    );
}

/// Section 5.7: the unmasked examples, which a server sends.
#[test]
fn a_server_frame_is_final_and_unmasked() {
    let mut out = Vec::new();
    frame::write(OpCode::Text, b"Hello", &mut out);
    assert_eq!(out, [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
    let rows: [(usize, &[u8]); 6] = [
        (0, &[0x82, 0]),
        (125, &[0x82, 125]),
        (126, &[0x82, 126, 0, 126]),
        (65_535, &[0x82, 126, 0xFF, 0xFF]),
        (65_536, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        (0x0001_0203_0405, &[0x82, 127, 0, 0, 0, 1, 2, 3, 4, 5]),
    ];
    for (len, expected) in rows {
        let mut head = [0; 10];
        let used = frame::header(OpCode::Binary, len, &mut head);
        assert_eq!(&head[..used], expected, "{len} bytes");
    }
}

/// Sections 1.3 and 4.2.1.
#[test]
fn the_handshake_key() {
    assert_eq!(
        accept_key("dGhlIHNhbXBsZSBub25jZQ=="),
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    );
    assert!(is_valid_key("dGhlIHNhbXBsZSBub25jZQ=="));
    let bad = [
        "",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25j",
        "dGhlIHNhbXBsZSBub25jZWFh",
        "dGhlIHNhbXBsZSBub25jZ!==",
        "dGhlIHNhbXBsZSBub25jZSBub25jZQ==",
    ];
    for key in bad {
        assert!(!is_valid_key(key), "{key:?}");
    }
}

/// The name of a rule, bytes that break it, and the expected error.
type Row = (&'static str, Vec<u8>, FrameError);

/// Each row fails with its error and `code`, wherever the reads split.
fn assert_broken(rows: Vec<Row>, code: u16) {
    for (name, bytes, expected) in rows {
        for size in [bytes.len(), 1, 3] {
            let (messages, error) = read(&limits(), &bytes, &[size]);
            assert_eq!(
                (messages, error),
                (vec![], Some(expected)),
                "{name}, in pieces of {size}"
            );
        }
        assert_eq!(expected.close_code(), code, "{name}");
    }
}

/// Sections 5.1 and 5.2.
#[test]
fn rules_of_a_header() {
    use FrameError::{LengthNotMinimal, LengthOverflow, NotMasked, ReservedBits, ReservedOpCode};
    let masked = |length: &[u8]| [&[FIN | TEXT, 0x80 | length[0]], &length[1..], &KEY].concat();
    let rows = vec![
        ("RSV1", frame(FIN | 0x40 | TEXT, b""), ReservedBits),
        ("RSV2", frame(FIN | 0x20 | TEXT, b""), ReservedBits),
        ("RSV3", frame(FIN | 0x10 | PING, b""), ReservedBits),
        ("opcode 3", frame(FIN | 0x3, b""), ReservedOpCode(3)),
        ("opcode 7", frame(FIN | 0x7, b""), ReservedOpCode(7)),
        ("opcode 11", frame(FIN | 0xB, b""), ReservedOpCode(11)),
        ("opcode 15", frame(FIN | 0xF, b""), ReservedOpCode(15)),
        ("no mask", vec![FIN | TEXT, 5], NotMasked),
        ("125 in 16 bits", masked(&[126, 0, 125]), LengthNotMinimal),
        (
            "65535 in 64 bits",
            masked(&[127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]),
            LengthNotMinimal,
        ),
        (
            "highest bit",
            masked(&[127, 0x80, 0, 0, 0, 0, 0, 0, 0]),
            LengthOverflow,
        ),
    ];
    assert_broken(rows, 1002);
}

/// Section 5.5.
#[test]
fn rules_of_control_frames() {
    let rows = vec![
        (
            "ping in fragments",
            frame(PING, b""),
            FrameError::ControlFragmented,
        ),
        (
            "close in fragments",
            frame(CLOSE, b""),
            FrameError::ControlFragmented,
        ),
        (
            "ping of 126",
            frame(FIN | PING, &[0; 126]),
            FrameError::ControlTooLong,
        ),
        (
            "close of 65536",
            frame(FIN | CLOSE, &vec![0; 65_536]),
            FrameError::ControlTooLong,
        ),
        (
            "half a code",
            frame(FIN | CLOSE, &[3]),
            FrameError::CloseTruncated,
        ),
    ];
    assert_broken(rows, 1002);
}

/// Section 5.4.
#[test]
fn rules_of_fragments() {
    let after_open = |next: Vec<u8>| [frame(TEXT, b"a"), next].concat();
    let rows = vec![
        (
            "nothing to continue",
            frame(FIN | CONTINUATION, b""),
            FrameError::UnexpectedContinuation,
        ),
        (
            "nothing to continue, open",
            frame(CONTINUATION, b"a"),
            FrameError::UnexpectedContinuation,
        ),
        (
            "text amid text",
            after_open(frame(FIN | TEXT, b"b")),
            FrameError::ExpectedContinuation,
        ),
        (
            "binary amid text",
            after_open(frame(BINARY, b"b")),
            FrameError::ExpectedContinuation,
        ),
    ];
    assert_broken(rows, 1002);
    let ended = [frame(TEXT, b""), frame(FIN, b""), frame(FIN, b"")].concat();
    assert_eq!(
        read(&limits(), &ended, &[]),
        (vec![text("")], Some(FrameError::UnexpectedContinuation))
    );
}

#[test]
fn rules_of_size() {
    let too_long = FrameError::MessageTooLong { limit: 100_000 };
    let after_open = |next: Vec<u8>| [frame(TEXT, b"a"), next].concat();
    let empty = [frame(BINARY, b""), frame(CONTINUATION, b"").repeat(4)].concat();
    let rows = vec![
        ("too long", header(FIN | BINARY, 100_001), too_long),
        ("far too long", header(FIN | BINARY, u64::MAX >> 1), too_long),
        (
            "too long in sum",
            after_open(header(CONTINUATION, 100_000)),
            too_long,
        ),
        (
            "too many empty fragments",
            empty,
            FrameError::TooManyFragments { limit: 4 },
        ),
    ];
    assert_broken(rows, 1009);
}

/// Sections 5.5.1 and 8.1.
#[test]
fn rules_of_text() {
    let cut_off = [frame(TEXT, b"\xCE"), frame(FIN, b"")].concat();
    let rows = vec![
        ("not UTF-8", frame(FIN | TEXT, b"a\xFF"), FrameError::TextNotUtf8),
        (
            "a character cut off",
            frame(FIN | TEXT, b"\xCE"),
            FrameError::TextNotUtf8,
        ),
        (
            "a character cut off, in fragments",
            cut_off,
            FrameError::TextNotUtf8,
        ),
        (
            "a surrogate",
            frame(FIN | TEXT, b"\xED\xA0\x80"),
            FrameError::TextNotUtf8,
        ),
        (
            "close reason",
            frame(FIN | CLOSE, b"\x03\xE8\xCE"),
            FrameError::CloseReasonNotUtf8,
        ),
    ];
    assert_broken(rows, 1007);
}

/// Section 7.4: valid close codes, and codes that are never sent.
#[test]
fn close_codes() {
    for code in [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1014, 3000, 3999, 4000, 4999,
    ] {
        let bytes = frame(
            FIN | CLOSE,
            &[&u16::to_be_bytes(code)[..], "bye é".as_bytes()].concat(),
        );
        let expected = CloseFrame {
            code,
            reason: Cow::Borrowed("bye é"),
        };
        assert_eq!(
            read(&limits(), &bytes, &[]),
            (vec![Message::Close(Some(expected))], None)
        );
    }
    for code in [
        0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535,
    ] {
        let bytes = frame(FIN | CLOSE, &u16::to_be_bytes(code));
        assert_eq!(
            read(&limits(), &bytes, &[]),
            (vec![], Some(FrameError::CloseCode(code)))
        );
    }
    assert_eq!(
        read(&limits(), &frame(FIN | CLOSE, b""), &[]),
        (vec![Message::Close(None)], None)
    );
}

/// Section 5.4: control frames may come between fragments and do not end the message.
#[test]
fn control_frames_between_fragments() {
    let bytes = [
        frame(TEXT, b"one "),
        frame(FIN | PING, b"p"),
        frame(CONTINUATION, b""),
        frame(FIN | PONG, b""),
        frame(FIN | CONTINUATION, b"two"),
    ]
    .concat();
    let expected = vec![
        Message::Ping(Cow::Borrowed(b"p")),
        Message::Pong(Cow::Borrowed(b"")),
        text("one two"),
    ];
    for size in [bytes.len(), 1, 2, 7] {
        assert_eq!(
            read(&limits(), &bytes, &[size]),
            (expected.clone(), None),
            "in pieces of {size}"
        );
    }
}

/// Exactly at the limits is allowed.
#[test]
fn limits_are_inclusive() {
    let long = frame(FIN | BINARY, &vec![7; 100_000]);
    assert_eq!(
        read(&limits(), &long, &[]),
        (vec![Message::Binary(Cow::Owned(vec![7; 100_000]))], None)
    );
    let fragments = [frame(TEXT, b""), frame(0, b"").repeat(2), frame(FIN, b"")].concat();
    assert_eq!(read(&limits(), &fragments, &[]), (vec![text("")], None));
    let ping = frame(FIN | PING, &[1; 125]);
    assert_eq!(
        read(&limits(), &ping, &[]),
        (vec![Message::Ping(Cow::Owned(vec![1; 125]))], None)
    );
}

/// Autobahn 6.4: fails at the first bad byte, although the frame and the message continue.
#[test]
fn bad_text_fails_before_its_frame_ends() {
    let rows: [(&[u8], &[u8]); 4] = [
        // An overlong slash, a surrogate, beyond U+10FFFF, a lone continuation byte.
        (b"\xCE\xBA", b"\xC0"),
        (b"a\xED", b"\xA0"),
        (b"\xF4", b"\x90"),
        (b"", b"\x80"),
    ];
    for (good, bad) in rows {
        let mut bytes = header(TEXT, 1000);
        let payload = [good, bad].concat();
        bytes.extend(
            payload
                .iter()
                .zip(KEY.iter().cycle())
                .map(|(byte, key)| byte ^ key),
        );
        let (last, before) = bytes.split_last().unwrap();
        let mut decoder = Decoder::default();
        let mut messages = Vec::new();
        assert_eq!(
            client::feed(&mut decoder, &limits(), before, &mut messages),
            Ok(())
        );
        assert_eq!(
            client::feed(&mut decoder, &limits(), &[*last], &mut messages),
            Err(FrameError::TextNotUtf8)
        );
        assert_eq!(decoder.buffered_bytes(), 0, "the decoder drops its buffers");
    }
}

#[test]
fn a_close_reason_is_cut_between_characters() {
    let reason = "é".repeat(100);
    let mut out = Vec::new();
    frame::write_close(Some(4001), &reason, &mut out);
    let (op, payload, rest) = frame::split(&out).unwrap();
    assert_eq!((op, rest), (OpCode::Close, &[][..]));
    assert_eq!(
        payload,
        [&4001_u16.to_be_bytes()[..], "é".repeat(61).as_bytes()].concat()
    );
    let mut empty = Vec::new();
    frame::write_close(None, "not sent without a code", &mut empty);
    assert_eq!(empty, [0x88, 0]);
}

#[test]
fn split_reads_only_whole_frames_of_ours() {
    let mut out = Vec::new();
    frame::write(OpCode::Text, &vec![b'a'; 70_000], &mut out);
    frame::write(OpCode::Binary, &[1; 200], &mut out);
    let (op, payload, rest) = frame::split(&out).unwrap();
    assert_eq!((op, payload.len()), (OpCode::Text, 70_000));
    assert_eq!(frame::split(rest), Some((OpCode::Binary, &[1; 200][..], &[][..])));
    for cut in [0, 1, 2, 3, 9, 10, 70_009] {
        assert_eq!(frame::split(&out[..cut]), None, "{cut} bytes");
    }
    assert_eq!(frame::split(&client::frame(FIN | TEXT, b"masked")), None);
    assert_eq!(frame::split(&[0x01, 0]), None, "not final");
    assert_eq!(frame::split(&[0x83, 0]), None, "reserved");
}
