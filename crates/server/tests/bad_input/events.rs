//! Rows for events with invalid payloads, sizes, or at invalid times.

use roomful_testkit::token;
use serde_json::{Value, json};

use crate::message;
use crate::row::{Act, Row};

const INVALID: &str = "invalid_request";
const TOO_LARGE: &str = "payload_too_large";
const FORBIDDEN: &str = "forbidden";

fn event(name: &'static str, event: &'static str, argument: Value, code: &'static str) -> Row {
    Row {
        name,
        act: Act::Event(Vec::new(), event, vec![argument], code),
    }
}

/// A row that sends a message to a room that the sender is a member of.
fn send(name: &'static str, text: &str, more: &Value, code: &'static str) -> Row {
    let before = vec![("chat:join", json!("den"))];
    Row {
        name,
        act: Act::Event(
            before,
            "chat:send_message",
            vec![message("den", text, more)],
            code,
        ),
    }
}

pub(crate) fn rows(secret: &str) -> Vec<Row> {
    [
        names(),
        rooms(),
        sends(),
        non_members(),
        numbers(),
        others(secret),
    ]
    .concat()
}

fn names() -> Vec<Row> {
    vec![
        event(
            "an event that does not exist",
            "chat:no_such_event",
            json!({}),
            INVALID,
        ),
        event("an event named __proto__", "__proto__", json!({}), INVALID),
        event("an event named constructor", "constructor", json!({}), INVALID),
        event("an event with an empty name", "", json!({}), INVALID),
        event(
            "an event that only the server emits",
            "chat:receive_message",
            json!({ "room": "den" }),
            INVALID,
        ),
        event(
            "the server's session event",
            "session",
            json!({ "userId": "admin" }),
            INVALID,
        ),
    ]
}

fn rooms() -> Vec<Row> {
    let join = |name, argument| event(name, "chat:join", argument, INVALID);
    vec![
        Row {
            name: "a join without arguments",
            act: Act::Event(vec![], "chat:join", vec![], INVALID),
        },
        join("a join of null", json!(null)),
        join("a join of a number", json!(7)),
        join("a join of a list", json!(["den"])),
        join("a join without a room", json!({})),
        join("a room that is a number", json!({ "room": 7 })),
        join("an empty room name", json!("")),
        join("a room name of 129 bytes", json!("r".repeat(129))),
        join("a room name with a line break", json!("den\nden")),
        join("a room name with a terminal escape", json!("\u{1b}[31mden")),
        join("a room name with a NUL", json!("den\0")),
        join("a room name that begins with a space", json!(" den")),
    ]
}

fn sends() -> Vec<Row> {
    let before = vec![
        ("chat:join", json!("den")),
        (
            "chat:send_message",
            message("den", "first", &json!({ "clientId": "conflicting" })),
        ),
    ];
    let again = message("den", "another text", &json!({ "clientId": "conflicting" }));
    let mentions: Vec<_> = (0..51).map(|i| format!("user-{i}")).collect();
    vec![
        send("an empty text", "", &json!({}), INVALID),
        send("a text that is a number", "", &json!({ "text": 7 }), INVALID),
        send(
            "a text that is an object",
            "",
            &json!({ "text": { "a": 1 } }),
            INVALID,
        ),
        send(
            "a text of 16 KiB and one byte",
            &"x".repeat(16 * 1024 + 1),
            &json!({}),
            TOO_LARGE,
        ),
        send(
            "a text too large in bytes, not in characters",
            &"é".repeat(8 * 1024 + 1),
            &json!({}),
            TOO_LARGE,
        ),
        send(
            "a clientId that is a number",
            "x",
            &json!({ "clientId": 7 }),
            INVALID,
        ),
        send("an empty clientId", "x", &json!({ "clientId": "" }), INVALID),
        send(
            "a clientId of 1,000 characters",
            "x",
            &json!({ "clientId": "c".repeat(1000) }),
            INVALID,
        ),
        send("a replyTo of zero", "x", &json!({ "replyTo": 0 }), INVALID),
        send(
            "a replyTo that is a string",
            "x",
            &json!({ "replyTo": "1" }),
            INVALID,
        ),
        send(
            "mentions that are a string",
            "x",
            &json!({ "mentions": "bob" }),
            INVALID,
        ),
        send(
            "mentions that are numbers",
            "x",
            &json!({ "mentions": [1] }),
            INVALID,
        ),
        send(
            "fifty-one mentions",
            "x",
            &json!({ "mentions": mentions }),
            INVALID,
        ),
        send(
            "metadata that is a list",
            "x",
            &json!({ "metadata": [1] }),
            INVALID,
        ),
        send(
            "metadata of 5 KB",
            "x",
            &json!({ "metadata": { "a": "m".repeat(5000) } }),
            TOO_LARGE,
        ),
        Row {
            name: "a clientId with another text",
            act: Act::Event(before, "chat:send_message", vec![again], "conflict"),
        },
    ]
}

