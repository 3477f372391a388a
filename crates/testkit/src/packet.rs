//! Socket.IO 5 packets as text: what goes behind the `4` of an Engine.IO message. Pure, no I/O.
//!
//! The format is the one of the Socket.IO protocol document, revision 5:
//! `<type>[<attachments>-][<namespace>,][<ack id>][<JSON>]`.

use bytes::Bytes;
use serde_json::Value;

use crate::Error;

/// The packet types, numbered as on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the protocol's")]
pub enum Kind {
    Connect,
    Disconnect,
    Event,
    Ack,
    ConnectError,
    BinaryEvent,
    BinaryAck,
}

/// One Socket.IO packet.
#[derive(Clone, Debug, PartialEq)]
pub struct Packet {
    /// Its type.
    pub kind: Kind,
    /// Its namespace, `/` if none was written.
    pub namespace: String,
    /// The id that asks for, or answers, an acknowledgement.
    pub id: Option<u64>,
    /// Its JSON; null if there is none. Attachments are left as `{"_placeholder": true, "num": n}`.
    pub data: Value,
    /// How many binary messages follow.
    pub announced: usize,
    /// The binary messages that followed.
    pub attachments: Vec<Bytes>,
}

impl Packet {
    /// Reads the text of a packet, without the Engine.IO `4`.
    ///
    /// # Errors
    /// [`Error::Protocol`] with the text, if it is not a packet.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bad = || Error::Protocol(format!("not a Socket.IO packet: {text:?}"));
        let mut chars = text.chars();
        let kind = match chars.next() {
            Some('0') => Kind::Connect,
            Some('1') => Kind::Disconnect,
            Some('2') => Kind::Event,
            Some('3') => Kind::Ack,
            Some('4') => Kind::ConnectError,
            Some('5') => Kind::BinaryEvent,
            Some('6') => Kind::BinaryAck,
            _ => return Err(bad()),
        };
        let mut rest = chars.as_str();
        let mut announced = 0;
        if matches!(kind, Kind::BinaryEvent | Kind::BinaryAck) {
            let (count, after) = rest.split_once('-').ok_or_else(bad)?;
            announced = count.parse().map_err(|_| bad())?;
            rest = after;
        }
        let mut namespace = "/";
        if rest.starts_with('/') {
            (namespace, rest) = rest.split_once(',').unwrap_or((rest, ""));
        }
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (id, json) = rest.split_at(digits);
        let id = if id.is_empty() {
            None
        } else {
            Some(id.parse().map_err(|_| bad())?)
        };
        let data = if json.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(json).map_err(|_| bad())?
        };
        Ok(Self {
            kind,
            namespace: namespace.to_owned(),
            id,
            data,
            announced,
            attachments: Vec::new(),
        })
    }
}

/// The text of a packet, with the Engine.IO `4` in front; `data` is JSON text, empty for none.
pub fn text(kind: Kind, namespace: &str, id: Option<u64>, data: &str) -> String {
    let mut out = format!("4{}", kind as u8);
    if namespace != "/" {
        out.extend([namespace, ","]);
    }
    if let Some(id) = id {
        out.push_str(&id.to_string());
    }
    out.push_str(data);
    out
}

/// The text of an event with one argument.
pub fn event_text(namespace: &str, id: Option<u64>, name: &str, argument: &Value) -> String {
    text(
        Kind::Event,
        namespace,
        id,
        &Value::from(vec![Value::from(name), argument.clone()]).to_string(),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_protocol_examples_parse() {
        let packet = Packet::parse(r#"2/admin,456["project:delete",123]"#).unwrap();
        assert_eq!(
            (packet.kind, packet.namespace.as_str(), packet.id),
            (Kind::Event, "/admin", Some(456))
        );
        assert_eq!(packet.data, json!(["project:delete", 123]));
        let packet = Packet::parse(r#"51-["hello",{"_placeholder":true,"num":0}]"#).unwrap();
        assert_eq!((packet.kind, packet.announced), (Kind::BinaryEvent, 1));
        let packet = Packet::parse("1/admin,").unwrap();
        assert_eq!(
            (packet.kind, packet.namespace.as_str(), packet.data),
            (Kind::Disconnect, "/admin", Value::Null)
        );
        assert!(Packet::parse("9").is_err());
        assert!(Packet::parse("2{").is_err());
    }

    #[test]
    fn what_is_written_is_what_the_protocol_shows() {
        assert_eq!(event_text("/", None, "hello", &json!(1)), r#"42["hello",1]"#);
        assert_eq!(
            event_text("/admin", Some(12), "x", &json!({})),
            r#"42/admin,12["x",{}]"#
        );
        assert_eq!(
            text(Kind::Connect, "/", None, r#"{"token":"123"}"#),
            r#"40{"token":"123"}"#
        );
    }
}
