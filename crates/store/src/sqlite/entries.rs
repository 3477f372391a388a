//! Entries in their current state: as appended, with later edits, deletions and reactions.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::column::Seq;
use crate::{
    Edit, Entry, MessageState, REACTING_USERS, Reaction, Reactions, Recorded, RoomId,
    append::{DedupKey, RECORDED},
};

/// The query whose rows [`appended`] reads, up to its `WHERE`.
pub(super) const SELECT: &str =
    "SELECT e.seq, e.kind, e.target, e.at, e.user_id, e.client_id, e.user_name, e.body FROM entries e";

/// An entry as appended. [`complete`] adds its current state.
pub(super) fn appended(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        seq: row.get::<_, Seq>(0)?.0,
        kind: row.get(1)?,
        target: row.get::<_, Option<Seq>>(2)?.map(|seq| seq.0),
        at: row.get(3)?,
        user_id: row.get(4)?,
        client_id: row.get(5)?,
        user_name: row.get(6)?,
        body: row.get(7)?,
        state: MessageState::default(),
    })
}

/// The entry `seq`; `None` if it is not kept.
pub(super) fn get(conn: &Connection, room: RoomId, seq: u64) -> rusqlite::Result<Option<Entry>> {
    const KEPT: &str =
        "WHERE e.room_id = ?1 AND e.seq = ?2 AND e.seq >= (SELECT first FROM rooms WHERE id = ?1)";
    let mut query = conn.prepare_cached(&format!("{SELECT} {KEPT}"))?;
    let mut entry = query.query_row(params![room, Seq(seq)], appended).optional()?;
    complete(conn, room, entry.as_mut_slice())?;
    Ok(entry)
}

/// The entry that was appended under a client id.
pub(super) fn recorded(conn: &Connection, key: DedupKey<'_>) -> rusqlite::Result<Option<Recorded>> {
    let mut query = conn.prepare_cached(RECORDED)?;
    let recorded = query.query_row(key, |row| {
        Ok(Recorded {
            seq: row.get::<_, Seq>(0)?.0,
            at: row.get(1)?,
            kind: row.get(2)?,
            target: row.get::<_, Option<Seq>>(3)?.map(|seq| seq.0),
        })
    });
    recorded.optional()
}

/// Adds the current state of entries in ascending order, in one query for all: most pages have no changes.
pub(super) fn complete(conn: &Connection, room: RoomId, entries: &mut [Entry]) -> rusqlite::Result<()> {
    const STATES: &str = "SELECT s.seq, s.deleted, x.body, x.at FROM message_states s
        LEFT JOIN entries x ON x.room_id = s.room_id AND x.seq = s.edit_seq
        WHERE s.room_id = ?1 AND s.seq >= ?2 AND s.seq <= ?3";
    const REACTED: &str =
        "SELECT DISTINCT seq FROM reaction_counts WHERE room_id = ?1 AND seq >= ?2 AND seq <= ?3";
    let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
        return Ok(());
    };
    let span = params![room, Seq(first.seq), Seq(last.seq)];
    let mut states = conn.prepare_cached(STATES)?;
    let mut rows = states.query(span)?;
    while let Some(row) = rows.next()? {
        // The page may lack entries within its range.
        if let Some(entry) = find(entries, row.get::<_, Seq>(0)?.0) {
            entry.state.deleted = row.get(1)?;
            if let Some(body) = row.get(2)? {
                let at = row.get(3)?;
                entry.state.edit = Some(Edit { body, at });
            }
        }
    }
    let mut reacted = conn.prepare_cached(REACTED)?;
    let mut rows = reacted.query(span)?;
    while let Some(row) = rows.next()? {
        if let Some(entry) = find(entries, row.get::<_, Seq>(0)?.0) {
            entry.state.reactions = reactions(conn, room, entry.seq)?;
        }
    }
    Ok(())
}

fn find(entries: &mut [Entry], seq: u64) -> Option<&mut Entry> {
    let at = entries.binary_search_by_key(&seq, |entry| entry.seq).ok()?;
    entries.get_mut(at)
}

fn reactions(conn: &Connection, room: RoomId, seq: u64) -> rusqlite::Result<Vec<Reactions>> {
    const COUNTS: &str =
        "SELECT emoji, users FROM reaction_counts WHERE room_id = ?1 AND seq = ?2 ORDER BY first_seq";
    const USERS: &str = "SELECT user_id FROM reactions WHERE room_id = ?1 AND seq = ?2 AND emoji = ?3
        ORDER BY user_id LIMIT ?4";
    let mut users = conn.prepare_cached(USERS)?;
    let counted = conn
        .prepare_cached(COUNTS)?
        .query_map(params![room, Seq(seq)], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, Seq>(1)?.0))
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let different = u32::try_from(counted.len()).unwrap_or(u32::MAX).max(1);
    let share = (REACTING_USERS / different).max(1);
    let mut reactions = Vec::with_capacity(counted.len());
    for (emoji, count) in counted {
        let user_ids = users
            .query_map(params![room, Seq(seq), emoji, share], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        reactions.push(Reactions {
            emoji,
            user_ids,
            count,
        });
    }
    Ok(reactions)
}

/// Those of the reactions that the user has made.
pub(super) fn own_reactions(
    conn: &Connection,
    user: &str,
    reactions: Vec<Reaction>,
) -> rusqlite::Result<Vec<Reaction>> {
    const SQL: &str =
        "SELECT 1 FROM reactions WHERE room_id = ?1 AND seq = ?2 AND emoji = ?3 AND user_id = ?4";
    let mut query = conn.prepare_cached(SQL)?;
    let mut own = Vec::new();
    for reaction in reactions {
        if query.exists(params![reaction.room, Seq(reaction.seq), reaction.emoji, user])? {
            own.push(reaction);
        }
    }
    Ok(own)
}
