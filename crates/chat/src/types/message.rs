//! What a message says, before it has a place in a room: the part that its author chose.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The largest seq a client may name: JavaScript's largest exact integer.
pub const MAX_SEQ: u64 = (1 << 53) - 1;

/// The content of a message. Its JSON is what the store keeps as the entry's body, and what a retry is compared to:
/// the same draft is always the same text, for the fields stand in this order and the keys of `metadata` are sorted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Draft {
    /// What the author wrote.
    pub text: String,
    /// The seq of the message that this one answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<u64>,
    /// The ids of the users that are mentioned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<String>,
    /// The app's own fields, passed on as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
}

/// What may happen to a message after it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It says something else.
    Edit {
        /// What it says now.
        text: String,
    },
    /// It says nothing any more.
    Delete,
    /// A user's sign beside it.
    Reaction {
        /// The sign.
        emoji: String,
        /// Taken back, not added.
        removed: bool,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_canonical() {
        let draft = |metadata: &str| Draft {
            text: "hi".into(),
            reply_to: None,
            mentions: vec![],
            metadata: Some(serde_json::from_str(metadata).unwrap()),
        };
        let (one, two) = (
            draft(r#"{"b":1,"a":{"d":1,"c":2}}"#),
            draft(r#"{"a":{"c":2,"d":1},"b":1}"#),
        );
        assert_eq!(
            serde_json::to_string(&one).unwrap(),
            serde_json::to_string(&two).unwrap()
        );
        assert_eq!(
            serde_json::to_string(&draft("{}")).unwrap(),
            r#"{"text":"hi","metadata":{}}"#
        );
    }
}
