//! Rows for invalid HTTP requests and invalid polling bodies.

use crate::row::{Act, Row};

fn get(name: &'static str, query: &str, status: u16) -> Row {
    raw(
        name,
        format!("GET /socket.io/{query} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"),
        status,
    )
}

fn raw(name: &'static str, request: impl Into<Vec<u8>>, status: u16) -> Row {
    Row {
        name,
        act: Act::Request(request.into(), status),
    }
}

fn body(name: &'static str, body: impl Into<Vec<u8>>) -> Row {
    Row {
        name,
        act: Act::PollingBody(body.into()),
    }
}

fn upgrade(name: &'static str, headers: &str, query: &str) -> Row {
    let request = format!(
        "GET /socket.io/{query} HTTP/1.1\r\nhost: x\r\n\
         connection: Upgrade\r\nupgrade: websocket\r\n{headers}\r\n"
    );
    raw(name, request, 400)
}

pub(crate) fn rows() -> Vec<Row> {
    [handshakes(), requests(), bodies()].concat()
}

fn handshakes() -> Vec<Row> {
    const KEY: &str = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    const VERSION: &str = "sec-websocket-version: 13\r\n";
    const WS: &str = "?EIO=4&transport=websocket";
    let both = format!("{KEY}{VERSION}");
    vec![
        get("no query at all", "", 400),
        get("an unknown transport", "?EIO=4&transport=carrier-pigeon", 400),
        get(
            "a transport named like a property of every object",
            "?EIO=4&transport=__proto__",
            400,
        ),
        get("an old protocol version", "?EIO=3&transport=polling", 400),
        get(
            "a protocol version that is no number",
            "?EIO=four&transport=polling",
            400,
        ),
        get("an unknown sid", "?EIO=4&transport=polling&sid=unknown", 400),
        get(
            "a sid named like a property of every object",
            "?EIO=4&transport=polling&sid=constructor",
            400,
        ),
        get("an empty sid", "?EIO=4&transport=polling&sid=", 400),
        get(
            "broken percent-encoding",
            "?EIO=4&transport=polling&sid=%ff%zz",
            400,
        ),
        get("a WebSocket transport without an upgrade", WS, 400),
        upgrade("an upgrade without a key", VERSION, WS),
        upgrade(
            "an upgrade with a key that is too short",
            &format!("sec-websocket-key: AAAA\r\n{VERSION}"),
            WS,
        ),
        upgrade(
            "an upgrade to an old WebSocket",
            &format!("{KEY}sec-websocket-version: 8\r\n"),
            WS,
        ),
        upgrade(
            "an upgrade to an unknown sid",
            &both,
            "?EIO=4&transport=websocket&sid=unknown",
        ),
        upgrade(
            "an upgrade to an old protocol",
            &both,
            "?EIO=3&transport=websocket",
        ),
    ]
}

fn requests() -> Vec<Row> {
    const POLLING: &str = "/socket.io/?EIO=4&transport=polling";
    let cookies = "x".repeat(40_000);
    let many = "x-header: y\r\n".repeat(500);
    vec![
        raw(
            "a handshake by POST",
            format!("POST {POLLING} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"),
            400,
        ),
        raw(
            "a handshake by DELETE",
            format!("DELETE {POLLING} HTTP/1.1\r\nhost: x\r\n\r\n"),
            400,
        ),
        raw("a request line that is none", "complete nonsense\r\n\r\n", 400),
        raw(
            "control characters in a header",
            format!("GET {POLLING} HTTP/1.1\r\nhost: x\r\na: \x01\r\n\r\n"),
            400,
        ),
        raw(
            "a header of 40,000 bytes",
            format!("GET {POLLING} HTTP/1.1\r\nhost: x\r\ncookie: {cookies}\r\n\r\n"),
            431,
        ),
        raw(
            "five hundred headers",
            format!("GET {POLLING} HTTP/1.1\r\nhost: x\r\n{many}\r\n"),
            431,
        ),
        raw(
            "a path that does not exist",
            "GET /no/such/path HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            404,
        ),
        raw(
            "a page of a foreign site",
            format!(
                "GET {POLLING} HTTP/1.1\r\nhost: x\r\n\
                 origin: https://evil.example\r\nconnection: close\r\n\r\n"
            ),
            403,
        ),
        raw(
            "a null origin",
            format!("GET {POLLING} HTTP/1.1\r\nhost: x\r\norigin: null\r\nconnection: close\r\n\r\n"),
            403,
        ),
    ]
}

fn bodies() -> Vec<Row> {
    vec![
        body("an empty polling body", ""),
        body("a polling body of nonsense", "nonsense"),
        body("a polling body that is not UTF-8", b"4\xff\xfe".to_vec()),
        body("a polling body with broken base64", "b!!!!"),
        body("a polling body with a ping", "2"),
        body("a polling body with nothing between separators", "\x1e\x1e\x1e"),
        body(
            "a polling body with an event before CONNECT",
            r#"42["chat:join","lobby"]"#,
        ),
        body("a good packet and a bad one", "40{}\x1ex"),
        body("thousands of bad packets", "9\x1e".repeat(10_000)),
        body(
            "a polling body over the limit",
            format!("4{}", "x".repeat(200_000)),
        ),
    ]
}
