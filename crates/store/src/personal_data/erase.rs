//! The statements of an erasure.
//!
//! Rows that only the user needs go. Rows that others need, such as the entries of a log without holes, stay
//! under the alias. JSON is read, changed and written back, see [`Rewrite`].

use super::{Erasure, ErasureStep, json_string, rename::rename};
use crate::{
    RoomId,
    append::{Param, Statement},
};

/// Keys that one commit looks at.
const SPAN: i64 = 500;
/// A body that no node takes for a command.
const NO_COMMAND: &str = r#"{"Disconnected":{"user":""}}"#;

/// Where the values of a statement's parameters come from.
#[derive(Clone, Copy)]
enum Source {
    User,
    Alias,
    /// The user as a JSON string. One with other escapes has a backslash.
    UserJson,
    Backslash,
    /// The user and the alias as lines.
    UserLine,
    AliasLine,
    Newline,
    Room,
    /// The span of keys.
    Start,
    End,
    Anonymise,
}
use self::Source::{
    Alias, AliasLine, Anonymise, Backslash, End, Newline, Room, Start, User, UserJson, UserLine,
};

/// A statement and its parameters. SQLite numbers them by their first use, so `$1` comes first, and so on.
type Sql = (&'static str, &'static [Source]);

const ENTRIES: &[Sql] = &[
    // Deletions reach all messages but those that readers no longer see, and that retention will remove.
    (
        "UPDATE entries SET body = '' WHERE room_id = $1 AND seq >= $2 AND seq < $3 AND user_id = $4
            AND kind IN (0, 1) AND CAST($5 AS bigint) = 0 AND seq < (SELECT first FROM rooms WHERE id = $1)",
        &[Room, Start, End, User, Anonymise],
    ),
    (
        "UPDATE entries SET user_id = $1, user_name = NULL, client_id = NULL
         WHERE room_id = $2 AND seq >= $3 AND seq < $4 AND user_id = $5",
        &[Alias, Room, Start, End, User],
    ),
    (
        "UPDATE message_states SET author = $1 WHERE room_id = $2 AND seq >= $3 AND seq < $4 AND author = $5",
        &[Alias, Room, Start, End, User],
    ),
    (
        "UPDATE reactions SET user_id = $1 WHERE room_id = $2 AND seq >= $3 AND seq < $4 AND user_id = $5",
        &[Alias, Room, Start, End, User],
    ),
    (
        "DELETE FROM mentions WHERE room_id = $1 AND seq >= $2 AND seq < $3 AND user_id = $4",
        &[Room, Start, End, User],
    ),
    (
        "DELETE FROM reported_recipients WHERE room_id = $1 AND seq >= $2 AND seq < $3 AND user_id = $4",
        &[Room, Start, End, User],
    ),
];

/// The membership last: as long as it is there, a repetition finds the room.
const ROOM: &[Sql] = &[
    (
        "DELETE FROM dedup_records WHERE room_id = $1 AND user_id = $2",
        &[Room, User],
    ),
    (
        "DELETE FROM deletion_counts WHERE room_id = $1 AND user_id = $2",
        &[Room, User],
    ),
    (
        "DELETE FROM mention_counts WHERE room_id = $1 AND user_id = $2",
        &[Room, User],
    ),
    (
        "DELETE FROM last_sends WHERE room_id = $1 AND user_id = $2",
        &[Room, User],
    ),
    (
        "DELETE FROM sanctions WHERE room_id = $1 AND user_id = $2",
        &[Room, User],
    ),
    (
        "UPDATE sanctions SET actor = $1 WHERE room_id = $2 AND actor = $3",
        &[Alias, Room, User],
    ),
    (
        "DELETE FROM outbox WHERE kind = 1 AND room_id = $1
            AND n IN (SELECT record FROM outbox_recipients WHERE room_id = $1 AND user_id = $2)
            AND NOT EXISTS (SELECT 1 FROM outbox_recipients o WHERE o.record = outbox.n AND o.user_id <> $2)",
        &[Room, User],
    ),
    (
        "DELETE FROM outbox_recipients WHERE room_id = $1 AND user_id = $2",
        &[Room, User],
    ),
    (
        "DELETE FROM members WHERE room_id = $1 AND user_id = $2",
        &[Room, User],
    ),
];

