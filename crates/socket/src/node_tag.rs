//! The short name of one run of a node. It precedes the secret part of a session id, so that any node can
//! tell the session's owner.

use std::fmt;

use serde::{Deserialize, Serialize};

const LENGTH: usize = 8;

/// Identifies one run of one node: 8 URL-safe characters with 48 random bits. Public: it reveals only the
/// owner of a session.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct NodeTag([u8; LENGTH]);

impl NodeTag {
    #[cfg(feature = "cluster")]
    pub(crate) fn random() -> Self {
        Self(crate::id::random_text())
    }

    /// The tag as it appears in ids and topics.
    pub fn as_str(&self) -> &str {
        // Always ASCII: made from the alphabet, or checked by `parse`.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Parses a tag. `None` if the text does not have the form of a tag.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; LENGTH] = text.as_bytes().try_into().ok()?;
        bytes
            .iter()
            .all(|byte| crate::id::ALPHABET.contains(byte))
            .then_some(Self(bytes))
    }

    /// Splits a session id into the owner's tag and the secret part.
    pub(crate) fn split(sid: &str) -> Option<(Self, &str)> {
        let (tag, secret) = sid.split_at_checked(LENGTH)?;
        Some((Self::parse(tag)?, secret))
    }
}

impl fmt::Display for NodeTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for NodeTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeTag({self})")
    }
}

impl From<NodeTag> for String {
    fn from(tag: NodeTag) -> Self {
        tag.as_str().to_owned()
    }
}

/// The text is not a [`NodeTag`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a node's tag is 8 URL-safe characters")]
pub struct BadTag;

impl TryFrom<String> for NodeTag {
    type Error = BadTag;

    fn try_from(text: String) -> Result<Self, BadTag> {
        Self::parse(&text).ok_or(BadTag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "cluster")]
    #[test]
    fn only_session_ids_split_into_tag_and_secret() {
        let tag = NodeTag::random();
        assert_eq!(NodeTag::split(&format!("{tag}secret")), Some((tag, "secret")));
        for text in ["", "short", "__protoé_and_more", "../../..//etc", "127.0.0.1:80"] {
            assert_eq!(NodeTag::split(text), None, "{text}");
        }
    }
}