fn non_members() -> Vec<Row> {
    let room = || json!({ "room": "a-room-of-others" });
    vec![
        event(
            "a send without a join",
            "chat:send_message",
            message("a-room-of-others", "x", &json!({})),
            FORBIDDEN,
        ),
        event("typing without a join", "chat:typing_start", room(), FORBIDDEN),
        event(
            "a read mark without a join",
            "chat:message_read",
            json!({ "room": "a-room-of-others", "seq": 1 }),
            FORBIDDEN,
        ),
        event("history without a join", "chat:get_history", room(), FORBIDDEN),
        event(
            "a list of online users without a join",
            "chat:get_online_users",
            room(),
            FORBIDDEN,
        ),
    ]
}

fn numbers() -> Vec<Row> {
    let join = |name, more: Value| {
        let mut argument = json!({ "room": "den" });
        for (key, value) in more.as_object().into_iter().flatten() {
            argument[key] = value.clone();
        }
        event(name, "chat:join", argument, INVALID)
    };
    let mark = |name, argument: Value| {
        let before = vec![("chat:join", json!("den"))];
        Row {
            name,
            act: Act::Event(before, "chat:message_read", vec![argument], INVALID),
        }
    };
    let read = |name, seq: Value| mark(name, json!({ "room": "den", "seq": seq }));
    let laws = |name, laws: Value| mark(name, json!({ "room": "den", "seq": 1, "laws": laws }));
    vec![
        join("a negative since", json!({ "since": -1 })),
        join("a since with a fraction", json!({ "since": 1.5 })),
        join("a since that is a string", json!({ "since": "1" })),
        join("a since beyond exact numbers", json!({ "since": 1_u64 << 60 })),
        join("an epoch that is a number", json!({ "since": 1, "epoch": 7 })),
        join("a limit that is a string", json!({ "limit": "many" })),
        join("a negative limit", json!({ "limit": -1 })),
        read("a read mark of zero", json!(0)),
        read("a negative read mark", json!(-1)),
        read("a read mark that is a string", json!("1")),
        read("no read mark", json!(null)),
        laws("a report of laws that is a number", json!(7)),
        laws("a report of laws without entries", json!({})),
        laws("a report of 1,000,001 entries", json!({ "entries": 1_000_001 })),
        laws(
            "a report of an unknown law",
            json!({ "entries": 1, "violations": [{ "law": "gravity", "count": 1 }] }),
        ),
        laws(
            "a report with an absurd count",
            json!({ "entries": 1, "violations": [{ "law": "dense", "count": 1e300 }] }),
        ),
        laws(
            "a report that names a law twice",
            json!({
                "entries": 1, "violations": [{ "law": "once", "count": 1 }, { "law": "once", "count": 1 }]
            }),
        ),
        event(
            "history before and after at once",
            "chat:get_history",
            json!({ "room": "den", "before": 9, "after": 1 }),
            INVALID,
        ),
    ]
}

fn others(secret: &str) -> Vec<Row> {
    let users: Vec<_> = (0..201).map(|i| format!("user-{i}")).collect();
    let somebody_else = json!({ "token": token::for_user(secret, "somebody-else") });
    let expired = token::with_claims(secret, &json!({ "sub": "eve", "exp": token::now() - 60 }));
    let status = |name, argument, code| event(name, "presence:set_status", argument, code);
    vec![
        event(
            "a presence subscription to nobody",
            "presence:subscribe",
            json!({}),
            INVALID,
        ),
        event(
            "a presence subscription to a string",
            "presence:subscribe",
            json!({ "users": "bob" }),
            INVALID,
        ),
        event(
            "a presence subscription to numbers",
            "presence:subscribe",
            json!({ "users": [1] }),
            INVALID,
        ),
        event(
            "a presence subscription to 201 users",
            "presence:subscribe",
            json!({ "users": users }),
            INVALID,
        ),
        status("no status", json!({}), INVALID),
        status(
            "a status of nobody's making",
            json!({ "status": "offline" }),
            INVALID,
        ),
        status("a status that is a list", json!({ "status": ["away"] }), INVALID),
        status(
            "a status named constructor",
            json!({ "status": "constructor" }),
            INVALID,
        ),
        status(
            "a status text that is an object",
            json!({ "status": "away", "text": {} }),
            INVALID,
        ),
        status(
            "a status text of 101 characters",
            json!({ "status": "away", "text": "x".repeat(101) }),
            TOO_LARGE,
        ),
        event(
            "a fresh token that is none",
            "token:refresh",
            json!({ "token": "x.y.z" }),
            "unauthorized",
        ),
        event(
            "a fresh token of somebody else",
            "token:refresh",
            somebody_else,
            "unauthorized",
        ),
        event(
            "a fresh token that is expired",
            "token:refresh",
            json!({ "token": expired }),
            "token_expired",
        ),
        event("no fresh token", "token:refresh", json!({}), INVALID),
    ]
}
