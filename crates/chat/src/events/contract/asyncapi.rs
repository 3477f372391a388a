//! The description as an `AsyncAPI` 3 document.

use serde_json::{Map, Value, json};

use super::{Contract, Described};

/// What a reader of the document needs to know beyond the schemas.
const ABOUT: &str = "Roomful's events over Socket.IO, protocol 5, namespace `/`. The server receives client \
    events and answers each in its ack callback: `{ok: true, data}` or `{ok: false, error}`. Each event has one \
    JSON object as its argument. A client may write an optional field as `null`. Bounds are the defaults; the \
    event `session` has those of the server at hand. `x-maxBytes` bounds the bytes of UTF-8 of a string, or of the \
    JSON of an object. `x-uniqueBy` names the field in which no two items of a list may be equal.";

/// The `AsyncAPI` document of all events, as JSON text, from the view of the server: it receives client
/// events and sends server events.
pub fn asyncapi() -> String {
    let Contract {
        client,
        server,
        failure,
        definitions,
    } = Contract::compose("/components/schemas");
    let mut messages = Map::new();
    let mut operations = Map::new();
    for event in &client {
        let key = key("client", event.name);
        messages.insert(key.clone(), message(event, &event.payload));
        let answer = format!("{key}.ack");
        messages.insert(answer.clone(), ack(event, &failure));
        operations.insert(
            key.clone(),
            json!({
                "action": "receive",
                "channel": { "$ref": "#/channels/events" },
                "summary": event.summary,
                "messages": [in_channel(&key)],
                "reply": { "channel": { "$ref": "#/channels/events" }, "messages": [in_channel(&answer)] },
            }),
        );
    }
    for event in &server {
        let key = key("server", event.name);
        messages.insert(key.clone(), message(event, &event.payload));
        operations.insert(
            key.clone(),
            json!({
                "action": "send",
                "channel": { "$ref": "#/channels/events" },
                "summary": event.summary,
                "messages": [in_channel(&key)],
            }),
        );
    }
    let in_channel: Map<String, Value> = messages
        .keys()
        .map(|key| {
            (
                key.clone(),
                json!({ "$ref": format!("#/components/messages/{key}") }),
            )
        })
        .collect();
    let document = json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Roomful",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "defaultContentType": "application/json",
        "servers": {
            "local": { "host": "127.0.0.1:3000", "protocol": "socket.io", "pathname": "/socket.io/" },
        },
        "channels": {
            "events": { "address": "/", "title": "The namespace `/`", "messages": in_channel },
        },
        "operations": operations,
        "components": { "messages": messages, "schemas": definitions },
    });
    format!("{document:#}\n")
}

/// A key of this event: keys of components have no colon, and both sides may have an event of one name.
fn key(side: &str, name: &str) -> String {
    format!("{side}.{}", name.replace(':', "."))
}

fn in_channel(key: &str) -> Value {
    json!({ "$ref": format!("#/channels/events/messages/{key}") })
}

fn message(event: &Described, payload: &Value) -> Value {
    json!({ "name": event.name, "summary": event.summary, "payload": payload })
}

/// The argument of the ack callback.
fn ack(event: &Described, failure: &Value) -> Value {
    let success = json!({
        "type": "object",
        "properties": { "ok": { "const": true }, "data": event.ack },
        "required": ["ok", "data"],
    });
    json!({
        "name": format!("{} (ack)", event.name),
        "summary": "The argument of the ack callback.",
        "payload": { "oneOf": [success, failure] },
    })
}
