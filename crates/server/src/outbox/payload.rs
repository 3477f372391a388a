//! JSON of a record, identical for all sinks.

use roomful_chat::webhook;
use roomful_store::Record;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::clock;

#[derive(Serialize)]
struct Body<'a> {
    data: &'a RawValue,
    timestamp: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
}

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
        let body = Body {
            data: &data,
            timestamp: &timestamp,
            kind,
        };
        let body = serde_json::to_string(&body).map_err(|error| format!("failed to encode it: {error}"))?;
        Ok(Self {
            kind,
            timestamp,
            body,
        })
    }
}
