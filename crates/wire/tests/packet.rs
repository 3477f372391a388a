//! Encoding of Socket.IO packets, and round trips through the parser.

use bytes::Bytes;
use proptest::prelude::*;
use roomful_wire::packet::{self, ArgError, Binary, Body, Packet, Payload};
use roomful_wire::parser::{Limits, Parser, is_reserved};
use serde_json::{Value, json};

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = b"4".to_vec();
    write(&mut out);
    String::from_utf8(out).unwrap_or_default()
}

#[test]
fn packets_as_the_protocol_document_shows_them() {
    let one = Payload::one(&json!({"a": 1})).unwrap();
    let rows = [
        (
            written(|out| packet::connect(out, "/", "abc", None)),
            r#"40{"sid":"abc"}"#,
        ),
        (
            written(|out| packet::connect(out, "/admin", "a\"b", Some("p"))),
            r#"40/admin,{"sid":"a\"b","pid":"p"}"#,
        ),
        (written(|out| packet::disconnect(out, "/")), "41"),
        (written(|out| packet::disconnect(out, "/admin")), "41/admin,"),
        (
            written(|out| packet::connect_error(out, "/", "Invalid namespace", None)),
            r#"44{"message":"Invalid namespace"}"#,
        ),
        (
            written(|out| packet::connect_error(out, "/a", "no", Some(&json!({"code": "x"})))),
            r#"44/a,{"message":"no","data":{"code":"x"}}"#,
        ),
        (
            written(|out| packet::event(out, "/", "foo", None, &Payload::empty(), None)),
            r#"42["foo"]"#,
        ),
        (
            written(|out| packet::event(out, "/admin", "f\n", Some(12), &one, None)),
            r#"42/admin,12["f\n",{"a":1}]"#,
        ),
        (
            written(|out| packet::event(out, "/", "foo", None, &one, Some("off\"set"))),
            r#"42["foo",{"a":1},"off\"set"]"#,
        ),
        (
            written(|out| packet::event(out, "/", "foo", None, &Payload::empty(), Some("o"))),
            r#"42["foo","o"]"#,
        ),
        (
            written(|out| packet::ack(out, "/", 0, &Payload::empty())),
            "430[]",
        ),
        (
            written(|out| packet::ack(out, "/admin", 456, &one)),
            r#"43/admin,456[{"a":1}]"#,
        ),
    ];
    for (actual, expected) in rows {
        assert_eq!(actual, expected);
    }
}

#[test]
fn attachments_make_a_packet_binary() {
    let mut payload = Payload::one("text").unwrap();
    payload.push_binary(Bytes::from_static(&[1]));
    payload.push_binary(Bytes::from_static(&[2]));
    assert_eq!(
        written(|out| packet::event(out, "/admin", "foo", Some(3), &payload, Some("o"))),
        r#"452-/admin,3["foo","text",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1},"o"]"#
    );
    assert_eq!(
        written(|out| packet::ack(out, "/", 3, &payload)),
        r#"462-3["text",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#
    );
}

