//! Engine.IO 4 packets and polling payloads, compared with the examples of the protocol document.

use std::borrow::Cow;

use proptest::prelude::*;
use roomful_wire::engine::payload::{decode, encode_binary, encode_text};
use roomful_wire::engine::{Open, Packet, PacketError};

#[test]
fn packets_in_text() {
    let rows = [
        (r#"0{"sid":"x"}"#, Ok(Packet::Open(r#"{"sid":"x"}"#))),
        ("1", Ok(Packet::Close)),
        ("1ignored", Ok(Packet::Close)),
        ("2", Ok(Packet::Ping(""))),
        ("2probe", Ok(Packet::Ping("probe"))),
        ("3probe", Ok(Packet::Pong("probe"))),
        ("4", Ok(Packet::Message(""))),
        ("4hello €", Ok(Packet::Message("hello €"))),
        ("5", Ok(Packet::Upgrade)),
        ("6", Ok(Packet::Noop)),
        ("bAQIDBA==", Ok(Packet::Binary(Cow::Borrowed(&[1, 2, 3, 4])))),
        ("bAQIDBA", Ok(Packet::Binary(Cow::Borrowed(&[1, 2, 3, 4])))),
        ("b", Ok(Packet::Binary(Cow::Borrowed(&[])))),
        ("", Err(PacketError::Empty)),
        ("7", Err(PacketError::UnknownType)),
        ("a", Err(PacketError::UnknownType)),
        ("€4", Err(PacketError::UnknownType)),
        ("\u{1e}", Err(PacketError::UnknownType)),
        ("b!", Err(PacketError::NotBase64)),
        ("bA", Err(PacketError::NotBase64)),
    ];
    for (text, expected) in rows {
        assert_eq!(Packet::from_text(text), expected, "{text:?}");
    }
}

/// Engine.IO protocol 4, "Full example" of the payload encoding.
#[test]
fn the_payload_of_the_protocol_document() {
    let body = "4hello\u{1e}2\u{1e}4world\u{1e}bAQIDBA==".as_bytes();
    let expected = vec![
        Packet::Message("hello"),
        Packet::Ping(""),
        Packet::Message("world"),
        Packet::Binary(Cow::Borrowed(&[1, 2, 3, 4])),
    ];
    assert_eq!(decode(body, 4), Ok(expected));
    let mut out = Vec::new();
    encode_text(&mut out, "4hello");
    encode_text(&mut out, "2");
    encode_text(&mut out, "4world");
    encode_binary(&mut out, &[1, 2, 3, 4]);
    assert_eq!(out, body);
}

#[test]
fn bad_payloads() {
    assert_eq!(decode(b"", 10), Err(PacketError::Empty));
    assert_eq!(decode(b"4a\x1e", 10), Err(PacketError::Empty));
    assert_eq!(decode(b"\x1e4a", 10), Err(PacketError::Empty));
    assert_eq!(decode(b"4a\x1eabc\x1e4b", 10), Err(PacketError::UnknownType));
    assert_eq!(decode(b"4\xFF", 10), Err(PacketError::NotUtf8));
    assert_eq!(
        decode(&"\u{1e}".repeat(100_000).into_bytes(), 16),
        Err(PacketError::TooManyPackets { limit: 16 })
    );
    assert_eq!(
        decode(b"2\x1e2\x1e2", 2),
        Err(PacketError::TooManyPackets { limit: 2 })
    );
}

#[test]
fn the_open_packet_has_the_protocols_keys_in_order() {
    let open = Open {
        sid: "lv_VI97HAXpY6yYWAAAC",
        upgrades: &["websocket"],
        ping_interval: 25_000,
        ping_timeout: 20_000,
        max_payload: 1_000_000,
    };
    assert_eq!(
        serde_json::to_string(&open).unwrap(),
        concat!(
            r#"{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":["websocket"],"#,
            r#""pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#
        )
    );
}

proptest! {
    /// A polling client reads back every packet that the server queues.
    #[test]
    fn payloads_round_trip(packets in prop::collection::vec(
        prop_oneof![
            "[^\u{1e}]{0,40}".prop_map(Ok),
            prop::collection::vec(any::<u8>(), 0..80).prop_map(Err),
        ],
        1..10,
    )) {
        let mut out = Vec::new();
        for packet in &packets {
            match packet {
                Ok(text) => encode_text(&mut out, &format!("4{text}")),
                Err(bytes) => encode_binary(&mut out, bytes),
            }
        }
        let expected: Vec<_> = packets
            .iter()
            .map(|packet| match packet {
                Ok(text) => Packet::Message(text),
                Err(bytes) => Packet::Binary(Cow::Borrowed(bytes)),
            })
            .collect();
        prop_assert_eq!(decode(&out, packets.len()), Ok(expected));
    }
}
