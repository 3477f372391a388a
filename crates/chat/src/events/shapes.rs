//! JSON Schemas of the values that clients send: names, ids, numbers and texts with their default bounds.
//!
//! `Fields` checks the same rules on real payloads, and an end-to-end test compares the two. Bounds that JSON
//! Schema cannot express are extension keywords: `x-maxBytes` (bytes of UTF-8 of a string, or of the JSON of
//! an object) and `x-uniqueBy` (no two items of a list have the same value in this field).

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::fields::EPOCH_CHARS;
use crate::types::{
    Limits, MAX_SEQ, RoomName,
    names::{EMOJI_BYTES, NOTIFICATION_ID_CHARS, REPORT_REASON_CHARS, ROOM_NAME_BYTES, USER_ID_CHARS},
};

/// The most entries, and the most violations of one law, in one report of a client.
pub(super) const MOST_REPORTED: u64 = 1_000_000;
/// The characters of `names::is_control`, for a class in a pattern. ECMAScript and Python share no syntax for
/// properties such as `\p{Cc}`.
macro_rules! control {
    () => {
        r"\u0000-\u001f\u007f-\u009f\u2028\u2029"
    };
}

/// White space, for a class in a pattern.
macro_rules! white_space {
    () => {
        r"\u0009-\u000d\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
    };
}

/// The characters of `names::is_ignorable`, for a class in a pattern. The two share no escape for characters
/// beyond U+FFFF either, so these stand for themselves.
macro_rules! ignorable {
    () => {
        concat!(
            r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f",
            r"\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8",
            "\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}"
        )
    };
}

/// The end of the text. In Python, `$` also stands before a newline at the end.
macro_rules! end {
    () => {
        r"(?![\s\S])"
    };
}

/// No control characters and no line separators.
const PRINTABLE: &str = concat!("^[^", control!(), "]*", end!());
/// The same, with at least one visible character.
const VISIBLE: &str = concat!(
    "^(?=.*[^",
    white_space!(),
    ignorable!(),
    "])[^",
    control!(),
    "]*",
    end!()
);
/// The same, without white space at either end.
const ROOM: &str = concat!(
    "^(?![",
    white_space!(),
    "])(?=.*[^",
    white_space!(),
    ignorable!(),
    "])[^",
    control!(),
    "]*(?<![",
    white_space!(),
    "])",
    end!()
);

/// Defines a named schema that stands for a field's type in `#[schemars(with = "…")]`.
macro_rules! shape {
    ($name:ident, $doc:literal, |$limits:ident| $schema:tt) => {
        #[doc = $doc]
        pub(crate) struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                #[allow(unused_variables, reason = "not every shape has a configurable bound")]
                let $limits = Limits::default();
                let mut schema = json_schema!($schema);
                schema.insert("description".to_owned(), $doc.into());
                schema
            }
        }
    };
}