#[test]
fn arguments_are_read_one_by_one() {
    let payload = Payload::from_parts(r#""a,b" , 2 ,{"c":[1,2]},true"#.to_owned(), 4, Vec::new());
    assert_eq!(payload.arg::<String>(0).unwrap(), "a,b");
    assert_eq!(payload.arg::<u8>(1).unwrap(), 2);
    assert_eq!(payload.arg::<Value>(2).unwrap(), json!({"c": [1, 2]}));
    assert!(payload.arg::<bool>(3).unwrap());
    assert!(matches!(
        payload.arg::<Value>(4),
        Err(ArgError::Missing { index: 4, len: 4 })
    ));
    assert!(matches!(
        payload.arg::<u8>(0),
        Err(ArgError::Form { index: 0, .. })
    ));
    assert!(matches!(payload.binary(2), Err(ArgError::NotBinary { index: 2 })));
    let raw: Vec<&str> = payload
        .raw_args()
        .unwrap()
        .into_iter()
        .map(serde_json::value::RawValue::get)
        .collect();
    assert_eq!(raw, [r#""a,b""#, "2", r#"{"c":[1,2]}"#, "true"]);
    assert!(matches!(
        Payload::empty().arg::<Value>(0),
        Err(ArgError::Missing { index: 0, len: 0 })
    ));
    assert_eq!(Payload::one(&7).unwrap().arg::<u8>(0).unwrap(), 7);
    assert!(
        Payload::from_parts("1,x".to_owned(), 2, Vec::new())
            .raw_args()
            .is_err()
    );
}

#[test]
fn an_argument_that_is_not_json_is_not_pushed() {
    let not_json = std::collections::HashMap::from([((1, 2), 3)]);
    let mut payload = Payload::one("a").unwrap();
    assert!(payload.push(&not_json).is_err());
    assert_eq!((payload.len(), payload.text()), (1, r#""a""#));
}

#[test]
fn the_main_namespace_is_not_allocated() {
    let packet = Parser::default()
        .text(&Limits::default(), r#"2["a"]"#)
        .unwrap()
        .unwrap();
    assert!(matches!(packet.namespace, std::borrow::Cow::Borrowed("/")));
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z,\\]\"]{0,4}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// An argument: JSON, or bytes.
fn payload() -> impl Strategy<Value = Vec<Result<Value, Vec<u8>>>> {
    let argument = prop_oneof![
        3 => value().prop_map(Ok),
        1 => prop::collection::vec(any::<u8>(), 0..20).prop_map(Err),
    ];
    prop::collection::vec(argument, 0..6)
}

proptest! {
    #[test]
    fn events_and_acks_round_trip(
        namespace in "(/|/[a-z0-9/_-]{1,20})",
        name in "\\PC{0,12}",
        id in prop::option::of(0u64..1 << 53),
        args in payload(),
        is_ack: bool,
    ) {
        prop_assume!(!is_reserved(&name));
        let mut payload = Payload::empty();
        for arg in &args {
            match arg {
                Ok(value) => payload.push(value).unwrap(),
                Err(bytes) => payload.push_binary(Bytes::copy_from_slice(bytes)),
            }
        }
        let body = if is_ack {
            Body::Ack { id: id.unwrap_or_default(), payload: payload.clone() }
        } else {
            Body::Event { name: name.as_str().into(), id, payload: payload.clone() }
        };
        let mut out = Vec::new();
        Packet { namespace: namespace.clone().into(), body }.encode(&mut out);

        let limits = Limits::default();
        let mut parser = Parser::default();
        let mut packet = parser.text(&limits, std::str::from_utf8(&out).unwrap()).unwrap();
        for bytes in payload.attachments() {
            prop_assert!(packet.is_none());
            packet = parser.binary(&limits, bytes).unwrap();
        }
        let packet = packet.unwrap();
        prop_assert_eq!(&*packet.namespace, namespace);
        let read = match packet.body {
            Body::Event { name: read, id: read_id, payload } => {
                prop_assert!(!is_ack);
                prop_assert_eq!((&*read, read_id), (name.as_str(), id));
                payload
            }
            Body::Ack { id: read_id, payload } => {
                prop_assert!(is_ack);
                prop_assert_eq!(read_id, id.unwrap_or_default());
                payload
            }
            other => panic!("{other:?}"),
        };
        prop_assert_eq!(&read, &payload);
        for (index, arg) in args.iter().enumerate() {
            match arg {
                Ok(value) => prop_assert_eq!(&read.arg::<Value>(index).unwrap(), value),
                Err(bytes) => prop_assert_eq!(&read.binary(index).unwrap(), bytes),
            }
        }
    }

    /// Any text gets a result, and the parser's memory is bounded.
    #[test]
    fn no_text_panics(text in "[0-6]{0,3}-?(/[a-z]{0,3},)?[0-9]{0,2}[\\[\\]{}\",:a-z0-9 ]{0,30}") {
        let mut parser = Parser::default();
        let complete = matches!(parser.text(&Limits::default(), &text), Ok(None));
        prop_assert_eq!(parser.is_reconstructing(), complete);
    }
}

#[test]
fn binary_values_travel_at_any_depth() {
    let bytes = |byte: u8| Binary(Bytes::from(vec![byte; 2]));
    let sent = (bytes(1), vec![("a".to_owned(), bytes(2))], Some(bytes(3)));
    let mut payload = Payload::args(&sent).unwrap();
    assert_eq!((payload.len(), payload.attachments().len()), (3, 3));
    assert_eq!(payload.binary(0).unwrap(), sent.0.0);
    let received: (Binary, Vec<(String, Binary)>, Option<Binary>) = payload.to_args().unwrap();
    assert_eq!(received, sent);
    payload.push(&bytes(4)).unwrap();
    assert_eq!(payload.arg::<Binary>(3).unwrap(), bytes(4));
    // A value that fails half-way leaves no attachment behind.
    let bad = (bytes(5), std::collections::HashMap::from([((1, 2), 3)]));
    assert!(payload.push(&bad).is_err());
    assert_eq!((payload.len(), payload.attachments().len()), (4, 4));
}

#[test]
fn arguments_are_a_sequence() {
    assert!(Payload::args(&()).unwrap().is_empty());
    assert!(Payload::args::<[u8]>(&[]).unwrap().is_empty());
    assert_eq!(Payload::args(&["[1", "2]"]).unwrap().len(), 2);
    assert!(Payload::args("text").is_err());
    assert!(Payload::args(&serde_json::json!({"a": 1})).is_err());
}
