//! The export of a user: one JSON object a line for each row, read from the store a page at a time.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use roomful_store::{ExportPart, ExportRow, ExportValue, RoomId};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    app::App,
    error::ChatError,
    types::{UserId, compact},
};

/// Rows read at a time.
const PAGE: u32 = 100;
/// Columns with JSON.
const JSON_COLUMNS: [&str; 5] = ["body", "before", "after", "message", "metadata"];

/// An export in progress.
pub(crate) struct Export {
    app: Arc<App>,
    user: UserId,
    /// The parts to read, each with the name of its room.
    parts: VecDeque<(ExportPart, Option<Arc<str>>)>,
    /// The last key read of the first part.
    after: i64,
    /// Where the next window of rooms begins; `None` after the last.
    rooms_after: Option<RoomId>,
}

impl Export {
    pub(crate) fn of(app: &Arc<App>, user: UserId) -> Self {
        Self {
            app: Arc::clone(app),
            user,
            parts: ExportPart::OF_USER.map(|part| (part, None)).into(),
            after: -1,
            rooms_after: Some(0),
        }
    }

    /// The next lines; `None` at the end.
    pub(crate) async fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, ChatError> {
        let store = &self.app.store;
        loop {
            let Some((part, room)) = self.parts.front() else {
                let Some(after) = self.rooms_after else {
                    return Ok(None);
                };
                let about = store.rooms_about(&self.user, after).await?;
                for (room, name) in about.rooms {
                    let name: Arc<str> = name.into();
                    let parts = ExportPart::of_room(room).map(|part| (part, Some(Arc::clone(&name))));
                    self.parts.extend(parts);
                }
                self.rooms_after = about.next;
                continue;
            };
            let rows = store.export(&self.user, *part, self.after, PAGE).await?;
            let Some(last) = rows.last() else {
                self.parts.pop_front();
                self.after = -1;
                continue;
            };
            self.after = last.key;
            let mut chunk = Vec::new();
            for row in rows {
                serde_json::to_writer(&mut chunk, &line(*part, room.as_deref(), row)).map_err(|error| {
                    tracing::error!(%error, "failed to encode a line of an export");
                    ChatError::Internal
                })?;
                chunk.push(b'\n');
            }
            return Ok(Some(chunk));
        }
    }
}

/// A value of an export. JSON of the app keeps its form, without line breaks.
#[derive(Serialize)]
#[serde(untagged)]
enum Value {
    Int(i64),
    Text(String),
    Json(Box<RawValue>),
}

fn line(part: ExportPart, room: Option<&str>, row: ExportRow) -> BTreeMap<String, Value> {
    let mut line = BTreeMap::new();
    line.insert("type".to_owned(), Value::Text(type_name(part, &row).to_owned()));
    if let Some(room) = room {
        line.insert("room".to_owned(), Value::Text(room.to_owned()));
    }
    for (name, value) in row.columns {
        let value = match value {
            ExportValue::Null => continue,
            ExportValue::Int(number) => Value::Int(number),
            ExportValue::Text(text) if JSON_COLUMNS.contains(&name.as_str()) => {
                match serde_json::from_str(&text) {
                    Ok(json) => Value::Json(compact(json)),
                    Err(_) => Value::Text(text),
                }
            }
            ExportValue::Text(text) => Value::Text(text),
        };
        line.insert(camel_case(&name), value);
    }
    line
}

fn type_name(part: ExportPart, row: &ExportRow) -> &'static str {
    match part {
        ExportPart::User => "user",
        ExportPart::Usage => "usage",
        ExportPart::Revocation => "revocation",
        ExportPart::Online => "online",
        ExportPart::Notification => "notification",
        ExportPart::Device => "device",
        ExportPart::Session => "session",
        ExportPart::Sanction => "sanction",
        ExportPart::Block => "block",
        ExportPart::Report => "report",
        ExportPart::Reported => "reported",
        ExportPart::Audit => "audit",
        ExportPart::Outbox => "outbox",
        ExportPart::Undelivered => "undelivered",
        ExportPart::Member(_) => "membership",
        ExportPart::Entry(_) => entry_type(row),
        ExportPart::Reaction(_) => "reaction",
        ExportPart::Mention(_) => "mention",
        ExportPart::Dedup(_) => "removed_message",
        ExportPart::LastSend(_) => "last_send",
    }
}

/// The type of a log entry, from its column `kind`, which comes second.
fn entry_type(row: &ExportRow) -> &'static str {
    match row.columns.as_slice() {
        [_, (_, ExportValue::Int(0)), ..] => "message",
        [_, (_, ExportValue::Int(1)), ..] => "edit",
        [_, (_, ExportValue::Int(2)), ..] => "deletion",
        _ => "reaction_change",
    }
}

/// A column's name as JSON has it.
fn camel_case(column: &str) -> String {
    let mut words = column.split('_');
    let mut name = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut chars = word.chars();
        name.extend(chars.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(chars.as_str());
    }
    name
}
