//! The candidates' protocols, as far as a load needs them. Pure: payloads in, payloads out.

use memchr::memmem;
use serde_json::json;

/// A candidate's protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Engine.IO 4 and Socket.IO 5 with Roomful's event names.
    SocketIo,
    /// Centrifugo's JSON protocol; replies and pushes may share one frame, a line each.
    Centrifugo,
}

/// The meaning of one line from a server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// The transport is open: the client may send its handshake.
    Open,
    /// The server has accepted the client.
    Up,
    /// A heartbeat, and its answer.
    Heartbeat(&'static [u8]),
    /// The answer to the command with this id.
    Answer {
        /// The command's id.
        id: u32,
        /// True if the command succeeded.
        ok: bool,
    },
    /// A message of a room.
    Delivery(&'a [u8]),
    /// The server closes the connection, with its reason.
    Refused(&'a [u8]),
    /// A line that a load ignores.
    Other,
}

/// The id of Centrifugo's connect command; other commands have higher ids.
const CONNECT_ID: u32 = 1;

impl Dialect {
    /// Path and query of the WebSocket.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::SocketIo => "/socket.io/?EIO=4&transport=websocket",
            Self::Centrifugo => "/connection/websocket",
        }
    }

    /// True if the server speaks first on a new WebSocket.
    pub(crate) fn server_opens(self) -> bool {
        self == Self::SocketIo
    }

    /// The client's handshake.
    pub(crate) fn hello(self, token: Option<&str>) -> String {
        match (self, token) {
            (Self::SocketIo, Some(token)) => format!("40{}", json!({ "token": token })),
            (Self::SocketIo, None) => "40".to_owned(),
            (Self::Centrifugo, Some(token)) => {
                json!({ "id": CONNECT_ID, "connect": { "token": token } }).to_string()
            }
            (Self::Centrifugo, None) => json!({ "id": CONNECT_ID, "connect": {} }).to_string(),
        }
    }

    /// Joins a room, under an id from 2; asks for the last 50 messages if the server stores some.
    pub(crate) fn join(self, id: u32, room: &str) -> String {
        match self {
            Self::SocketIo => event("chat:join", Some(id), &json!({ "room": room })),
            Self::Centrifugo => json!({ "id": id, "subscribe": { "channel": room } }).to_string(),
        }
    }

    /// Requests the room again: a repeated join for Socket.IO servers, a history request for Centrifugo.
    pub(crate) fn join_again(self, id: u32, room: &str) -> String {
        match self {
            Self::SocketIo => self.join(id, room),
            Self::Centrifugo => {
                json!({ "id": id, "history": { "channel": room, "limit": 50, "reverse": true } }).to_string()
            }
        }
    }

    /// Sends a message. Centrifugo acknowledges every publication; the others only with `ack`, and then the
    /// message carries a client id, so that the server can detect a retry.
    pub(crate) fn send(self, id: u32, ack: bool, room: &str, text: &str) -> String {
        match (self, ack) {
            (Self::SocketIo, true) => {
                // The digits of the stamp, which are unique.
                let message = json!({ "room": room, "text": text, "clientId": text.get(1..25) });
                event("chat:send_message", Some(id), &message)
            }
            (Self::SocketIo, false) => {
                event("chat:send_message", None, &json!({ "room": room, "text": text }))
            }
            (Self::Centrifugo, _) => {
                json!({ "id": id, "publish": { "channel": room, "data": { "text": text } } }).to_string()
            }
        }
    }

    /// Calls `hear` for each part of a text frame.
    pub(crate) fn read<'a>(self, payload: &'a [u8], mut handle: impl FnMut(Line<'a>)) {
        match self {
            Self::SocketIo => handle(socket_io(payload)),
            Self::Centrifugo => {
                for line in payload
                    .split(|&byte| byte == b'\n')
                    .filter(|line| !line.is_empty())
                {
                    handle(centrifugo(line));
                }
            }
        }
    }
}

fn event(name: &str, id: Option<u32>, data: &serde_json::Value) -> String {
    let id = id.map(|id| id.to_string()).unwrap_or_default();
    format!("42{id}[\"{name}\",{data}]")
}

fn socket_io(payload: &[u8]) -> Line<'_> {
    match payload {
        [b'2', ..] => Line::Heartbeat(b"3"),
        [b'0', ..] => Line::Open,
        [b'4', b'0', ..] => Line::Up,
        [b'4', b'4', reason @ ..] => Line::Refused(reason),
        [b'4', b'1', ..] => Line::Refused(b"disconnected by the server"),
        [b'4', b'2', event @ ..] if event.starts_with(b"[\"chat:receive_message\",") => Line::Delivery(event),
        [b'4', b'3', answer @ ..] => {
            let (id, body) = leading_number(answer);
            let ok = body.starts_with(b"[{\"ok\":true") || memmem::find(body, b"\"ok\":true").is_some();
            Line::Answer { id, ok }
        }
        _ => Line::Other,
    }
}

fn centrifugo(line: &[u8]) -> Line<'_> {
    if line == b"{}" {
        return Line::Heartbeat(b"{}");
    }
    if line.starts_with(b"{\"push\":") {
        return match memmem::find(line, b"\"pub\":") {
            Some(_) => Line::Delivery(line),
            None => Line::Other,
        };
    }
    let Some(rest) = line.strip_prefix(b"{\"id\":") else {
        return Line::Other;
    };
    let (id, body) = leading_number(rest);
    let failed = body.starts_with(b",\"error\":");
    match (id, failed) {
        (CONNECT_ID, true) => Line::Refused(line),
        (CONNECT_ID, false) => Line::Up,
        _ => Line::Answer { id, ok: !failed },
    }
}

fn leading_number(bytes: &[u8]) -> (u32, &[u8]) {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = bytes.split_at(digits);
    let number = digits.iter().fold(0u32, |number, digit| {
        number.wrapping_mul(10).wrapping_add(u32::from(digit - b'0'))
    });
    (number, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(dialect: Dialect, payload: &str) -> Vec<String> {
        let mut parsed = Vec::new();
        dialect.read(payload.as_bytes(), |said| parsed.push(format!("{said:?}")));
        parsed
    }

    #[test]
    fn socket_io_packets_are_parsed() {
        let one = |payload| parsed(Dialect::SocketIo, payload).pop().unwrap_or_default();
        assert_eq!(one("0{\"sid\":\"x\"}"), "Open");
        assert_eq!(one("40{\"sid\":\"x\"}"), "Up");
        assert_eq!(one("437[{\"ok\":true}]"), "Answer { id: 7, ok: true }");
        assert_eq!(one("437[{\"ok\":false}]"), "Answer { id: 7, ok: false }");
        assert!(one("42[\"chat:receive_message\",{}]").starts_with("Delivery"));
        assert!(one("44{\"message\":\"unauthorized\"}").starts_with("Refused"));
        assert_eq!(one("42[\"session\",{}]"), "Other");
    }

    #[test]
    fn centrifugo_lines_are_parsed() {
        let frame = "{\"id\":1,\"connect\":{}}\n{\"id\":3,\"error\":{\"code\":1}}\n\
            {\"push\":{\"channel\":\"r\",\"pub\":{}}}\n{}";
        let parsed = parsed(Dialect::Centrifugo, frame);
        assert_eq!(parsed[0], "Up");
        assert_eq!(parsed[1], "Answer { id: 3, ok: false }");
        assert!(parsed[2].starts_with("Delivery"));
        assert!(parsed[3].starts_with("Heartbeat"));
    }
}
