//! The text of one packet: `<type>[<attachments>-][<namespace>,][<ack id>][<JSON>]` (Socket.IO protocol 5).

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::array::Array;
use super::{Limits, ParseError, is_reserved, placeholder};
use crate::packet::{Body, MAIN_NAMESPACE, Packet, Payload};

/// Longest namespace in bytes. Namespaces are map keys, and arrive before authentication.
const MAX_NAMESPACE: usize = 256;

/// The largest integer that JavaScript holds exactly.
const MAX_ACK_ID: u64 = (1 << 53) - 1;

/// Parses one packet. Also returns the number of attachments that follow.
pub(super) fn parse(text: &str, limits: &Limits) -> Result<(Packet, usize), ParseError> {
    let mut chars = text.chars();
    let kind = chars.next().ok_or(ParseError::Empty)?;
    let (expected, rest) = match kind {
        '5' | '6' => attachments(chars.as_str(), limits)?,
        _ => (0, chars.as_str()),
    };
    let (namespace, rest) = namespace(rest)?;
    let (id, data) = ack_id(rest)?;
    let body = match kind {
        '0' => Body::Connect(auth(data)?),
        '1' if data.is_empty() => Body::Disconnect,
        '1' => return Err(ParseError::Form("DISCONNECT carries no data")),
        '2' | '5' => event(id, data)?,
        '3' | '6' => ack(id, data)?,
        '4' => Body::ConnectError(refusal(data)?),
        _ => return Err(ParseError::UnknownType),
    };
    if expected > 0 && !placeholder::are_valid(data, expected) {
        return Err(ParseError::Placeholder);
    }
    Ok((Packet { namespace, body }, expected))
}

/// `<count>-`. Refuses 0, because a binary packet without attachments would wait forever.
fn attachments<'a>(text: &'a str, limits: &Limits) -> Result<(usize, &'a str), ParseError> {
    let (count, rest) = text.split_once('-').ok_or(ParseError::AttachmentCount)?;
    if count.is_empty() || !count.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ParseError::AttachmentCount);
    }
    let too_many = ParseError::TooManyAttachments {
        limit: limits.max_attachments,
    };
    match count.parse::<usize>() {
        Ok(0) => Err(ParseError::AttachmentCount),
        Ok(count) if count <= limits.max_attachments => Ok((count, rest)),
        // Digits fail to parse only if there are too many.
        _ => Err(too_many),
    }
}

/// `/name,`, or nothing for `/`. The comma may be missing at the end of the text. Drops a query string,
/// which older clients send here.
fn namespace(text: &str) -> Result<(Cow<'static, str>, &str), ParseError> {
    if !text.starts_with('/') {
        return Ok((Cow::Borrowed(MAIN_NAMESPACE), text));
    }
    let (name, rest) = text.split_once(',').unwrap_or((text, ""));
    let name = name.split_once('?').map_or(name, |(name, _)| name);
    if name.len() > MAX_NAMESPACE {
        return Err(ParseError::NamespaceTooLong { limit: MAX_NAMESPACE });
    }
    if name == MAIN_NAMESPACE {
        return Ok((Cow::Borrowed(MAIN_NAMESPACE), rest));
    }
    Ok((Cow::Owned(name.to_owned()), rest))
}

fn ack_id(text: &str) -> Result<(Option<u64>, &str), ParseError> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    if digits.is_empty() {
        return Ok((None, rest));
    }
    match digits.parse() {
        Ok(id) if id <= MAX_ACK_ID => Ok((Some(id), rest)),
        _ => Err(ParseError::AckId),
    }
}

/// Absent, or an object.
fn auth(data: &str) -> Result<Option<Box<RawValue>>, ParseError> {
    if data.is_empty() {
        return Ok(None);
    }
    let raw: Box<RawValue> = serde_json::from_str(data)?;
    if !raw.get().starts_with('{') {
        return Err(ParseError::Form("the data of CONNECT has to be an object"));
    }
    Ok(Some(raw))
}

/// A string or an object.
fn refusal(data: &str) -> Result<Box<RawValue>, ParseError> {
    let raw: Box<RawValue> = serde_json::from_str(data)?;
    if !raw.get().starts_with(['{', '"']) {
        return Err(ParseError::Form(
            "the data of CONNECT_ERROR has to be an object or a string",
        ));
    }
    Ok(raw)
}

fn event(id: Option<u64>, data: &str) -> Result<Body, ParseError> {
    let array = Array::parse(data)?;
    let first = array.first.ok_or(ParseError::Form(
        "an event has to be an array which begins with its name",
    ))?;
    let name: Box<str> = serde_json::from_str(first.get()).map_err(|_| ParseError::EventName)?;
    if is_reserved(&name) {
        return Err(ParseError::Reserved);
    }
    let text = array.slice(data, array.second).to_owned();
    Ok(Body::Event {
        name,
        id,
        payload: Payload::from_parts(text, array.len - 1, Vec::new()),
    })
}

/// Like the reference parser, treats an ack without data as one without arguments.
fn ack(id: Option<u64>, data: &str) -> Result<Body, ParseError> {
    let id = id.ok_or(ParseError::AckId)?;
    if data.is_empty() {
        return Ok(Body::Ack {
            id,
            payload: Payload::empty(),
        });
    }
    let array = Array::parse(data)?;
    let text = array.slice(data, array.first).to_owned();
    Ok(Body::Ack {
        id,
        payload: Payload::from_parts(text, array.len, Vec::new()),
    })
}
