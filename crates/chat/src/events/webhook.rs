//! Webhook payloads: the names of record types and their JSON.

use roomful_store::{Record, RecordKind};
use serde_json::{Map, Value, json};

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

/// The `data` of a webhook body, without type and time. Equal records give equal JSON.
///
/// # Errors
/// The stored message is not a JSON object.
pub fn data(record: &Record) -> Result<Value, serde_json::Error> {
    Ok(match record.kind {
        RecordKind::MessageCreated => Value::Object(message(record)?),
        RecordKind::MessageUndelivered => json!({
            "userIds": record.recipients,
            "room": record.room,
            "seq": record.seq,
            "message": message(record)?,
        }),
        RecordKind::UserOnline => {
            json!({ "userId": record.user_id, "name": record.user_name, "at": record.at })
        }
        RecordKind::UserOffline => {
            json!({ "userId": record.user_id, "name": record.user_name, "lastSeen": record.at })
        }
        RecordKind::MessageReported => Value::Object(report(record)?),
        RecordKind::RoomCreated | RecordKind::RoomEmptied => {
            json!({ "room": record.room, "epoch": record.epoch, "at": record.at })
        }
    })
}

/// The report, with the copy of its message.
fn report(record: &Record) -> Result<Map<String, Value>, serde_json::Error> {
    let mut fields: Map<String, Value> = serde_json::from_str(record.body.as_deref().unwrap_or("{}"))?;
    fields.retain(|_, value| !value.is_null());
    let id = record.client_id.as_deref().and_then(|id| id.parse::<i64>().ok());
    let always = [
        ("id", json!(id)),
        ("room", json!(record.room)),
        ("epoch", json!(record.epoch)),
        ("at", json!(record.at)),
    ];
    fields.extend(always.map(|(name, value)| (name.to_owned(), value)));
    Ok(fields)
}

/// The message as clients see it, with its room's epoch.
fn message(record: &Record) -> Result<Map<String, Value>, serde_json::Error> {
    let mut fields: Map<String, Value> = serde_json::from_str(record.body.as_deref().unwrap_or("{}"))?;
    let id = record
        .epoch
        .as_deref()
        .zip(record.seq)
        .map(|(epoch, seq)| message_id(epoch, seq));
    let always = [
        ("id", json!(id)),
        ("room", json!(record.room)),
        ("epoch", json!(record.epoch)),
        ("seq", json!(record.seq)),
        ("userId", json!(record.user_id)),
        ("at", json!(record.at)),
    ];
    let sometimes = [("name", &record.user_name), ("clientId", &record.client_id)];
    fields.extend(always.map(|(name, value)| (name.to_owned(), value)));
    for (name, value) in sometimes {
        if let Some(value) = value {
            fields.insert(name.to_owned(), json!(value));
        }
    }
    Ok(fields)
}
