//! The description as one JSON Schema (draft 7).

use serde_json::{Map, Value, json};

use super::Contract;

/// The JSON Schema of all events, as JSON text. Its properties are `client` (each event with `payload` and
/// `ack`) and `server` (each event's payload); `definitions` has the types.
pub fn json_schema() -> String {
    let Contract {
        client,
        server,
        failure,
        definitions,
    } = Contract::compose("/definitions");
    let client: Map<String, Value> = client
        .into_iter()
        .map(|event| {
            let parts = json!({ "payload": event.payload, "ack": event.ack });
            let schema = json!({ "type": "object", "description": event.summary, "properties": parts });
            (event.name.to_owned(), schema)
        })
        .collect();
    let server: Map<String, Value> = server
        .into_iter()
        .map(|event| {
            let schema = json!({ "description": event.summary, "allOf": [event.payload] });
            (event.name.to_owned(), schema)
        })
        .collect();
    let document = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Roomful's events",
        "type": "object",
        "properties": {
            "client": { "type": "object", "properties": client },
            "server": { "type": "object", "properties": server },
            "failure": failure,
        },
        "definitions": definitions,
    });
    format!("{document:#}\n")
}
