//! The statements of an erasure.
//!
//! Rows that only the user needs go. Rows that others need, such as the entries of a log without holes, stay
//! under the alias. Ids inside of JSON are replaced as whole strings, but for the names of fields that the
//! server writes: a user may have such an id.

use super::{Erasure, ErasureStep, json_string};
use crate::{
    RoomId,
    append::{Param, Statement},
};

/// Keys that one commit looks at.
const SPAN: i64 = 500;
/// Stands for the user's field while their id is replaced. JSON contains no such character.
const MARK: &str = "\u{1}";
/// The names of fields in the JSON that the server writes: entries, commands to other nodes, reports,
/// notifications, records of the outbox and of the audit log.
const FIELDS: &[&str] = &[
    "BlockChanged",
    "Disconnected",
    "Joined",
    "Left",
    "Moderated",
    "Notified",
    "ProfileChanged",
    "Revoked",
    "RoomDeleted",
    "StatusChosen",
    "act",
    "action",
    "at",
    "avatar",
    "before",
    "blocked",
    "body",
    "clientId",
    "closed",
    "count",
    "createdAt",
    "data",
    "deleted",
    "duplicate",
    "editedAt",
    "emoji",
    "epoch",
    "first",
    "from",
    "fromUserId",
    "frozen",
    "head",
    "history",
    "id",
    "joinedAt",
    "kind",
    "logSeq",
    "members",
    "mentions",
    "message",
    "messages",
    "metadata",
    "name",
    "notice",
    "on",
    "online",
    "places",
    "reactions",
    "readSeq",
    "reason",
    "records",
    "removed",
    "replyTo",
    "reporter",
    "resolvedAt",
    "resolvedBy",
    "revokedBefore",
    "role",
    "room",
    "seconds",
    "seen_at",
    "seq",
    "shown",
    "slowMode",
    "state",
    "status",
    "text",
    "title",
    "until",
    "user",
    "userId",
    "userIds",
    "users",
];
/// Whether the JSON in the store may have fields of this name that the server writes. The erasure of a user
/// of this name keeps them. All types that the caller stores as JSON must agree with it.
pub fn is_field(name: &str) -> bool {
    FIELDS.contains(&name)
}

/// A body that no node takes for a command.
const NO_COMMAND: &str = r#"{"Disconnected":{"user":""}}"#;

/// Where the values of a statement's parameters come from.
#[derive(Clone, Copy)]
enum Source {
    User,
    Alias,
    /// The user and the alias as JSON strings.
    UserJson,
    AliasJson,
    /// The name of a field that is the user's id, with its colon; [`MARK`] if there is no such field.
    Field,
    Mark,
    /// The user and the alias as lines.
    UserLine,
    AliasLine,
    Newline,
    Room,
    /// The span of keys.
    Start,
    End,
    NoCommand,
    Anonymise,
}
use self::Source::{
    Alias, AliasJson, AliasLine, Anonymise, End, Field, Mark, Newline, NoCommand, Room, Start, User,
    UserJson, UserLine,
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
        "UPDATE entries SET body = replace(replace(replace(body, $1, $2), $3, $4), $2, $1)
         WHERE room_id = $5 AND seq >= $6 AND seq < $7 AND body <> replace(body, $3, $4)",
        &[Field, Mark, UserJson, AliasJson, Room, Start, End],
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

const CONTROL: &[Sql] = &[(
    "UPDATE entries SET body = $1 WHERE room_id = $2 AND seq >= $3 AND seq < $4 AND kind = 5
        AND replace(body, $5, '') <> replace(replace(body, $5, ''), $6, '')",
    &[NoCommand, Room, Start, End, Field, UserJson],
)];

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
    (
        "UPDATE reports SET message = replace(replace(replace(message, $1, $2), $3, $4), $2, $1)
         WHERE message <> replace(message, $3, $4)",
        &[Field, Mark, UserJson, AliasJson],
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
    (
        "UPDATE notifications SET body = replace(replace(replace(body, $1, $2), $3, $4), $2, $1)
         WHERE key >= $5 AND key < $6 AND body <> replace(body, $3, $4)",
        &[Field, Mark, UserJson, AliasJson, Start, End],
    ),
];

/// Events about the user go, those about their messages name the alias.
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
    (
        "UPDATE outbox SET body = replace(replace(replace(body, $1, $2), $3, $4), $2, $1)
         WHERE n >= $5 AND n < $6 AND body <> replace(body, $3, $4)",
        &[Field, Mark, UserJson, AliasJson, Start, End],
    ),
];

/// Records about the user keep what happened and when, without its content.
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
    (
        "UPDATE audit SET before = replace(replace(replace(before, $1, $2), $3, $4), $2, $1),
            after = replace(replace(replace(after, $1, $2), $3, $4), $2, $1)
         WHERE id >= $5 AND id < $6
            AND (before <> replace(before, $3, $4) OR after <> replace(after, $3, $4))",
        &[Field, Mark, UserJson, AliasJson, Start, End],
    ),
];

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

/// Calls `run` with each statement of a step for the keys from `start` on. Answers the end of the span.
pub(crate) fn statements<E>(
    erasure: &Erasure,
    step: ErasureStep,
    start: i64,
    mut run: impl FnMut(Statement<'_>) -> Result<(), E>,
) -> Result<i64, E> {
    let (list, room) = match step {
        ErasureStep::Entries(room) => (ENTRIES, room),
        ErasureStep::Room(room) => (ROOM, room),
        ErasureStep::Control(room) => (CONTROL, room),
        ErasureStep::User => (USER, 0),
        ErasureStep::Notifications => (NOTIFICATIONS, 0),
        ErasureStep::Outbox => (OUTBOX, 0),
        ErasureStep::Audit => (AUDIT, 0),
    };
    #[cfg(feature = "planted-bugs")]
    let list = match step {
        ErasureStep::Entries(_) if crate::planted::is(crate::planted::Bug::KeepEntries) => &[],
        _ => list,
    };
    let end = start.saturating_add(SPAN);
    let (user, alias) = (&*erasure.user_id, &*erasure.alias);
    let [user_json, alias_json] = [user, alias].map(json_string);
    let field = if is_field(user) {
        format!("{user_json}:")
    } else {
        MARK.to_owned()
    };
    let [user_line, alias_line] = [user, alias].map(|id| format!("\n{id}\n"));
    for (sql, sources) in list {
        let param = |source: &Source| match source {
            User => Param::Text(user),
            Alias => Param::Text(alias),
            UserJson => Param::Text(&user_json),
            AliasJson => Param::Text(&alias_json),
            Field => Param::Text(&field),
            Mark => Param::Text(MARK),
            UserLine => Param::Text(&user_line),
            AliasLine => Param::Text(&alias_line),
            Newline => Param::Text("\n"),
            Room => Param::Int(room),
            Start => Param::Int(start),
            End => Param::Int(end),
            NoCommand => Param::Text(NO_COMMAND),
            Anonymise => Param::Int(erasure.anonymise.into()),
        };
        let params = sources.iter().map(param).collect();
        run(Statement { sql, params })?;
    }
    Ok(end)
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
        let lists = [ENTRIES, ROOM, CONTROL, USER, NOTIFICATIONS, OUTBOX, AUDIT];
        let statements: Vec<&str> = lists.iter().copied().flatten().map(|(sql, _)| *sql).collect();
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
