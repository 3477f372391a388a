//! Webhook payloads: the names of record types and their JSON.

use std::collections::BTreeMap;

use roomful_store::{Record, RecordKind};
use serde::Serialize;
use serde_json::{
    json,
    value::{RawValue, to_raw_value},
};

use super::chat::message_id;

/// The type of a record, as in webhook bodies and settings.
pub const fn type_name(kind: RecordKind) -> &'static str {
    match kind {
        RecordKind::MessageCreated => "message.created",
        RecordKind::MessageUndelivered => "message.undelivered",
        RecordKind::UserOnline => "user.online",
        RecordKind::UserOffline => "user.offline",
        RecordKind::RoomCreated => "room.created",
        RecordKind::RoomEmptied => "room.emptied",
        RecordKind::MessageReported => "message.reported",
    }
}

/// The kind with this [`type_name`].
pub fn kind_of(name: &str) -> Option<RecordKind> {
    RecordKind::ALL.into_iter().find(|kind| type_name(*kind) == name)
}

/// The fields of an object, whose values keep their form: the app's metadata stay as they were sent.
type Fields = BTreeMap<String, Box<RawValue>>;

/// The `data` of a webhook body, without type and time. Equal records give equal JSON.
///
/// # Errors
/// The stored message is not a JSON object.
pub fn data(record: &Record) -> Result<Box<RawValue>, serde_json::Error> {
    match record.kind {
        RecordKind::MessageCreated => to_raw_value(&message(record)?),
        RecordKind::MessageUndelivered => {
            let mut fields = Fields::new();
            put(&mut fields, "userIds", &record.recipients)?;
            put(&mut fields, "room", &record.room)?;
            put(&mut fields, "seq", &record.seq)?;
            put(&mut fields, "message", &message(record)?)?;
            to_raw_value(&fields)
        }
        RecordKind::UserOnline => to_raw_value(&json!({
            "userId": record.user_id, "name": record.user_name, "at": record.at
        })),
        RecordKind::UserOffline => to_raw_value(&json!({
            "userId": record.user_id, "name": record.user_name, "lastSeen": record.at
        })),
        RecordKind::MessageReported => to_raw_value(&report(record)?),
        RecordKind::RoomCreated | RecordKind::RoomEmptied => to_raw_value(&json!({
            "room": record.room, "epoch": record.epoch, "at": record.at
        })),
    }
}

fn put(fields: &mut Fields, name: &str, value: &impl Serialize) -> Result<(), serde_json::Error> {
    fields.insert(name.to_owned(), to_raw_value(value)?);
    Ok(())
}

/// The fields of the stored body.
fn stored(record: &Record) -> Result<Fields, serde_json::Error> {
    serde_json::from_str(record.body.as_deref().unwrap_or("{}"))
}

/// The report, with the copy of its message.
fn report(record: &Record) -> Result<Fields, serde_json::Error> {
    let mut fields = stored(record)?;
    fields.retain(|_, value| value.get() != "null");
    let id = record.client_id.as_deref().and_then(|id| id.parse::<i64>().ok());
    put(&mut fields, "id", &id)?;
    put(&mut fields, "room", &record.room)?;
    put(&mut fields, "epoch", &record.epoch)?;
    put(&mut fields, "at", &record.at)?;
    Ok(fields)
}

/// The message as clients see it, with its room's epoch.
fn message(record: &Record) -> Result<Fields, serde_json::Error> {
    let mut fields = stored(record)?;
    let id = record
        .epoch
        .as_deref()
        .zip(record.seq)
        .map(|(epoch, seq)| message_id(epoch, seq));
    put(&mut fields, "id", &id)?;
    put(&mut fields, "room", &record.room)?;
    put(&mut fields, "epoch", &record.epoch)?;
    put(&mut fields, "seq", &record.seq)?;
    put(&mut fields, "userId", &record.user_id)?;
    put(&mut fields, "at", &record.at)?;
    for (name, value) in [("name", &record.user_name), ("clientId", &record.client_id)] {
        if let Some(value) = value {
            put(&mut fields, name, value)?;
        }
    }
    Ok(fields)
}
