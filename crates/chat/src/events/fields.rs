//! A reader for the fields of a payload, with errors that name the field. It knows types, not events.

use serde_json::{Map, Value};

use crate::{
    error::ChatError,
    types::{
        Limits, MAX_SEQ, RoomName,
        names::{check_id, check_user_id},
        whole_number,
    },
};

/// The longest epoch in a payload, in characters. The server's own have 16.
pub(super) const EPOCH_CHARS: usize = 64;

/// The payload of one event.
pub(super) struct Fields {
    event: &'static str,
    map: Map<String, Value>,
}

impl Fields {
    /// Takes a payload, which must be one object.
    pub(super) fn of(event: &'static str, payload: Value) -> Result<Self, ChatError> {
        match payload {
            Value::Object(map) => Ok(Self { event, map }),
            _ => Err(ChatError::InvalidRequest(format!(
                "{event} takes one object as its argument"
            ))),
        }
    }

    /// An error about one field. `must` completes the sentence.
    pub(super) fn wrong(&self, field: &str, must: &str) -> ChatError {
        ChatError::InvalidRequest(format!("{}: {field} {must}", self.event))
    }

    /// An error about a field that is too large.
    pub(super) fn too_large(&self, field: &str, limit: &str) -> ChatError {
        ChatError::PayloadTooLarge(format!("{}: {field} is larger than {limit}", self.event))
    }

    /// Removes and returns a field. `null` counts as absent.
    pub(super) fn take(&mut self, field: &str) -> Option<Value> {
        self.map.remove(field).filter(|value| !value.is_null())
    }

    /// The required field `room`.
    pub(super) fn room(&mut self) -> Result<RoomName, ChatError> {
        match self.take("room") {
            Some(Value::String(name)) => RoomName::new(&name).map_err(|must| self.wrong("room", must)),
            _ => Err(self.wrong("room", "is required: a string of 1 to 128 bytes")),
        }
    }

    /// An optional id of 1 to `max_chars` characters, without control characters.
    pub(super) fn id(&mut self, field: &str, max_chars: usize) -> Result<Option<String>, ChatError> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::String(id)) if !id.is_empty() && id.chars().count() <= max_chars => {
                check_id(&id).map_err(|must| self.wrong(field, must))?;
                Ok(Some(id))
            }
            Some(_) => Err(self.wrong(field, &format!("must be a string of 1 to {max_chars} characters"))),
        }
    }

    /// An optional string of at most `max_chars` characters, which may be empty.
    pub(super) fn short_text(&mut self, field: &str, max_chars: usize) -> Result<Option<String>, ChatError> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::String(text)) if text.chars().count() <= max_chars => Ok(Some(text)),
            Some(Value::String(_)) => Err(self.too_large(field, &format!("{max_chars} characters"))),
            Some(_) => Err(self.wrong(field, "must be a string")),
        }
    }

    /// An optional whole number from `least` to the largest seq.
    pub(super) fn number(&mut self, field: &str, least: u64) -> Result<Option<u64>, ChatError> {
        let Some(value) = self.take(field) else {
            return Ok(None);
        };
        match whole_number(&value).filter(|number| (least..=MAX_SEQ).contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(self.wrong(
                field,
                &format!("must be a whole number from {least} to {MAX_SEQ}"),
            )),
        }
    }

    /// The required field `seq`; `what` describes it in the error.
    pub(super) fn seq(&mut self, what: &str) -> Result<u64, ChatError> {
        match self.number("seq", 1)? {
            Some(seq) => Ok(seq),
            None => Err(self.wrong("seq", &format!("is required: {what}"))),
        }
    }

    /// The required field `text` of a message.
    pub(super) fn message_text(&mut self, limits: &Limits) -> Result<String, ChatError> {
        match self.take("text") {
            Some(Value::String(text)) if text.is_empty() => Err(self.wrong("text", "must not be empty")),
            Some(Value::String(text)) if text.len() > limits.text_bytes => {
                Err(self.too_large("text", &format!("{} bytes", limits.text_bytes)))
            }
            Some(Value::String(text)) => Ok(text),
            _ => Err(self.wrong("text", "is required: a string")),
        }
    }

    /// An optional boolean, false if absent.
    pub(super) fn flag(&mut self, field: &str) -> Result<bool, ChatError> {
        match self.take(field) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(self.wrong(field, "must be true or false")),
        }
    }

    /// The page size: `default` if the client names none, at most `most`.
    pub(super) fn page(&mut self, default: u32, most: u32) -> Result<u32, ChatError> {
        let wished = self.number("limit", 0)?;
        Ok(wished
            .map_or(default, |wished| u32::try_from(wished).unwrap_or(most))
            .min(most))
    }

    /// An optional list of at most `limit` user ids, without its duplicates.
    pub(super) fn users(&mut self, field: &str, limit: usize) -> Result<Option<Vec<String>>, ChatError> {
        let Some(value) = self.take(field) else {
            return Ok(None);
        };
        let must = || format!("must be a list of at most {limit} user ids of 1 to 128 visible characters");
        let Value::Array(items) = value else {
            return Err(self.wrong(field, &must()));
        };
        if items.len() > limit {
            return Err(self.wrong(field, &must()));
        }
        let mut users = Vec::with_capacity(items.len());
        for item in items {
            match item {
                Value::String(id) if check_user_id(&id).is_ok() => {
                    if !users.contains(&id) {
                        users.push(id);
                    }
                }
                _ => return Err(self.wrong(field, &must())),
            }
        }
        Ok(Some(users))
    }
}
