//! What an entry does besides taking its place in the log: mentions, edits, deletes, reactions.

use rusqlite::{Connection, OptionalExtension, params};

use super::column::Seq;
use crate::{Appended, EntryKind, NewEntry, Rejected, RoomId};

/// Whether an entry that changes a message may be appended; `Err` holds the answer if not. `first` is the oldest entry
/// that is kept.
pub(super) fn check(
    conn: &Connection,
    entry: &NewEntry,
    first: u64,
    most: u32,
) -> rusqlite::Result<Result<(), Result<Appended, Rejected>>> {
    let target = entry.target.filter(|target| *target >= first);
    let Some(target) = target else {
        return Ok(Err(Err(Rejected::NoSuchMessage)));
    };
    if !is_live(conn, entry.room, target)? {
        return Ok(Err(Err(Rejected::NoSuchMessage)));
    }
    let EntryKind::Reaction { removed } = entry.kind else {
        return Ok(Ok(()));
    };
    if has_reacted(conn, entry, target)? != removed {
        return Ok(Err(Ok(Appended::Unchanged)));
    }
    if !removed && is_full(conn, entry, target, most)? {
        return Ok(Err(Err(Rejected::TooManyReactions)));
    }
    Ok(Ok(()))
}

/// Whether it is a message that is not deleted.
fn is_live(conn: &Connection, room: RoomId, seq: u64) -> rusqlite::Result<bool> {
    const SQL: &str = "SELECT e.kind = 0 AND coalesce(s.deleted, 0) = 0 FROM entries e
        LEFT JOIN message_states s ON s.room_id = e.room_id AND s.seq = e.seq
        WHERE e.room_id = ?1 AND e.seq = ?2";
    let live = conn
        .prepare_cached(SQL)?
        .query_row(params![room, Seq(seq)], |row| row.get(0))
        .optional()?;
    Ok(live.unwrap_or(false))
}

fn has_reacted(conn: &Connection, entry: &NewEntry, target: u64) -> rusqlite::Result<bool> {
    conn.prepare_cached(
        "SELECT 1 FROM reactions WHERE room_id = ?1 AND seq = ?2 AND emoji = ?3 AND user_id = ?4",
    )?
    .exists(params![entry.room, Seq(target), entry.body, entry.user_id])
}

/// Whether the message has `most` reactions, none of them this one.
fn is_full(conn: &Connection, entry: &NewEntry, target: u64, most: u32) -> rusqlite::Result<bool> {
    const SQL: &str = "SELECT count(*), coalesce(sum(emoji = ?3), 0) FROM reaction_counts
        WHERE room_id = ?1 AND seq = ?2";
    let (different, alike) = conn
        .prepare_cached(SQL)?
        .query_row(params![entry.room, Seq(target), entry.body], |row| {
            Ok((row.get::<_, u32>(0)?, row.get::<_, u32>(1)?))
        })?;
    Ok(alike == 0 && different >= most)
}

/// The entry is in the log at `seq`: what it says takes effect.
pub(super) fn apply(conn: &Connection, entry: &NewEntry, seq: u64) -> rusqlite::Result<()> {
    match (entry.kind, entry.target) {
        (EntryKind::Message, _) => mention(conn, entry, seq),
        (EntryKind::Edit, Some(target)) => edit(conn, entry.room, target, seq),
        (EntryKind::Delete, Some(target)) => delete(conn, entry.room, target),
        (EntryKind::Reaction { removed: false }, Some(target)) => react(conn, entry, target, seq),
        (EntryKind::Reaction { removed: true }, Some(target)) => take_back(conn, entry, target),
        // It was checked that there is a target, where one is needed.
        (EntryKind::Control, _) | (_, None) => Ok(()),
    }
}

fn mention(conn: &Connection, entry: &NewEntry, seq: u64) -> rusqlite::Result<()> {
    if entry.mentions.is_empty() {
        return Ok(());
    }
    let mut insert =
        conn.prepare_cached("INSERT OR IGNORE INTO mentions (room_id, seq, user_id) VALUES (?1, ?2, ?3)")?;
    for user in entry.mentions.iter().filter(|user| **user != entry.user_id) {
        insert.execute(params![entry.room, Seq(seq), user])?;
    }
    Ok(())
}

fn edit(conn: &Connection, room: RoomId, target: u64, seq: u64) -> rusqlite::Result<()> {
    const SQL: &str = "INSERT INTO message_states (room_id, seq, author, edit_seq)
        SELECT room_id, seq, user_id, ?3 FROM entries WHERE room_id = ?1 AND seq = ?2
        ON CONFLICT (room_id, seq) DO UPDATE SET edit_seq = excluded.edit_seq";
    conn.prepare_cached(SQL)?
        .execute(params![room, Seq(target), Seq(seq)])?;
    Ok(())
}

/// Nothing of what the message said stays behind.
fn delete(conn: &Connection, room: RoomId, target: u64) -> rusqlite::Result<()> {
    for sql in [
        "INSERT INTO message_states (room_id, seq, author, deleted)
            SELECT room_id, seq, user_id, 1 FROM entries WHERE room_id = ?1 AND seq = ?2
            ON CONFLICT (room_id, seq) DO UPDATE SET edit_seq = NULL, deleted = 1",
        "UPDATE entries SET body = '' WHERE room_id = ?1 AND seq = ?2",
        "UPDATE entries SET body = '' WHERE room_id = ?1 AND target = ?2 AND kind = 1",
        "DELETE FROM mentions WHERE room_id = ?1 AND seq = ?2",
        "DELETE FROM reactions WHERE room_id = ?1 AND seq = ?2",
        "DELETE FROM reaction_counts WHERE room_id = ?1 AND seq = ?2",
    ] {
        conn.prepare_cached(sql)?.execute(params![room, Seq(target)])?;
    }
    Ok(())
}

fn react(conn: &Connection, entry: &NewEntry, target: u64, seq: u64) -> rusqlite::Result<()> {
    const USER: &str = "INSERT INTO reactions (room_id, seq, emoji, user_id) VALUES (?1, ?2, ?3, ?4)";
    const COUNT: &str = "INSERT INTO reaction_counts (room_id, seq, emoji, users, first_seq)
        VALUES (?1, ?2, ?3, 1, ?4)
        ON CONFLICT (room_id, seq, emoji) DO UPDATE SET users = users + 1";
    conn.prepare_cached(USER)?
        .execute(params![entry.room, Seq(target), entry.body, entry.user_id])?;
    conn.prepare_cached(COUNT)?
        .execute(params![entry.room, Seq(target), entry.body, Seq(seq)])?;
    Ok(())
}

fn take_back(conn: &Connection, entry: &NewEntry, target: u64) -> rusqlite::Result<()> {
    let reaction = params![entry.room, Seq(target), entry.body];
    conn.prepare_cached(
        "DELETE FROM reactions WHERE room_id = ?1 AND seq = ?2 AND emoji = ?3 AND user_id = ?4",
    )?
    .execute(params![entry.room, Seq(target), entry.body, entry.user_id])?;
    for sql in [
        "UPDATE reaction_counts SET users = users - 1 WHERE room_id = ?1 AND seq = ?2 AND emoji = ?3",
        "DELETE FROM reaction_counts WHERE room_id = ?1 AND seq = ?2 AND emoji = ?3 AND users = 0",
    ] {
        conn.prepare_cached(sql)?.execute(reaction)?;
    }
    Ok(())
}
