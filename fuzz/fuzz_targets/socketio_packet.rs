//! Socket.IO packets: the messages of a connection, each preceded by its kind and length, for both kinds of
//! parser. Packets are within the limits, well-formed, and round trip.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roomful_wire::packet::{Body, Packet, Payload};
use roomful_wire::parser::{Limits, Parser, is_reserved};
use serde_json::Value;

const LIMITS: Limits = Limits {
    max_attachments: 3,
    max_attachment_bytes: 64,
};

fn encoded(packet: &Packet) -> String {
    let mut out = Vec::new();
    packet.encode(&mut out);
    String::from_utf8(out).expect("packets are UTF-8")
}

fn attachments(packet: &Packet) -> &[impl AsRef<[u8]>] {
    match &packet.body {
        Body::Event { payload, .. } | Body::Ack { payload, .. } => payload.attachments(),
        _ => &[],
    }
}

fn check_payload(payload: &Payload) {
    assert!(payload.attachments().len() <= LIMITS.max_attachments);
    let bytes: usize = payload.attachments().iter().map(|bytes| bytes.len()).sum();
    assert!(bytes <= LIMITS.max_attachment_bytes);
    let args = payload.raw_args().expect("a parsed payload is JSON");
    assert_eq!(args.len(), payload.len());
    for (index, raw) in args.iter().enumerate() {
        let value: Option<Value> = serde_json::from_str(raw.get()).ok();
        assert_eq!(payload.arg::<Value>(index).ok(), value);
    }
    assert!(payload.arg::<Value>(payload.len()).is_err());
}

fn check(packet: &Packet) {
    assert!(packet.namespace.starts_with('/') && packet.namespace.len() <= 256);
    assert!(!packet.namespace.contains([',', '?']));
    match &packet.body {
        Body::Event { name, id, payload } => {
            assert!(!is_reserved(name) && id.is_none_or(|id| id < 1 << 53));
            check_payload(payload);
        }
        Body::Ack { id, payload } => {
            assert!(*id < 1 << 53);
            check_payload(payload);
        }
        Body::Connect(Some(auth)) => assert!(auth.get().starts_with('{')),
        Body::Connect(None) | Body::Disconnect | Body::ConnectError(_) => {}
    }
    let text = encoded(packet);
    let mut parser = Parser::of_server_packets();
    let mut again = parser.text(&LIMITS, &text).expect("encoded packets can be parsed");
    for bytes in attachments(packet) {
        assert!(again.is_none());
        again = parser
            .binary(&LIMITS, bytes.as_ref())
            .expect("an attachment that is due");
    }
    let again = again.expect("all attachments are there");
    assert_eq!(encoded(&again), text);
    assert!(
        attachments(packet)
            .iter()
            .map(AsRef::as_ref)
            .eq(attachments(&again).iter().map(AsRef::as_ref))
    );
}

/// Parses until the connection would close. A server also refuses `CONNECT_ERROR`.
fn converse(mut parser: Parser, mut data: &[u8], is_server: bool) {
    let budget = data.len() + LIMITS.max_attachment_bytes + 1024;
    while let Some((&[kind, len], rest)) = data.split_first_chunk::<2>() {
        let (message, rest) = rest.split_at(usize::from(len).min(rest.len()));
        data = rest;
        let result = match str::from_utf8(message) {
            Ok(text) if kind % 2 == 0 => parser.text(&LIMITS, text),
            _ => parser.binary(&LIMITS, message),
        };
        assert!(parser.buffered_bytes() <= budget);
        assert_eq!(parser.is_reconstructing(), matches!(result, Ok(None)));
        assert_eq!(parser.buffered_bytes() > 0, parser.is_reconstructing());
        match result {
            Ok(Some(packet)) => {
                assert!(!(is_server && matches!(packet.body, Body::ConnectError(_))));
                check(&packet);
            }
            Ok(None) => {}
            Err(_) => return,
        }
    }
}

fuzz_target!(|data: &[u8]| {
    converse(Parser::default(), data, true);
    converse(Parser::of_server_packets(), data, false);
});
