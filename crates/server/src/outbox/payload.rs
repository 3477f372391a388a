//! JSON of a record, identical for all sinks.

use roomful_chat::webhook;
use roomful_store::Record;
use serde_json::json;

use crate::clock;

/// A record in the form that sinks send.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Payload {
    /// Event type, such as `message.created`.
    pub(crate) kind: &'static str,
    /// Time of the event in RFC 3339.
    pub(crate) timestamp: String,
    /// The JSON object `{type, timestamp, data}`.
    pub(crate) body: String,
}

impl Payload {
    /// Encodes a record. An error is permanent: the stored record is invalid.
    pub(crate) fn of(record: &Record) -> Result<Self, String> {
        let data = webhook::data(record).map_err(|error| format!("failed to decode the record: {error}"))?;
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
