//! A record as every sink gets it: what a webhook posts, a stream holds, to the byte.

use roomful_chat::webhook;
use roomful_store::Record;
use serde_json::json;

use crate::clock;

/// A record, ready to be told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Payload {
    /// What happened, such as `message.created`.
    pub(crate) kind: &'static str,
    /// When it happened, as RFC 3339 has it.
    pub(crate) timestamp: String,
    /// The JSON object `{type, timestamp, data}`.
    pub(crate) body: String,
}

impl Payload {
    /// Reads a record. An error says what is wrong with it; such a record can never be told.
    pub(crate) fn of(record: &Record) -> Result<Self, String> {
        let data = webhook::data(record).map_err(|error| format!("the record can't be read: {error}"))?;
        let kind = webhook::type_name(record.kind);
        let timestamp = clock::rfc3339(record.at);
        let body = json!({ "type": kind, "timestamp": timestamp, "data": data }).to_string();
        Ok(Self {
            kind,
            timestamp,
            body,
        })
    }
}