const USER: &[Sql] = &[
    ("DELETE FROM sessions WHERE user_id = $1", &[User]),
    ("DELETE FROM notified_devices WHERE user_id = $1", &[User]),
    ("DELETE FROM user_notifications WHERE user_id = $1", &[User]),
    ("DELETE FROM notified_users WHERE user_id = $1", &[User]),
    ("DELETE FROM online_users WHERE user_id = $1", &[User]),
    ("DELETE FROM user_usage WHERE user_id = $1", &[User]),
    ("DELETE FROM revocations WHERE user_id = $1", &[User]),
    ("DELETE FROM sanctions WHERE user_id = $1", &[User]),
    ("UPDATE sanctions SET actor = $1 WHERE actor = $2", &[Alias, User]),
    ("DELETE FROM outbox_recipients WHERE user_id = $1", &[User]),
    // The records of reports hold a copy of the message. Their client id is the id of the report.
    (
        "DELETE FROM outbox WHERE kind = 6
            AND client_id IN (SELECT CAST(id AS text) FROM reports WHERE author = $1)",
        &[User],
    ),
    ("DELETE FROM reports WHERE author = $1", &[User]),
    (
        "UPDATE reports SET reporter = $1, comment = NULL WHERE reporter = $2",
        &[Alias, User],
    ),
    ("DELETE FROM blocks WHERE user_id = $1", &[User]),
    ("DELETE FROM blocks WHERE blocked_id = $1", &[User]),
    ("DELETE FROM users WHERE user_id = $1", &[User]),
];

/// Notifications of nobody else go. In the others, the list of recipients names the alias.
const NOTIFICATIONS: &[Sql] = &[
    (
        "DELETE FROM notifications WHERE key >= $1 AND key < $2
            AND NOT EXISTS (SELECT 1 FROM user_notifications u WHERE u.notification = notifications.key)",
        &[Start, End],
    ),
    (
        "UPDATE notifications SET users = trim(replace($1 || users || $1, $2, $3), $1)
         WHERE key >= $4 AND key < $5 AND $1 || users || $1 <> replace($1 || users || $1, $2, $3)",
        &[Newline, UserLine, AliasLine, Start, End],
    ),
];

/// Deletes events about the user; those about their messages name the alias.
const OUTBOX: &[Sql] = &[
    (
        "DELETE FROM outbox WHERE n >= $1 AND n < $2 AND user_id = $3 AND seq IS NULL",
        &[Start, End, User],
    ),
    (
        "UPDATE outbox SET user_id = $1, user_name = NULL, client_id = NULL
         WHERE n >= $2 AND n < $3 AND user_id = $4",
        &[Alias, Start, End, User],
    ),
];

/// Records about the user keep action and time, without the content.
const AUDIT: &[Sql] = &[
    (
        "UPDATE audit SET user_id = $1, before = NULL, after = NULL
         WHERE id >= $2 AND id < $3 AND user_id = $4",
        &[Alias, Start, End, User],
    ),
    (
        "UPDATE audit SET actor = $1 WHERE id >= $2 AND id < $3 AND actor = $4",
        &[Alias, Start, End, User],
    ),
];

/// JSON in which the user may be named. `select` answers keys and JSON of the rows that may name them.
struct Rewrite {
    select: Sql,
    /// Sets the JSON `$1` of the row with the key `$2`, and in a room, `$3`.
    update: &'static str,
}

/// The rewrite of a column, for the rows of a span of keys.
macro_rules! rewrite {
    ($table:literal, $key:literal, $column:literal) => {
        Rewrite {
            select: (
                concat!(
                    "SELECT ",
                    $key,
                    ", ",
                    $column,
                    " FROM ",
                    $table,
                    " WHERE ",
                    $key,
                    " >= $1 AND ",
                    $key,
                    " < $2 AND (",
                    $column,
                    " <> replace(",
                    $column,
                    ", $3, '') OR ",
                    $column,
                    " <> replace(",
                    $column,
                    ", $4, ''))"
                ),
                &[Start, End, UserJson, Backslash],
            ),
            update: concat!("UPDATE ", $table, " SET ", $column, " = $1 WHERE ", $key, " = $2"),
        }
    };
}

const ENTRY_JSON: Rewrite = Rewrite {
    select: (
        "SELECT seq, body FROM entries WHERE room_id = $1 AND seq >= $2 AND seq < $3
            AND (body <> replace(body, $4, '') OR body <> replace(body, $5, ''))",
        &[Room, Start, End, UserJson, Backslash],
    ),
    update: "UPDATE entries SET body = $1 WHERE seq = $2 AND room_id = $3",
};