shape!(UserId, "A user's id, the `sub` of their tokens.", |limits| {
    "type": "string", "minLength": 1, "maxLength": USER_ID_CHARS, "pattern": VISIBLE
});
shape!(After, "The id of a user. The page begins behind it.", |limits| {
    "type": "string", "minLength": 1, "maxLength": USER_ID_CHARS, "pattern": PRINTABLE
});
shape!(ClientId, "The idempotency key that the client chooses.", |limits| {
    "type": "string", "minLength": 1, "maxLength": limits.client_id_chars, "pattern": PRINTABLE
});
shape!(Epoch, "One lifetime of a room's log. Numbers of different epochs are not comparable.", |limits| {
    "type": "string", "minLength": 1, "maxLength": EPOCH_CHARS, "pattern": PRINTABLE
});
shape!(Seq, "The number of an entry in its room's log, from 1.", |limits| {
    "type": "integer", "minimum": 1, "maximum": MAX_SEQ
});
shape!(Position, "The number of an entry in its room's log, or 0 for the start of the log.", |limits| {
    "type": "integer", "minimum": 0, "maximum": MAX_SEQ
});
shape!(
    PageLimit,
    "The most entries of the page. A number above the server's limit counts as that limit.",
    |limits| { "type": "integer", "minimum": 0, "maximum": MAX_SEQ }
);
shape!(MessageText, "The text of a message.", |limits| {
    "type": "string", "minLength": 1, "x-maxBytes": limits.text_bytes
});
shape!(Mentions, "The ids of the mentioned users.", |limits| {
    "type": "array", "maxItems": limits.mentions, "items": user_id()
});
shape!(AppData, "The app's own fields. The server passes them on unchanged.", |limits| {
    "type": "object", "x-maxBytes": limits.metadata_bytes
});
shape!(Emoji, "A reaction. The app decides which ones it offers.", |limits| {
    "type": "string", "minLength": 1, "x-maxBytes": EMOJI_BYTES, "pattern": VISIBLE
});
shape!(ChosenStatus, "A status that a user can choose.", |limits| {
    "type": "string", "enum": ["online", "away", "busy", "invisible"]
});
shape!(StatusText, "The text of a status. Without a visible character, the user has none.", |limits| {
    "type": "string", "maxLength": limits.status_text_chars, "pattern": PRINTABLE
});
shape!(PresenceUsers, "The ids of users.", |limits| {
    "type": "array", "maxItems": limits.users_per_subscribe, "items": user_id()
});
shape!(NotificationId, "The id of a notification.", |limits| {
    "type": "string", "minLength": 1, "maxLength": NOTIFICATION_ID_CHARS, "pattern": PRINTABLE
});
shape!(InboxCursor, "The opaque `next` of an earlier page.", |limits| {
    "type": "string", "pattern": r"^[0-9]{1,18}\.[0-9]{1,18}$"
});
shape!(Time, "A time in milliseconds since 1970.", |limits| {
    "type": "integer", "minimum": 1, "maximum": MAX_SEQ
});
shape!(Reason, "An explanation for people.", |limits| {
    "type": "string", "maxLength": limits.reason_chars
});
shape!(ReportReason, "The kind of offence, such as `spam`. The app decides which ones it offers.", |limits| {
    "type": "string", "minLength": 1, "maxLength": REPORT_REASON_CHARS, "pattern": PRINTABLE
});
shape!(Seconds, "A number of seconds.", |limits| {
    "type": "integer", "minimum": 0, "maximum": MAX_SEQ
});
shape!(ReportedCount, "A count in a client's report.", |limits| {
    "type": "integer", "minimum": 0, "maximum": MOST_REPORTED
});
shape!(AnyValue, "Any JSON value.", |limits| {});

/// The schema of a user id, for lists.
fn user_id() -> Schema {
    UserId::json_schema(&mut SchemaGenerator::default())
}

impl JsonSchema for RoomName {
    fn schema_name() -> Cow<'static, str> {
        "RoomName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The name of a room.",
            "type": "string", "minLength": 1, "x-maxBytes": ROOM_NAME_BYTES, "pattern": ROOM
        })
    }
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use crate::{
        events::contract::{asyncapi, json_schema},
        types::names::{check_id, is_ignorable},
    };

    /// Whether a character is in a class.
    fn class(characters: &str) -> impl Fn(char) -> bool {
        let class = Regex::new(&format!("^[{characters}]$")).unwrap();
        move |c| class.is_match(c.encode_utf8(&mut [0; 4]))
    }

    #[test]
    fn the_classes_of_the_patterns_are_those_of_the_checks() {
        let (control, white_space, ignorable) =
            (class(control!()), class(white_space!()), class(ignorable!()));
        for c in '\0'..=char::MAX {
            let is_control = check_id(c.encode_utf8(&mut [0; 4])).is_err();
            assert_eq!(control(c), is_control, "{c:?}");
            assert_eq!(white_space(c), c.is_whitespace(), "{c:?}");
            assert_eq!(ignorable(c), is_ignorable(c), "{c:?}");
        }
    }

    /// Python's `re` knows neither `\p{…}` nor `\u{…}`.
    #[test]
    fn the_patterns_are_those_of_ecmascript_and_of_python() {
        for document in [asyncapi(), json_schema()] {
            for pattern in document.lines().filter(|line| line.contains("\"pattern\":")) {
                assert!(!pattern.contains(r"\\p"), "{pattern}");
                assert!(!pattern.contains(r"\\u{"), "{pattern}");
            }
        }
    }
}
