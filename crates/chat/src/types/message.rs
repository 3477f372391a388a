//! The content of a message, as its author chose it.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The largest seq in a payload: JavaScript's largest exact integer.
pub const MAX_SEQ: u64 = (1 << 53) - 1;

/// The content of a message. The store keeps its JSON as the entry's body.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Draft {
    /// The text.
    pub text: String,
    /// The seq of the message that this one replies to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<u64>,
    /// The ids of the mentioned users.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<String>,
    /// The app's own fields, which the server passes on unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
}

/// The app's own fields of a message: a JSON object, kept exactly as its author wrote it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Metadata(Box<RawValue>);

impl Metadata {
    /// Takes a JSON value, if it is an object.
    pub fn new(json: Box<RawValue>) -> Option<Self> {
        json.get().starts_with('{').then_some(Self(json))
    }

    /// The length of the JSON text, in bytes.
    pub fn len(&self) -> usize {
        self.0.get().len()
    }

    /// False: an object has at least its braces.
    pub fn is_empty(&self) -> bool {
        false
    }
}

impl JsonSchema for Metadata {
    fn schema_name() -> Cow<'static, str> {
        "Metadata".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "description": "The app's own fields, as their author wrote them." })
    }
}

impl PartialEq for Metadata {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

impl Eq for Metadata {}

/// A mutation of a message after it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Replaces the text.
    Edit {
        /// The new text.
        text: String,
    },
    /// Empties the message.
    Delete,
    /// Adds or removes a user's reaction.
    Reaction {
        /// The reaction, usually an emoji.
        emoji: String,
        /// Whether the user removes the reaction.
        removed: bool,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_keeps_the_metadata_as_written() {
        for metadata in [r#"{"b":1,"a":{"d":1.0,"c":12345678901234567890}}"#, "{}"] {
            let draft = Draft {
                text: "hi".into(),
                metadata: Metadata::new(serde_json::from_str(metadata).unwrap()),
                ..Draft::default()
            };
            let body = serde_json::to_string(&draft).unwrap();
            assert_eq!(body, format!(r#"{{"text":"hi","metadata":{metadata}}}"#));
            assert_eq!(serde_json::from_str::<Draft>(&body).unwrap(), draft);
        }
    }

    #[test]
    fn metadata_is_an_object() {
        for other in ["[1]", "7", "null", r#""{}""#] {
            assert_eq!(
                Metadata::new(serde_json::from_str(other).unwrap()),
                None,
                "{other}"
            );
        }
    }
}
