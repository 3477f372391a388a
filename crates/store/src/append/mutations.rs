//! The statements that carry out edits, deletes, reactions and retention, in SQL that both stores read.
//!
//! SQLite numbers parameters of the form `$n` by where they first occur, so each statement names them in
//! ascending order.

use super::{dedup::is_erased, room_bounds::Sweep};
use crate::{EntryKind, NewEntry, RoomId, numbers::column};

/// A statement with its parameters.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Statement<'a> {
    pub(crate) sql: &'static str,
    pub(crate) params: Vec<Param<'a>>,
}

/// The value of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Param<'a> {
    Int(i64),
    Text(&'a str),
    OptInt(Option<i64>),
    OptText(Option<&'a str>),
}

const EDIT: &str = "INSERT INTO message_states AS s (edit_seq, rewritten, room_id, seq, author, edits)
    SELECT $1, $2, room_id, seq, user_id, 1 FROM entries WHERE room_id = $3 AND seq = $4
    ON CONFLICT (room_id, seq) DO UPDATE
        SET edit_seq = excluded.edit_seq, rewritten = excluded.rewritten, edits = s.edits + 1";
const REWRITE: &str = "UPDATE entries SET body = $1 WHERE room_id = $2 AND seq = $3";
/// Erases the earlier texts of an edited message.
pub(crate) const ERASE_EDITS: &str =
    "UPDATE entries SET body = '' WHERE room_id = $1 AND target = $2 AND kind = 1 AND seq < $3";
/// Erases all texts of the edits of a message.
pub(crate) const ERASE_ALL_EDITS: &str =
    "UPDATE entries SET body = '' WHERE room_id = $1 AND target = $2 AND kind = 1";
/// Erases everything that the message said, and counts the deletion for its author and for all.
const DELETE: [&str; 11] = [
    "INSERT INTO deletion_counts AS c (room_id, user_id, size, last_seq, messages)
        SELECT e.room_id, CASE w.own WHEN 1 THEN e.user_id ELSE '' END, b.size, e.seq | (b.size - 1), 1
        FROM entries e CROSS JOIN (SELECT 128 AS size UNION ALL SELECT 16384) b
        CROSS JOIN (SELECT 0 AS own UNION ALL SELECT 1) w WHERE e.room_id = $1 AND e.seq = $2
        ON CONFLICT (room_id, user_id, size, last_seq) DO UPDATE SET messages = c.messages + 1",
    "INSERT INTO message_states (room_id, seq, author, deleted)
        SELECT room_id, seq, user_id, 1 FROM entries WHERE room_id = $1 AND seq = $2
        ON CONFLICT (room_id, seq) DO UPDATE SET edit_seq = NULL, deleted = 1",
    "UPDATE entries SET body = '' WHERE room_id = $1 AND seq = $2",
    ERASE_ALL_EDITS,
    // Rows with a count of zero go, since they would show whom the erased text mentioned.
    "DELETE FROM mention_counts WHERE room_id = $1
        AND user_id IN (SELECT user_id FROM mentions WHERE room_id = $1 AND seq = $2)
        AND size = 128 AND last_seq = ($2 | 127) AND messages = 1",
    "UPDATE mention_counts SET messages = messages - 1 WHERE room_id = $1
        AND user_id IN (SELECT user_id FROM mentions WHERE room_id = $1 AND seq = $2)
        AND size = 128 AND last_seq = ($2 | 127)",
    "DELETE FROM mention_counts WHERE room_id = $1
        AND user_id IN (SELECT user_id FROM mentions WHERE room_id = $1 AND seq = $2)
        AND size = 16384 AND last_seq = ($2 | 16383) AND messages = 1",
    "UPDATE mention_counts SET messages = messages - 1 WHERE room_id = $1
        AND user_id IN (SELECT user_id FROM mentions WHERE room_id = $1 AND seq = $2)
        AND size = 16384 AND last_seq = ($2 | 16383)",
    "DELETE FROM mentions WHERE room_id = $1 AND seq = $2",
    "DELETE FROM reactions WHERE room_id = $1 AND seq = $2",
    "DELETE FROM reaction_counts WHERE room_id = $1 AND seq = $2",
];
const REACT: &str = "INSERT INTO reactions (room_id, seq, emoji, user_id) VALUES ($1, $2, $3, $4)";
const COUNT_UP: &str = "INSERT INTO reaction_counts AS c (room_id, seq, emoji, users, first_seq)
    VALUES ($1, $2, $3, 1, $4) ON CONFLICT (room_id, seq, emoji) DO UPDATE SET users = c.users + 1";
const TAKE_BACK: &str =
    "DELETE FROM reactions WHERE room_id = $1 AND seq = $2 AND emoji = $3 AND user_id = $4";
const COUNT_DOWN: [&str; 2] = [
    "UPDATE reaction_counts SET users = users - 1 WHERE room_id = $1 AND seq = $2 AND emoji = $3",
    "DELETE FROM reaction_counts WHERE room_id = $1 AND seq = $2 AND emoji = $3 AND users = 0",
];
/// Keeps the dedup records of entries that are about to be deleted.
const KEEP_DEDUP: &str = concat!(
    "INSERT INTO dedup_records (room_id, seq, kind, at, target, user_id, client_id, fingerprint)
    SELECT e.room_id, e.seq, e.kind, e.at, e.target, e.user_id, e.client_id,
        CASE WHEN ",
    is_erased!(),
    " THEN NULL ELSE text_fingerprint(e.client_id, e.body) END
    FROM entries e WHERE e.room_id = $1 AND e.seq >= $2 AND e.seq < $3 AND e.at >= $4
        AND e.client_id IS NOT NULL
    ON CONFLICT DO NOTHING"
);
/// Deletes up to `$3` of a room's oldest dedup records: those before an entry.
const DEDUP_BEFORE: &str = "DELETE FROM dedup_records WHERE room_id = $1 AND seq < $2 AND seq <=
    (SELECT max(seq) FROM (SELECT seq FROM dedup_records WHERE room_id = $1 ORDER BY seq LIMIT $3) oldest)";
/// The same for those from before a time.
const DEDUP_OLDER: &str = "DELETE FROM dedup_records WHERE room_id = $1 AND at < $2 AND seq <=
    (SELECT max(seq) FROM (SELECT seq FROM dedup_records WHERE room_id = $1 ORDER BY seq LIMIT $3) oldest)";
/// Deletes up to 1,000 counts of daily quotas from before day `$1`.
pub(crate) const FORGET_USAGE: &str = "DELETE FROM user_usage WHERE user_id IN
    (SELECT user_id FROM user_usage WHERE day < $1 LIMIT 1000)";
const DEDUP_ALL: &str = "DELETE FROM dedup_records WHERE room_id = $1";
const SWEEP: [&str; 7] = [
    "DELETE FROM message_states WHERE room_id = $1 AND seq >= $2 AND seq < $3",
    "DELETE FROM reactions WHERE room_id = $1 AND seq >= $2 AND seq < $3",
    "DELETE FROM reaction_counts WHERE room_id = $1 AND seq >= $2 AND seq < $3",
    "DELETE FROM mentions WHERE room_id = $1 AND seq >= $2 AND seq < $3",
    "DELETE FROM deletion_counts WHERE room_id = $1 AND last_seq >= $2 AND last_seq < $3",
    "DELETE FROM mention_counts WHERE room_id = $1 AND last_seq >= $2 AND last_seq < $3",
    "DELETE FROM entries WHERE room_id = $1 AND seq >= $2 AND seq < $3",
];

/// What an entry with the number `seq` does to the message that it names, in this order. Empty for messages.
pub(crate) fn mutation(entry: &NewEntry, seq: u64) -> Vec<Statement<'_>> {
    let Some(target) = entry.target else {
        return Vec::new();
    };
    let message = [Param::Int(entry.room), Param::Int(column(target))];
    let (emoji, user) = (Param::Text(&entry.body), Param::Text(&entry.user_id));
    let seq = Param::Int(column(seq));
    match entry.kind {
        EntryKind::Message | EntryKind::Control => Vec::new(),
        EntryKind::Edit => {
            let rewritten = Param::Int(entry.replacement.is_some().into());
            let mut statements = vec![statement(EDIT, &[seq, rewritten], &message)];
            if let Some(body) = &entry.replacement {
                statements.push(statement(REWRITE, &[Param::Text(body)], &message));
                statements.push(statement(ERASE_EDITS, &message, &[seq]));
            }
            statements
        }
        EntryKind::Delete => DELETE.map(|sql| statement(sql, &message, &[])).into(),
        EntryKind::Reaction { removed: false } => vec![
            statement(REACT, &message, &[emoji, user]),
            statement(COUNT_UP, &message, &[emoji, seq]),
        ],
        EntryKind::Reaction { removed: true } => {
            let [lower, drop_empty] = COUNT_DOWN.map(|sql| statement(sql, &message, &[emoji]));
            vec![statement(TAKE_BACK, &message, &[emoji, user]), lower, drop_empty]
        }
    }
}

