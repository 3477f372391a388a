//! Packets that the Socket.IO parser accepts and refuses: the reference parser's cases, and known attacks.

use roomful_wire::packet::{Body, Packet};
use roomful_wire::parser::{Limits, ParseError, Parser, is_reserved};

/// Parses a packet without attachments and encodes it again: equal texts mean equal packets.
fn echo(text: &str) -> Result<String, ParseError> {
    let packet = Parser::default().text(&Limits::default(), text)?;
    let packet = packet.ok_or(ParseError::Form("unexpectedly incomplete"))?;
    Ok(encoded(&packet))
}

fn encoded(packet: &Packet) -> String {
    let mut out = Vec::new();
    packet.encode(&mut out);
    String::from_utf8_lossy(&out).into_owned()
}

#[test]
fn packets_that_encode_to_themselves() {
    let rows = [
        "0",
        "0/admin,",
        r#"0{"token":"123"}"#,
        r#"0/admin,{"token":"123"}"#,
        "1",
        "1/admin,",
        r#"2["foo"]"#,
        r#"212["foo",1,{"a":[true,null]},"b,]"]"#,
        r#"2/admin,9007199254740991["foo"]"#,
        r#"2["message-with-ack",1,"2",{"3":[false]}]"#,
        "30[]",
        r#"3/admin,456["bar",1.5e-7]"#,
        // Half a surrogate pair is well-formed JSON, so it passes unchanged.
        r#"2["foo","\ud83d"]"#,
        r#"2["__proto__",{"__proto__":1,"constructor":2}]"#,
    ];
    for text in rows {
        assert_eq!(echo(text).unwrap(), text);
    }
}

