//! The claims of a verified token: the user and their permissions.

use std::sync::Arc;

use crate::types::UserId;

/// The claims of a verified token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// `sub`: the user's id, 1 to 128 characters.
    pub user: UserId,
    /// `name`: the display name.
    pub name: Option<Arc<str>>,
    /// `avatar`: the URL of the user's picture.
    pub avatar: Option<Arc<str>>,
    /// `exp`, in milliseconds since 1970.
    pub expires_at: i64,
    /// `iat`, in milliseconds since 1970.
    pub issued_at: Option<i64>,
    /// `rooms`: the rooms the user may enter. `None` allows every public room, an empty list none.
    pub rooms: Option<Box<[RoomPattern]>>,
    /// Whether `roles` contains `"moderator"`: the user is at least a moderator in every room of which they
    /// are a member.
    pub moderator: bool,
    /// `presence`: whose presence the user sees, instead of what the server's settings say.
    pub sees: Option<Visibility>,
}

/// Whose presence a user sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Visibility {
    /// Users with whom they share a room, as members.
    SharedRooms,
    /// Everybody.
    Everyone,
}

impl Visibility {
    /// The value of this name: `shared_rooms` or `everyone`.
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "shared_rooms" => Some(Self::SharedRooms),
            "everyone" => Some(Self::Everyone),
            _ => None,
        }
    }
}

impl Claims {
    /// Whether the token allows a room of this name.
    pub fn allows(&self, room: &str) -> bool {
        self.rooms
            .as_ref()
            .is_none_or(|patterns| patterns.iter().any(|pattern| pattern.matches(room)))
    }
}

/// A room name in which `*` matches any run of characters, also an empty one. Everything else matches
/// exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomPattern(Box<str>);

impl RoomPattern {
    /// Creates a pattern.
    pub fn new(pattern: &str) -> Self {
        Self(pattern.into())
    }

    /// The pattern as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the whole of `room` matches. Takes at most (length of pattern) x (length of name) steps.
    pub fn matches(&self, room: &str) -> bool {
        let Some((prefix, rest)) = self.0.split_once('*') else {
            return *self.0 == *room;
        };
        let Some(mut room) = room.strip_prefix(prefix) else {
            return false;
        };
        // Each piece between two stars matches greedily at its first occurrence. Only the last piece must
        // reach the end.
        let mut pieces = rest.split('*').peekable();
        while let Some(piece) = pieces.next() {
            if pieces.peek().is_none() {
                return room.ends_with(piece);
            }
            let Some((_, after)) = room.split_once(piece) else {
                return false;
            };
            room = after;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stars_match_any_run() {
        let table = [
            ("room-*", "room-1", true),
            ("room-*", "room-", true),
            ("room-*", "lobby", false),
            ("dm:alice:*", "dm:alice:bob", true),
            ("dm:alice:*", "dm:alicex:bob", false),
            ("dm:*:alice", "dm:bob:alice", true),
            ("dm:*:alice", "dm:alice", false),
            ("*", "anything", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("**", "", true),
            ("lobby", "lobby", true),
            ("lobby", "lobby2", false),
            ("a.b", "axb", false),
            ("", "x", false),
        ];
        for (pattern, room, expected) in table {
            assert_eq!(
                RoomPattern::new(pattern).matches(room),
                expected,
                "{pattern} on {room}"
            );
        }
    }

    /// The obvious definition: exponential, but easy to verify.
    fn plain(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|at| plain(rest, &text[at..])),
            Some((c, rest)) => text
                .split_first()
                .is_some_and(|(t, tail)| t == c && plain(rest, tail)),
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_plain_definition(pattern in "[ab*]{0,6}", text in "[ab]{0,8}") {
            let (p, t): (Vec<_>, Vec<_>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(RoomPattern::new(&pattern).matches(&text), plain(&p, &t));
        }
    }
}
