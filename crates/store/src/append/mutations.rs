//! The statements that carry out edits, deletes, reactions and retention, in SQL that both stores read.
//!
//! SQLite numbers parameters of the form `$n` by where they first occur, so each statement names them in
//! ascending order.

use std::ops::Range;

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
}

const EDIT: &str = "INSERT INTO message_states (edit_seq, rewritten, room_id, seq, author)
    SELECT $1, $2, room_id, seq, user_id FROM entries WHERE room_id = $3 AND seq = $4
    ON CONFLICT (room_id, seq) DO UPDATE SET edit_seq = excluded.edit_seq, rewritten = excluded.rewritten";
/// Erases the earlier texts of an edited message.
const REWRITE: &str = "UPDATE entries SET body = $1 WHERE room_id = $2 AND seq = $3";
const ERASE_EDITS: &str =
    "UPDATE entries SET body = '' WHERE room_id = $1 AND target = $2 AND kind = 1 AND seq < $3";
/// Erases everything that the message said.
const DELETE: [&str; 6] = [
    "INSERT INTO message_states (room_id, seq, author, deleted)
        SELECT room_id, seq, user_id, 1 FROM entries WHERE room_id = $1 AND seq = $2
        ON CONFLICT (room_id, seq) DO UPDATE SET edit_seq = NULL, deleted = 1",
    "UPDATE entries SET body = '' WHERE room_id = $1 AND seq = $2",
    "UPDATE entries SET body = '' WHERE room_id = $1 AND target = $2 AND kind = 1",
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
const SWEEP: [&str; 5] = [
    "DELETE FROM message_states WHERE room_id = $1 AND seq >= $2 AND seq < $3",
    "DELETE FROM reactions WHERE room_id = $1 AND seq >= $2 AND seq < $3",
    "DELETE FROM reaction_counts WHERE room_id = $1 AND seq >= $2 AND seq < $3",
    "DELETE FROM mentions WHERE room_id = $1 AND seq >= $2 AND seq < $3",
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

/// Deletes the rows of a room's entries in a span, the entries themselves last.
pub(crate) fn sweep(room: RoomId, span: &Range<u64>) -> [Statement<'static>; 5] {
    let params = [
        Param::Int(room),
        Param::Int(column(span.start)),
        Param::Int(column(span.end)),
    ];
    SWEEP.map(|sql| statement(sql, &params, &[]))
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
        let single = [EDIT, REWRITE, ERASE_EDITS, REACT, COUNT_UP, TAKE_BACK];
        for sql in single.iter().chain(&DELETE).chain(&COUNT_DOWN).chain(&SWEEP) {
            let occurrences = first_occurrences(sql);
            let ascending: Vec<u32> = (1..).take(occurrences.len()).collect();
            assert_eq!(occurrences, ascending, "{sql}");
        }
    }
}