/// Deletes the rows of a room's entries in a span, the entries themselves last. Young ones leave their dedup
/// records.
pub(crate) fn sweep(sweep: &Sweep) -> Vec<Statement<'static>> {
    let span = [
        Param::Int(sweep.room),
        Param::Int(column(sweep.span.start)),
        Param::Int(column(sweep.span.end)),
    ];
    let keep = statement(KEEP_DEDUP, &span, &[Param::Int(sweep.dedup_from)]);
    let keep = (sweep.dedup_from < i64::MAX).then_some(keep);
    let delete = SWEEP.map(|sql| statement(sql, &span, &[]));
    keep.into_iter().chain(delete).collect()
}

/// Deletes all of a room's entries and dedup records.
pub(crate) fn removal(room: RoomId) -> Vec<Statement<'static>> {
    let mut statements = sweep(&Sweep {
        room,
        span: 0..u64::MAX,
        dedup_from: i64::MAX,
    });
    statements.push(statement(DEDUP_ALL, &[Param::Int(room)], &[]));
    statements
}

/// Deletes up to `limit` of a room's oldest dedup records: first those before the entry `before`, since the
/// room has too many, then those from before the time `older`.
pub(crate) fn forget_dedup(room: RoomId, before: u64, older: i64, limit: u64) -> [Statement<'static>; 2] {
    let limit = [Param::Int(column(limit))];
    [(DEDUP_BEFORE, column(before)), (DEDUP_OLDER, older)]
        .map(|(sql, bound)| statement(sql, &[Param::Int(room), Param::Int(bound)], &limit))
}

fn statement<'a>(sql: &'static str, first: &[Param<'a>], more: &[Param<'a>]) -> Statement<'a> {
    Statement {
        sql,
        params: [first, more].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers of the parameters in the order in which they first occur.
    fn first_occurrences(sql: &str) -> Vec<u32> {
        let mut seen = Vec::new();
        for rest in sql.split('$').skip(1) {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            let number = digits.parse().unwrap();
            if !seen.contains(&number) {
                seen.push(number);
            }
        }
        seen
    }

    #[test]
    fn statements_name_their_parameters_in_ascending_order() {
        let single = [
            EDIT,
            REWRITE,
            ERASE_EDITS,
            REACT,
            COUNT_UP,
            TAKE_BACK,
            KEEP_DEDUP,
            DEDUP_BEFORE,
            DEDUP_OLDER,
            DEDUP_ALL,
        ];
        for sql in single.iter().chain(&DELETE).chain(&COUNT_DOWN).chain(&SWEEP) {
            let occurrences = first_occurrences(sql);
            let ascending: Vec<u32> = (1..).take(occurrences.len()).collect();
            assert_eq!(occurrences, ascending, "{sql}");
        }
    }
}