const COMMAND_JSON: Rewrite = Rewrite {
    select: (
        "SELECT seq, body FROM entries WHERE room_id = $1 AND seq >= $2 AND seq < $3 AND kind = 5
            AND (body <> replace(body, $4, '') OR body <> replace(body, $5, ''))",
        &[Room, Start, End, UserJson, Backslash],
    ),
    ..ENTRY_JSON
};

const REPORT_JSON: Rewrite = Rewrite {
    select: (
        "SELECT id, message FROM reports
         WHERE message <> replace(message, $1, '') OR message <> replace(message, $2, '')",
        &[UserJson, Backslash],
    ),
    update: "UPDATE reports SET message = $1 WHERE id = $2",
};

const NOTIFICATION_JSON: Rewrite = rewrite!("notifications", "key", "body");
const OUTBOX_JSON: Rewrite = rewrite!("outbox", "n", "body");
const AUDIT_JSON: [Rewrite; 2] = [
    rewrite!("audit", "id", "before"),
    rewrite!("audit", "id", "after"),
];

const fn rewrites(step: ErasureStep) -> &'static [Rewrite] {
    match step {
        ErasureStep::Entries(_) => &[ENTRY_JSON],
        ErasureStep::Control(_) => &[COMMAND_JSON],
        ErasureStep::Room(_) => &[],
        ErasureStep::User => &[REPORT_JSON],
        ErasureStep::Notifications => &[NOTIFICATION_JSON],
        ErasureStep::Outbox => &[OUTBOX_JSON],
        ErasureStep::Audit => &AUDIT_JSON,
    }
}

/// The keys that a step goes through, a span for each commit.
pub(crate) struct Keys {
    /// Reads the first key from `$1` on, if there is one. A room is `$2`.
    pub(crate) first: &'static str,
    pub(crate) room: Option<RoomId>,
}

/// The keys of a step; `None` for one without, which is a single commit.
pub(crate) fn keys(step: ErasureStep) -> Option<Keys> {
    let (first, room) = match step {
        ErasureStep::Entries(room) | ErasureStep::Control(room) => (
            "SELECT min(seq) FROM entries WHERE seq >= $1 AND room_id = $2",
            Some(room),
        ),
        ErasureStep::Notifications => ("SELECT min(key) FROM notifications WHERE key >= $1", None),
        ErasureStep::Outbox => ("SELECT min(n) FROM outbox WHERE n >= $1", None),
        ErasureStep::Audit => ("SELECT min(id) FROM audit WHERE id >= $1", None),
        ErasureStep::Room(_) | ErasureStep::User => return None,
    };
    Some(Keys { first, room })
}

/// One commit's worth of a step: the keys of a span.
pub(crate) struct Span<'a> {
    erasure: &'a Erasure,
    step: ErasureStep,
    start: i64,
    user_json: String,
    /// The user and the alias as lines.
    lines: [String; 2],
}

/// The rows that a [`Rewrite`] reads, and their new content.
pub(crate) struct JsonRows<'a> {
    span: &'a Span<'a>,
    rewrite: &'static Rewrite,
}

impl<'a> Span<'a> {
    pub(crate) fn from(erasure: &'a Erasure, step: ErasureStep, start: i64) -> Self {
        Self {
            erasure,
            step,
            start,
            user_json: json_string(&erasure.user_id),
            lines: [&erasure.user_id, &erasure.alias].map(|id| format!("\n{id}\n")),
        }
    }

    /// The first key behind the span.
    pub(crate) const fn end(&self) -> i64 {
        self.start.saturating_add(SPAN)
    }

