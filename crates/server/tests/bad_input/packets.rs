//! Rows for Engine.IO and Socket.IO packets that are invalid, or invalid in the current state.

use crate::nested;
use crate::row::{Act, Row, Stage};

fn connected(name: &'static str, texts: &[&str]) -> Row {
    Row {
        name,
        act: Act::Texts(
            Stage::Connected,
            texts.iter().map(|&text| text.to_owned()).collect(),
        ),
    }
}

fn opened(name: &'static str, texts: &[&str]) -> Row {
    Row {
        name,
        act: Act::Texts(Stage::Opened, texts.iter().map(|&text| text.to_owned()).collect()),
    }
}

/// Rows that are valid for the transport but invalid as an event, so the ack with id 0 carries an error.
fn answered(name: &'static str, texts: &[&str]) -> Row {
    let texts = texts.iter().map(|&text| text.to_owned()).collect();
    Row {
        name,
        act: Act::Answered(texts, "invalid_request"),
    }
}

pub(crate) fn rows() -> Vec<Row> {
    [engine(), orders(), events(), attachments()].concat()
}

fn engine() -> Vec<Row> {
    vec![
        connected("an empty packet", &[""]),
        connected("an unknown packet type", &["9"]),
        connected("a packet type that is a letter", &["x42"]),
        connected("a packet type that is not ASCII", &["é"]),
        connected("a ping, which only a server sends", &["2"]),
        connected("a probe on a connection that is not upgrading", &["2probe"]),
        connected("an empty Socket.IO packet", &["4"]),
        connected("an unknown Socket.IO type", &["47"]),
    ]
}

fn orders() -> Vec<Row> {
    vec![
        opened("an event before CONNECT", &[r#"42["chat:join","lobby"]"#]),
        opened("an ack before CONNECT", &["430[]"]),
        opened(
            "a disconnect, then an event",
            &["41", r#"42["chat:join","lobby"]"#],
        ),
        opened(
            "a binary event before CONNECT",
            &[r#"451-["x",{"_placeholder":true,"num":0}]"#, "\0x"],
        ),
        opened("a stray binary message before CONNECT", &["\0x"]),
        opened("CONNECT with broken JSON", &[r#"40{"token":"#]),
        opened("CONNECT with a list", &["40[1]"]),
        opened("CONNECT with a string", &[r#"40"token""#]),
        connected("a second CONNECT", &[r#"40{"token":"x"}"#]),
        connected(
            "an event to a namespace that was not joined",
            &[r#"42/admin,["x"]"#],
        ),
        connected("an event after DISCONNECT", &["41", r#"42["chat:join","lobby"]"#]),
        connected(
            "CONNECT_ERROR, which only a server sends",
            &[r#"44{"message":"x"}"#],
        ),
    ]
}

fn events() -> Vec<Row> {
    let deep = format!("420[\"chat:join\",{}]", nested(20_000));
    let unclosed = format!("42{}", "[".repeat(50_000));
    vec![
        connected("an event without a list", &["42"]),
        connected("an empty list", &["42[]"]),
        connected("an object for a list", &[r#"42{"0":"chat:join"}"#]),
        connected("broken JSON", &[r#"42["chat:join",{"room":]"#]),
        connected("JSON that ends too early", &[r#"42["chat:join",{"room":"a""#]),
        connected("something behind the JSON", &[r#"42["chat:join","a"]x"#]),
        connected("a number as the event's name", &[r#"42[1,"a"]"#]),
        connected("null as the event's name", &["42[null]"]),
        connected("the reserved name connect", &[r#"42["connect"]"#]),
        connected("the reserved name connect_error", &[r#"42["connect_error"]"#]),
        connected("the reserved name disconnect", &[r#"42["disconnect"]"#]),
        connected("the reserved name disconnecting", &[r#"42["disconnecting"]"#]),
        connected("the reserved name newListener", &[r#"42["newListener"]"#]),
        connected("the reserved name removeListener", &[r#"42["removeListener"]"#]),
        connected(
            "an ack id beyond any number",
            &[r#"42999999999999999999999999["chat:join","a"]"#],
        ),
        connected("a negative ack id", &[r#"42-1["chat:join","a"]"#]),
        connected("an ack with an object", &["430{}"]),
        answered("half a surrogate pair", &[r#"420["chat:join","\ud800"]"#]),
        answered("JSON that is nested without end", &[&deep]),
        connected("brackets that never close", &[&unclosed]),
    ]
}

fn attachments() -> Vec<Row> {
    let one = r#"451-["x",{"_placeholder":true,"num":0}]"#;
    vec![
        connected("a stray binary message", &["\0x"]),
        connected("thousands of attachments announced", &[r#"459999-["x"]"#]),
        connected("one attachment more than allowed", &[r#"4511-["x"]"#]),
        connected("a binary event with no attachment", &[r#"450-["x"]"#]),
        connected("a count of attachments that is no number", &[r#"45x-["x"]"#]),
        connected("a binary event without a count", &[r#"45["x"]"#]),
        connected("a text between attachments", &[one, r#"42["chat:join","a"]"#]),
        connected("more attachments than announced", &[one, "\0x", "\0x"]),
        connected(
            "a placeholder beyond the attachments",
            &[r#"451-["x",{"_placeholder":true,"num":7}]"#, "\0x"],
        ),
        connected(
            "a negative placeholder",
            &[r#"451-["x",{"_placeholder":true,"num":-1}]"#, "\0x"],
        ),
        connected(
            "a placeholder with a fraction",
            &[r#"451-["x",{"_placeholder":true,"num":0.5}]"#, "\0x"],
        ),
        answered(
            "an attachment without a placeholder",
            &[r#"451-0["chat:join"]"#, "\0x"],
        ),
    ]
}
