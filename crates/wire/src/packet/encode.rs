//! Writes Socket.IO packets: `<type>[<attachments>-][<namespace>,][<ack id>][<JSON>]` (Socket.IO protocol
//! 5, "Packet encoding"). All append to `out`, without the Engine.IO `4`; attachments follow as binary
//! messages of their own.

use std::io::Write as _;

use serde::Serialize;
use serde_json::value::RawValue;

use super::{MAIN_NAMESPACE, Payload};

/// An event. With an `id` it asks for an ack. `extra_arg` is appended as the last argument, a string: the
/// recovery offset.
pub fn event(
    out: &mut Vec<u8>,
    namespace: &str,
    name: &str,
    id: Option<u64>,
    payload: &Payload,
    extra_arg: Option<&str>,
) {
    prefix(out, ['2', '5'], payload, namespace, id);
    out.push(b'[');
    json(out, name);
    if !payload.is_empty() {
        out.push(b',');
        out.extend_from_slice(payload.text().as_bytes());
    }
    if let Some(arg) = extra_arg {
        out.push(b',');
        json(out, arg);
    }
    out.push(b']');
}

/// The ack of the event with this `id`.
pub fn ack(out: &mut Vec<u8>, namespace: &str, id: u64, payload: &Payload) {
    prefix(out, ['3', '6'], payload, namespace, Some(id));
    out.push(b'[');
    out.extend_from_slice(payload.text().as_bytes());
    out.push(b']');
}

/// Like [`ack`], with one value that is serialised in place.
///
/// # Errors
/// `value` cannot be converted to JSON. Discard `out` then.
pub fn ack_one<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    namespace: &str,
    id: u64,
    value: &T,
) -> Result<(), serde_json::Error> {
    prefix(out, ['3', '6'], &Payload::empty(), namespace, Some(id));
    out.push(b'[');
    serde_json::to_writer(&mut *out, value)?;
    out.push(b']');
    Ok(())
}

/// Accepts a client in a namespace: the socket's public id, and the private id if recovery is enabled.
pub fn connect(out: &mut Vec<u8>, namespace: &str, sid: &str, pid: Option<&str>) {
    out.push(b'0');
    path(out, namespace);
    out.extend_from_slice(br#"{"sid":"#);
    json(out, sid);
    if let Some(pid) = pid {
        out.extend_from_slice(br#","pid":"#);
        json(out, pid);
    }
    out.push(b'}');
}

/// Refuses a client in a namespace. The client does not retry by itself.
pub fn connect_error(out: &mut Vec<u8>, namespace: &str, message: &str, data: Option<&serde_json::Value>) {
    out.push(b'4');
    path(out, namespace);
    out.extend_from_slice(br#"{"message":"#);
    json(out, message);
    if let Some(data) = data {
        out.extend_from_slice(br#","data":"#);
        json(out, data);
    }
    out.push(b'}');
}

/// Ends a namespace. The client does not reconnect by itself.
pub fn disconnect(out: &mut Vec<u8>, namespace: &str) {
    out.push(b'1');
    path(out, namespace);
}

/// A packet with data that is JSON already.
pub(super) fn raw(out: &mut Vec<u8>, kind: char, namespace: &str, data: Option<&RawValue>) {
    out.extend_from_slice(kind.encode_utf8(&mut [0; 4]).as_bytes());
    path(out, namespace);
    out.extend_from_slice(data.map_or("", RawValue::get).as_bytes());
}

/// Type, attachments, namespace and id. `kinds` are the types without and with attachments.
fn prefix(
    out: &mut Vec<u8>,
    [plain, binary]: [char; 2],
    payload: &Payload,
    namespace: &str,
    id: Option<u64>,
) {
    let attachments = payload.attachments().len();
    let kind = if attachments == 0 { plain } else { binary };
    out.extend_from_slice(kind.encode_utf8(&mut [0; 4]).as_bytes());
    if attachments > 0 {
        number(out, attachments as u64);
        out.push(b'-');
    }
    path(out, namespace);
    if let Some(id) = id {
        number(out, id);
    }
}

/// The namespace and its comma; nothing for `/`.
fn path(out: &mut Vec<u8>, namespace: &str) {
    if namespace != MAIN_NAMESPACE {
        out.extend_from_slice(namespace.as_bytes());
        out.push(b',');
    }
}

fn number(out: &mut Vec<u8>, number: u64) {
    // Writing to a `Vec` does not fail.
    write!(out, "{number}").unwrap_or_default();
}

fn json<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    // Only strings and `Value`s come here: neither has a way to fail, nor has writing to a `Vec`.
    serde_json::to_writer(out, value).unwrap_or_default();
}