    /// What to read, change and write back. Comes before [`Self::statements`].
    pub(crate) fn json_rows(&self) -> impl Iterator<Item = JsonRows<'_>> {
        let rows = |rewrite| JsonRows { span: self, rewrite };
        rewrites(self.step).iter().map(rows)
    }

    pub(crate) fn statements(&self) -> impl Iterator<Item = Statement<'_>> {
        let list: &[Sql] = match self.step {
            ErasureStep::Entries(_) => ENTRIES,
            ErasureStep::Room(_) => ROOM,
            ErasureStep::Control(_) => &[],
            ErasureStep::User => USER,
            ErasureStep::Notifications => NOTIFICATIONS,
            ErasureStep::Outbox => OUTBOX,
            ErasureStep::Audit => AUDIT,
        };
        list.iter().map(|sql| self.statement(*sql))
    }

    fn room(&self) -> Option<RoomId> {
        match self.step {
            ErasureStep::Entries(room) | ErasureStep::Room(room) | ErasureStep::Control(room) => Some(room),
            _ => None,
        }
    }

    fn statement(&self, (sql, sources): Sql) -> Statement<'_> {
        let param = |source: &Source| match source {
            User => Param::Text(&self.erasure.user_id),
            Alias => Param::Text(&self.erasure.alias),
            UserJson => Param::Text(&self.user_json),
            Backslash => Param::Text("\\"),
            UserLine => Param::Text(&self.lines[0]),
            AliasLine => Param::Text(&self.lines[1]),
            Newline => Param::Text("\n"),
            Room => Param::Int(self.room().unwrap_or_default()),
            Start => Param::Int(self.start),
            End => Param::Int(self.end()),
            Anonymise => Param::Int(self.erasure.anonymise.into()),
        };
        Statement {
            sql,
            params: sources.iter().map(param).collect(),
        }
    }
}

impl<'a> JsonRows<'a> {
    /// Answers a key and JSON for each row.
    pub(crate) fn select(&self) -> Statement<'a> {
        self.span.statement(self.rewrite.select)
    }

    /// The JSON without the user; `None` if it does not name them.
    pub(crate) fn changed(&self, json: &str) -> Option<String> {
        let Erasure { user_id, alias, .. } = self.span.erasure;
        let renamed = rename(json, user_id, alias)?;
        // Commands to other nodes go as a whole.
        let is_command = matches!(self.span.step, ErasureStep::Control(_));
        Some(if is_command {
            NO_COMMAND.to_owned()
        } else {
            renamed
        })
    }

    /// Writes the changed JSON of the row with this key.
    pub(crate) fn update<'j>(&self, key: i64, json: &'j str) -> Statement<'j> {
        let room = self.span.room().map(Param::Int);
        Statement {
            sql: self.rewrite.update,
            params: [Param::Text(json), Param::Int(key)]
                .into_iter()
                .chain(room)
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrate::text_columns;

    /// Texts that are no data of users: ids and names that the app or the server chose, and the erasures
    /// themselves. A moderator's reason is about somebody else.
    const OTHERS: [&str; 20] = [
        "audit.action",
        "audit.room",
        "erased_users.hash",
        "erasures.alias",
        "erasures.owner",
        "erasures.user_id",
        "notifications.id",
        "outbox.epoch",
        "outbox.id",
        "outbox.last_error",
        "outbox.room",
        "outbox.sink",
        "reaction_counts.emoji",
        "reactions.emoji",
        "reports.reason",
        "reports.resolved_by",
        "reports.room",
        "rooms.epoch",
        "rooms.name",
        "sanctions.reason",
    ];

    /// Whether statements change a column, or delete rows by it. Without an update, the rows of a table go.
    fn is_erased(statements: &[&str], table: &str, column: &str) -> bool {
        let of = |begin: String| statements.iter().filter(move |sql| sql.starts_with(&begin));
        let mut updates = of(format!("UPDATE {table} SET ")).peekable();
        let mut deletes = of(format!("DELETE FROM {table} "));
        if updates.peek().is_none() {
            return deletes.next().is_some();
        }
        let sets = |sql: &&str| {
            let assignments = sql.split("WHERE").next().unwrap_or_default();
            assignments.contains(&format!(" {column} = "))
        };
        updates.any(sets) || deletes.any(|sql| sql.contains(&format!(" {column} = $")))
    }

    #[test]
    fn every_column_with_text_is_erased() {
        let lists = [ENTRIES, ROOM, USER, NOTIFICATIONS, OUTBOX, AUDIT];
        let statements = lists.iter().copied().flatten().map(|(sql, _)| *sql);
        let rewrites = [ENTRY_JSON, REPORT_JSON, NOTIFICATION_JSON, OUTBOX_JSON];
        let rewrites = rewrites.into_iter().chain(AUDIT_JSON);
        let rewrites = rewrites.map(|rewrite| rewrite.update);
        let statements: Vec<&str> = statements.chain(rewrites).collect();
        let mut kept: Vec<String> = text_columns()
            .filter(|(table, column)| !is_erased(&statements, table, column))
            .map(|(table, column)| format!("{table}.{column}"))
            .collect();
        kept.sort();
        assert_eq!(
            kept, OTHERS,
            "how does an erased user leave these columns? Add a statement here"
        );
    }
}
