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
/// No control characters and no line separators.
const PRINTABLE: &str = r"^[^\p{Cc}\u2028\u2029]*$";
/// The same, with at least one visible character.
const VISIBLE: &str =
    r"^(?=.*[^\p{White_Space}\p{Default_Ignorable_Code_Point}\u2800])[^\p{Cc}\u2028\u2029]*$";
/// The same, without white space at either end.
const ROOM: &str = concat!(
    r"^(?!\p{White_Space})(?=.*[^\p{White_Space}\p{Default_Ignorable_Code_Point}\u2800])",
    r"[^\p{Cc}\u2028\u2029]*(?<!\p{White_Space})$"
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
shape!(PageLimit, "The most entries of the page. A number above the server's limit counts as that limit.", |limits| {
    "type": "integer", "minimum": 0, "maximum": MAX_SEQ
});
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
