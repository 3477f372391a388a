//! The tables that a migration copies, referenced ones first.

/// A value of a row, independent of the engine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Value {
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Int,
    Text,
    Bytes,
}

pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Its expression in SQLite.
    pub(super) from: &'static str,
}

pub(super) struct Table {
    pub(super) name: &'static str,
    /// The first `key` columns are its key.
    pub(super) columns: &'static [Column],
    pub(super) key: usize,
    /// The column with ever increasing numbers, if it has one.
    pub(super) counter: Option<&'static str>,
}

impl Table {
    /// The key of a row.
    pub(super) fn key_of(&self, row: &[Value]) -> Vec<Value> {
        row.iter().take(self.key).cloned().collect()
    }

    /// The names of its columns in PostgreSQL.
    pub(super) fn names(&self) -> String {
        join(self.columns.iter().map(|column| column.name))
    }

    pub(super) fn key_names(&self) -> String {
        join(self.columns.iter().take(self.key).map(|column| column.name))
    }
}

pub(super) fn join<T: AsRef<str>>(parts: impl Iterator<Item = T>) -> String {
    let parts: Vec<_> = parts.map(|part| part.as_ref().to_owned()).collect();
    parts.join(", ")
}

macro_rules! column {
    ($kind:ident $name:literal) => {
        column!($kind $name = $name)
    };
    ($kind:ident $name:literal = $from:literal) => {
        Column { name: $name, kind: Kind::$kind, from: $from }
    };
}

macro_rules! table {
    ($name:literal, $counter:expr, [$($key:ident $key_name:literal),+]
        $(, $kind:ident $column:literal $(= $from:literal)?)*) => {
        Table {
            name: $name,
            columns: &[
                $(column!($key $key_name),)+
                $(column!($kind $column $(= $from)?),)*
            ],
            key: [$($key_name),+].len(),
            counter: $counter,
        }
    };
}

#[rustfmt::skip]
pub(super) static TABLES: [Table; 33] = [
    table!("rooms", Some("id"), [Int "id"], Text "name", Text "epoch", Int "head", Int "first", Int "swept",
        Int "created_at", Int "kind", Int "history", Int "last_message", Int "active_position",
        Int "messages", Int "deletions"),
    table!("entries", None, [Int "room_id", Int "seq"], Int "kind", Int "at", Int "position", Int "target",
        Int "messages", Int "own_messages", Text "user_id", Text "client_id", Text "user_name", Text "body"),
    table!("dedup_records", None, [Int "room_id", Int "seq"], Int "kind", Int "at", Int "target",
        Int "fingerprint", Text "user_id", Text "client_id"),
    table!("message_states", None, [Int "room_id", Int "seq"], Text "author", Int "edit_seq", Int "rewritten",
        Int "deleted", Int "edits"),
    table!("reactions", None, [Int "room_id", Int "seq", Text "emoji", Text "user_id"]),
    table!("reaction_counts", None, [Int "room_id", Int "seq", Text "emoji"], Int "users", Int "first_seq"),
    table!("mentions", None, [Int "room_id", Int "seq", Text "user_id"]),
    table!("deletion_counts", None, [Int "room_id", Text "user_id", Int "size", Int "last_seq"],
        Int "messages"),
    table!("mention_counts", None, [Int "room_id", Text "user_id", Int "size", Int "last_seq"],
        Int "messages"),
    table!("members", None, [Int "room_id", Text "user_id"], Int "active", Int "joined_at", Int "read_seq",
        Int "read_at", Int "delivered_seq", Int "role", Int "membership"),
    table!("users", None, [Text "user_id"], Text "name", Text "avatar", Text "metadata", Int "profile_set_at",
        Int "last_seen", Int "status", Text "status_text"),
    table!("user_usage", None, [Text "user_id"], Int "day", Int "rooms", Int "bytes"),
    table!("unused_rooms", None, [Int "room_id"], Int "since"),
    table!("revocations", None, [Text "user_id"], Int "before"),
    table!("notifications", Some("key"), [Int "key"], Text "id", Int "at", Text "body", Text "users"),
    table!("user_notifications", None, [Text "user_id", Int "seq"], Int "notification", Int "read_at"),
    table!("notified_users", None, [Text "user_id"], Int "head"),
    table!("notified_devices", None, [Text "user_id", Text "device"], Int "delivered", Int "at"),
    // No node owns them: connected sessions count as lost at the last heartbeat of their server.
    table!("sessions", Some("id"), [Int "id"], Bytes "key", Int "node" = "0", Int "owner" = "0", Text "sid",
        Text "user_id", Int "created_at",
        Int "lost_at" = "coalesce(lost_at, (SELECT alive_at FROM log_head))"),
    table!("session_rooms", None, [Int "session_id", Int "room_id"], Int "after", Int "membership"),
    table!("outbox", Some("n"), [Int "n"], Text "id", Text "sink", Int "kind", Int "at", Int "state",
        Int "attempts", Int "due_at", Text "last_error", Int "room_id", Text "room", Text "epoch", Int "seq",
        Text "user_id", Text "user_name", Text "client_id", Text "body", Int "bytes"),
    table!("outbox_recipients", None, [Int "record", Text "user_id"], Int "room_id", Int "seq"),
    table!("delivery_checks", None, [Int "room_id", Int "seq"], Int "due_at", Int "is_last"),
    table!("reported_recipients", None, [Int "room_id", Int "seq", Text "user_id"]),
    table!("online_users", None, [Text "user_id"], Text "user_name", Int "since"),
    table!("sanctions", None, [Int "room_id", Text "user_id", Int "kind"], Int "until", Text "reason",
        Text "actor", Int "at"),
    table!("room_rules", None, [Int "room_id"], Int "frozen", Int "slow_mode"),
    table!("last_sends", None, [Int "room_id", Text "user_id"], Int "at"),
    table!("audit", Some("id"), [Int "id"], Int "at", Text "actor", Text "action", Text "room",
        Text "user_id", Int "status", Text "before", Text "after"),
    table!("reports", Some("id"), [Int "id"], Int "room_id", Text "room", Int "seq", Text "author",
        Text "reporter", Text "reason", Text "comment", Text "message", Int "at", Int "state",
        Int "resolved_at", Text "resolved_by"),
    table!("blocks", None, [Text "user_id", Text "blocked_id"], Int "at"),
    table!("erasures", None, [Text "user_id"], Text "alias", Int "anonymise", Int "before",
        Text "owner"),
    table!("erased_users", None, [Text "hash"], Int "before"),
];
