//! The description of every event, composed from the Rust types: JSON Schema and `AsyncAPI` 3.
//!
//! `docs/asyncapi.json` is a copy, and the TypeScript types of the client package are generated from it.

mod asyncapi;
mod client_events;
mod json_schema;
mod server_events;

use schemars::{
    JsonSchema, Schema, SchemaGenerator,
    generate::SchemaSettings,
    transform::{Transform, transform_subschemas},
};
use serde_json::{Map, Value, json};

use super::{EventKind, chat::HistoryPage, connection::AckError};

pub use asyncapi::asyncapi;
pub use json_schema::json_schema;

/// Composes a schema, and notes the definitions that it refers to.
type Describe = fn(&mut SchemaGenerator) -> Schema;

fn describe<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// The schemas of all events.
struct Contract {
    client: Vec<Described>,
    server: Vec<Described>,
    /// `{ok: false, error}`.
    failure: Value,
    definitions: Map<String, Value>,
}

/// One event.
struct Described {
    name: &'static str,
    /// One sentence for readers of the description.
    summary: &'static str,
    payload: Value,
    /// The `data` of the ack. Server events have none.
    ack: Option<Value>,
}

impl Contract {
    /// Composes all schemas. References to definitions begin with `definitions_path`, such as `/definitions`.
    fn compose(definitions_path: &'static str) -> Self {
        let settings =
            || SchemaSettings::draft07().with(|settings| settings.definitions_path = definitions_path.into());
        let mut reads = settings().for_deserialize().into_generator();
        let mut writes = settings().for_serialize().into_generator();
        let client = EventKind::ALL
            .into_iter()
            .map(|kind| {
                let event = client_events::of(kind);
                Described {
                    name: kind.name(),
                    summary: event.summary,
                    payload: payload(kind, (event.payload)(&mut reads)),
                    ack: Some((event.ack)(&mut writes).to_value()),
                }
            })
            .collect();
        let server = server_events::ALL
            .iter()
            .map(|event| Described {
                name: event.name,
                summary: event.summary,
                payload: (event.payload)(&mut writes).to_value(),
                ack: None,
            })
            .collect();
        let failure = writes.subschema_for::<AckError>().to_value();
        let mut definitions = reads.take_definitions(true);
        definitions.extend(written(&mut writes));
        Self {
            client,
            server,
            failure,
            definitions,
        }
    }
}

/// The schemas of `HistoryPage` and of the types in it, by name, for the description of the HTTP API.
/// References to definitions begin with `definitions_path`.
pub fn history_page(definitions_path: &'static str) -> Map<String, Value> {
    let settings = SchemaSettings::draft2020_12();
    let settings = settings.with(|settings| settings.definitions_path = definitions_path.into());
    let mut writes = settings.for_serialize().into_generator();
    writes.subschema_for::<HistoryPage<'_>>();
    written(&mut writes)
}

/// The definitions of types that the server writes.
fn written(writes: &mut SchemaGenerator) -> Map<String, Value> {
    let mut definitions = writes.take_definitions(true);
    for written in definitions.values_mut() {
        if let Ok(schema) = <&mut Schema>::try_from(written) {
            AbsentInsteadOfNull.transform(schema);
        }
    }
    definitions
}

/// The first argument of a client event. A bare room name stands for an object with only a room, and events
/// that require nothing may have no payload.
fn payload(kind: EventKind, object: Schema) -> Value {
    let object = object.to_value();
    if kind.takes_a_bare_room() {
        let room = object["$ref"].as_str().and_then(|path| path.rsplit_once('/'));
        let room = room.map_or_else(String::new, |(path, _)| format!("{path}/RoomName"));
        return json!({ "anyOf": [{ "$ref": room }, object] });
    }
    if kind.requires_nothing() {
        return json!({ "anyOf": [{ "type": "null" }, object] });
    }
    object
}

/// Removes `null` from optional properties: what the server leaves out is never `null`.
struct AbsentInsteadOfNull;

impl Transform for AbsentInsteadOfNull {
    fn transform(&mut self, schema: &mut Schema) {
        let required = schema
            .get("required")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        if let Some(Value::Object(properties)) = schema.get_mut("properties") {
            for (name, property) in properties {
                if !required.iter().any(|known| known == name) {
                    without_null(property);
                }
            }
        }
        transform_subschemas(self, schema);
    }
}

fn without_null(property: &mut Value) {
    if let Some(Value::Array(types)) = property.get_mut("type") {
        types.retain(|one| one != "null");
        if let [one] = types.as_slice() {
            property["type"] = one.clone();
        }
    }
    let Some(Value::Array(choices)) = property.get_mut("anyOf") else {
        return;
    };
    choices.retain(|choice| choice.get("type").is_none_or(|kind| kind != "null"));
    if let [one] = choices.as_slice() {
        *property = one.clone();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every `$ref` in a schema.
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(path)) = fields.get("$ref") {
                    found.insert(path.clone());
                }
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_has_its_definition() {
        for document in [asyncapi(), json_schema()] {
            let document: Value = serde_json::from_str(&document).unwrap();
            let mut found = BTreeSet::new();
            references(&document, &mut found);
            assert!(found.len() > 40, "{} references", found.len());
            for path in found {
                let target = document.pointer(path.trim_start_matches('#'));
                assert!(target.is_some_and(Value::is_object), "{path}");
            }
        }
    }

    #[test]
    fn what_the_server_reads_and_what_it_writes_have_different_names() {
        let settings = SchemaSettings::draft07;
        let mut reads = settings().for_deserialize().into_generator();
        let mut writes = settings().for_serialize().into_generator();
        for kind in EventKind::ALL {
            let event = client_events::of(kind);
            (event.payload)(&mut reads);
            (event.ack)(&mut writes);
        }
        for event in server_events::ALL {
            (event.payload)(&mut writes);
        }
        let written = writes.take_definitions(true);
        for (name, read) in reads.take_definitions(true) {
            assert!(
                written.get(&name).is_none_or(|written| *written == read),
                "{name}"
            );
        }
    }

    /// `UPDATE_DOCS=1` saves the new description.
    #[test]
    fn the_docs_have_the_present_description() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/asyncapi.json");
        let present = asyncapi();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &present).unwrap();
        }
        let saved: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert!(
            saved == serde_json::from_str::<Value>(&present).unwrap(),
            "docs/asyncapi.json is out of date; run: roomful schema > docs/asyncapi.json"
        );
    }

    #[test]
    fn optional_fields_of_the_server_are_never_null() {
        let document: Value = serde_json::from_str(&json_schema()).unwrap();
        let message = &document["definitions"]["Message"]["properties"];
        assert_eq!(message["replyTo"]["type"], "integer", "{message:#}");
        assert_eq!(
            document["definitions"]["Member"]["properties"]["name"]["type"],
            json!(["string", "null"])
        );
    }
}
