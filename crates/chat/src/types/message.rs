//! The content of a message, as its author chose it.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::compact;

/// The largest seq in a payload: JavaScript's largest exact integer.
pub const MAX_SEQ: u64 = (1 << 53) - 1;

/// The most objects and lists within each other in [`Metadata`]. JSON parsers have such a limit, too, and
/// they read metadata within a message, a report, or a webhook.
const METADATA_DEPTH: usize = 64;

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

/// The app's own fields of a message: a JSON object, kept as its author wrote it but for the white space
/// between its parts.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Metadata(Box<RawValue>);

impl Metadata {
    /// What metadata must be, as the end of a sentence.
    pub const RULE: &str = "must be an object, nested at most 64 levels deep, with whole characters and \
        numbers that fit into 64 bits";

    /// Takes a JSON value, if it follows [`Metadata::RULE`].
    pub fn new(json: Box<RawValue>) -> Option<Self> {
        Some(Self(compact(json))).filter(Self::is_valid)
    }

    /// Whether it follows [`Metadata::RULE`]. Values from a request body or the store may break the rule.
    pub(crate) fn is_valid(&self) -> bool {
        let json = self.0.get();
        // Half a surrogate pair and `1e999` are JSON that many clients cannot read.
        json.starts_with('{')
            && depth(json) <= METADATA_DEPTH
            && serde_json::from_str::<serde_json::Value>(json).is_ok()
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

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::deserialize(deserializer).map(|json| Self(compact(json)))
    }
}

/// The number of objects and lists within each other in a valid JSON text.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut is_escaped) = (false, false);
    for byte in json.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
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
    fn white_space_between_parts_of_metadata_makes_no_difference() {
        let spaced = "{ \"a\":\n[1, 2],\r\n\t\"b c\": \"d e\" }";
        let compact = r#"{"a":[1,2],"b c":"d e"}"#;
        let new = |json: &str| Metadata::new(serde_json::from_str(json).unwrap()).unwrap();
        assert_eq!(new(spaced), new(compact));
        assert_eq!(new(spaced).len(), compact.len());
        let body = format!(r#"{{"text":"hi","metadata":{spaced}}}"#);
        assert_eq!(
            serde_json::from_str::<Draft>(&body).unwrap().metadata,
            Some(new(compact))
        );
    }

    #[test]
    fn metadata_is_nested_to_a_limit() {
        let nested = |levels: usize| format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
        let new = |json: &str| Metadata::new(serde_json::from_str(json).unwrap());
        assert!(new(&nested(METADATA_DEPTH)).is_some());
        assert_eq!(new(&nested(METADATA_DEPTH + 1)), None);
        assert!(Metadata::RULE.contains(&METADATA_DEPTH.to_string()));
        // Neither neighbours nor brackets in texts count.
        let flat = format!(r#"{{"a":[{}1],"b":"\"{}"}}"#, "[],".repeat(100), "[".repeat(100));
        assert!(new(&flat).is_some(), "{flat}");
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
