//! The validated name of a room.

use std::{fmt, sync::Arc};

use serde::{Serialize, Serializer};

use super::names::{Violation, check_room_name};

/// A name of 1 to 128 bytes without control characters and without white space at its ends.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomName(Arc<str>);

impl RoomName {
    /// Validates a name.
    ///
    /// # Errors
    /// The violated rule, as the end of a sentence that begins with the field's name.
    pub fn new(name: &str) -> Result<Self, Violation> {
        check_room_name(name)?;
        Ok(Self(Arc::from(name)))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Serialize for RoomName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for good in [
            "a",
            "room-123",
            "dm:alice:bob",
            "комната",
            "with space",
            "__proto__",
            &"x".repeat(128),
        ] {
            assert!(RoomName::new(good).is_ok(), "{good:?}");
        }
        for bad in [
            "",
            " ",
            " a",
            "a\u{a0}",
            "a\n",
            "a\0b",
            "\u{1b}[31m",
            &"x".repeat(129),
            &"ж".repeat(65),
        ] {
            assert!(RoomName::new(bad).is_err(), "{bad:?}");
        }
    }
}