#[test]
fn packets_written_in_another_way() {
    let rows = [
        ("0/admin", "0/admin,"),
        ("1/admin", "1/admin,"),
        ("0/,", "0"),
        ("2/,[\"foo\"]", r#"2["foo"]"#),
        (r#"0/admin?token=1&a=b,{"c":2}"#, r#"0/admin,{"c":2}"#),
        ("0/?token=1,", "0"),
        (r#"2 [ "foo" , 1 , [ 2 ] ] "#, r#"2["foo",1 , [ 2 ]]"#),
        (r#"2["\u0066oo"]"#, r#"2["foo"]"#),
        ("2007[\"foo\"]", r#"27["foo"]"#),
        ("35", "35[]"),
        ("0 {}", "0{}"),
    ];
    for (text, expected) in rows {
        assert_eq!(echo(text).unwrap(), expected, "{text}");
    }
}

macro_rules! assert_refused {
    ($text:expr, $error:pat) => {{
        let result = Parser::default().text(&Limits::default(), $text);
        assert!(matches!(result, Err($error)), "{}: {result:?}", $text);
    }};
}

#[test]
fn malformed_packets_are_refused() {
    assert_refused!("", ParseError::Empty);
    for text in ["7", "9", "999", "x", "-1", " 0", "é"] {
        assert_refused!(text, ParseError::UnknownType);
    }
    for text in [
        "442[\"some\",\"data\"",
        "2[\"a\"",
        "2[\"a\"]]",
        "2[\"a\",]",
        "2{",
        "0{",
        "2",
        "2/admin",
        "2[a]",
        "4",
    ] {
        assert_refused!(text, ParseError::Json(_));
    }
    assert_refused!(r#"2["a"] x"#, ParseError::Json(_));
    assert_refused!("2{}", ParseError::Json(_));
    assert_refused!(r#"2"text""#, ParseError::Json(_));
    assert_refused!("30{}", ParseError::Json(_));
    assert_refused!("2[]", ParseError::Form(_));
    for text in [
        r#"0"invalid""#,
        r#"0/admin,"invalid""#,
        "0[]",
        "0/admin,null",
        "0true",
    ] {
        assert_refused!(text, ParseError::Form(_));
    }
    for text in ["1{}", "1/admin,{}", "1null", "1[1]"] {
        assert_refused!(text, ParseError::Form(_));
    }
}

#[test]
fn only_a_client_reads_connect_error() {
    let text = r#"4/admin,{"message":"no"}"#;
    assert_refused!(text, ParseError::ServerOnly);
    let packet = Parser::of_server_packets()
        .text(&Limits::default(), text)
        .unwrap()
        .unwrap();
    assert_eq!(encoded(&packet), text);
    assert!(
        Parser::of_server_packets()
            .text(&Limits::default(), "4[]")
            .is_err()
    );
}

#[test]
fn event_names_are_strings_and_not_reserved() {
    for text in [
        "2[1]",
        "2[true,\"foo\"]",
        "2[null,\"bar\"]",
        r#"2[{"toString":"foo"}]"#,
        "2[[\"a\"]]",
    ] {
        assert_refused!(text, ParseError::EventName);
    }
    for name in [
        "connect",
        "connect_error",
        "disconnect",
        "disconnecting",
        "newListener",
        "removeListener",
    ] {
        assert!(is_reserved(name));
        assert_refused!(&format!(r#"2["{name}"]"#), ParseError::Reserved);
        assert_refused!(
            &format!(r#"51-["{name}",{{"_placeholder":true,"num":0}}]"#),
            ParseError::Reserved
        );
    }
    assert_refused!(r#"2["\u0063onnect"]"#, ParseError::Reserved);
    for name in ["connection", "Connect", "error", ""] {
        assert!(!is_reserved(name), "{name}");
    }
}

#[test]
fn ack_ids_are_digits_javascript_can_hold() {
    for text in [
        "29007199254740992[\"a\"]",
        "299999999999999999999999[\"a\"]",
        "3[]",
        "3",
        "3/admin,[1]",
    ] {
        assert_refused!(text, ParseError::AckId);
    }
    for text in ["2-1[\"a\"]", "21.5[\"a\"]", "21e3[\"a\"]", "2٣[\"a\"]"] {
        assert_refused!(text, ParseError::Json(_));
    }
}

#[test]
fn namespaces_are_bounded() {
    let longest = format!("0/{},", "n".repeat(255));
    assert_eq!(echo(&longest).unwrap(), longest);
    assert_refused!(
        &format!("0/{},", "n".repeat(256)),
        ParseError::NamespaceTooLong { limit: 256 }
    );
    assert_refused!("0admin,", ParseError::Json(_));
}

#[test]
fn attachment_counts() {
    for text in [
        "5",
        "5-",
        "5[\"a\"]",
        "5x-[\"a\"]",
        "5-1-[\"a\"]",
        "51.5-[\"a\"]",
        "5 1-[\"a\"]",
        "51e0-[\"a\"]",
    ] {
        assert_refused!(text, ParseError::AttachmentCount);
    }
    assert_refused!("50-[\"a\"]", ParseError::AttachmentCount);
    assert_refused!("60-1[]", ParseError::AttachmentCount);
    for text in ["511-[\"a\"]", "5999999999999999999999999-[\"a\"]", "610000-1[]"] {
        assert_refused!(text, ParseError::TooManyAttachments { limit: 10 });
    }
    let none = Limits {
        max_attachments: 0,
        ..Limits::default()
    };
    let refused = Parser::default().text(&none, "51-[\"a\"]");
    assert!(matches!(
        refused,
        Err(ParseError::TooManyAttachments { limit: 0 })
    ));
}

#[test]
fn placeholders_point_to_attachments() {
    for num in ["1", "-1", "0.5", "\"0\"", "null", "1e99", "18446744073709551616"] {
        let text = format!(r#"51-["a",[{{"b":{{"_placeholder":true,"num":{num}}}}}]]"#);
        assert_refused!(&text, ParseError::Placeholder);
    }
    assert_refused!(r#"51-["a",{"_placeholder":true}]"#, ParseError::Placeholder);
    assert_refused!(
        r#"51-["a",{"\u005fplaceholder":true,"num":1}]"#,
        ParseError::Placeholder
    );
    assert_refused!(
        r#"51-["a",{"num":0,"_placeholder":true,"num":1}]"#,
        ParseError::Placeholder
    );
    assert_refused!(r#"61-7[{"_placeholder":true,"num":1}]"#, ParseError::Placeholder);
    for ignored in ["false", "1", "\"true\""] {
        let text = format!(r#"51-["a",{{"_placeholder":{ignored},"num":9}}]"#);
        assert!(
            Parser::default()
                .text(&Limits::default(), &text)
                .unwrap()
                .is_none()
        );
    }
}

#[test]
fn a_binary_event_waits_for_its_attachments() {
    let limits = Limits::default();
    let mut parser = Parser::default();
    let text = r#"52-/admin,7["up",{"_placeholder":true,"num":1},{"_placeholder":true,"num":0},"x"]"#;
    assert!(parser.text(&limits, text).unwrap().is_none());
    assert!(parser.is_reconstructing());
    assert!(parser.buffered_bytes() > 0);
    assert!(parser.binary(&limits, b"first").unwrap().is_none());
    let packet = parser.binary(&limits, b"second").unwrap().unwrap();
    assert!(!parser.is_reconstructing());
    assert_eq!(parser.buffered_bytes(), 0);
    assert_eq!(encoded(&packet), text);
    let Body::Event {
        name,
        id: Some(7),
        payload,
    } = packet.body
    else {
        panic!("{packet:?}")
    };
    assert_eq!((&*name, payload.len()), ("up", 3));
    assert_eq!(payload.binary(0).unwrap(), "second");
    assert_eq!(payload.binary(1).unwrap(), "first");
    assert!(payload.binary(2).is_err());
}

#[test]
fn a_binary_ack_waits_too() {
    let limits = Limits::default();
    let mut parser = Parser::default();
    assert!(
        parser
            .text(&limits, r#"61-15[{"_placeholder":true,"num":0}]"#)
            .unwrap()
            .is_none()
    );
    let packet = parser.binary(&limits, &[1, 2]).unwrap().unwrap();
    let Body::Ack { id: 15, payload } = packet.body else {
        panic!("{packet:?}")
    };
    assert_eq!(payload.binary(0).unwrap(), &[1, 2][..]);
}

/// After an error, the parser keeps nothing that a later message could extend.
#[test]
fn state_is_cleared_on_every_path() {
    let limits = Limits {
        max_attachment_bytes: 5,
        ..Limits::default()
    };
    let begin = r#"52-["a",{"_placeholder":true,"num":0}]"#;
    let mut parser = Parser::default();
    assert!(matches!(
        parser.binary(&limits, b""),
        Err(ParseError::StrayBinary)
    ));

    parser.text(&limits, begin).unwrap();
    assert!(matches!(
        parser.text(&limits, r#"2["b"]"#),
        Err(ParseError::TextInBinary)
    ));
    assert!(!parser.is_reconstructing());
    assert!(matches!(
        parser.binary(&limits, b""),
        Err(ParseError::StrayBinary)
    ));

    parser.text(&limits, begin).unwrap();
    parser.binary(&limits, b"123").unwrap();
    assert!(matches!(
        parser.binary(&limits, b"456"),
        Err(ParseError::AttachmentsTooLong { limit: 5 })
    ));
    assert!(!parser.is_reconstructing());
    assert!(parser.text(&limits, r#"2["b"]"#).unwrap().is_some());
}

/// Deep nesting must not overflow the stack, neither in the syntax check nor in the search for
/// placeholders.
#[test]
fn deep_nesting_is_harmless() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(
        Parser::default()
            .text(&Limits::default(), &format!(r#"2["a",{deep}]"#))
            .is_ok()
    );
    assert_refused!(&format!(r#"51-["a",{deep}]"#), ParseError::Placeholder);
}

#[test]
fn an_idle_parser_is_two_words() {
    assert!(size_of::<Parser>() <= 16, "{}", size_of::<Parser>());
    assert_eq!(Parser::default().buffered_bytes(), 0);
}
