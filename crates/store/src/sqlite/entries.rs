//! Entries as they are now: what was appended, with what became of it since.

use rusqlite::{CachedStatement, Connection, Row, params};

use super::column::Seq;
use crate::{Edit, Entry, MessageState, REACTING_USERS, Reactions, RoomId};

/// What [`Reader::entry`] reads, up to the `WHERE`.
pub(super) const SELECT: &str =
    "SELECT e.seq, e.kind, e.target, e.at, e.user_id, e.client_id, e.user_name, e.body,
        coalesce(s.deleted, 0), x.body, x.at,
        e.kind = 0 AND EXISTS (SELECT 1 FROM reaction_counts c WHERE c.room_id = e.room_id AND c.seq = e.seq)
    FROM entries e
    LEFT JOIN message_states s ON s.room_id = e.room_id AND s.seq = e.seq
    LEFT JOIN entries x ON x.room_id = s.room_id AND x.seq = s.edited";

/// The entry `seq`, if it is kept.
pub(super) fn get(conn: &Connection, room: RoomId, seq: u64) -> rusqlite::Result<Option<Entry>> {
    const KEPT: &str =
        "WHERE e.room_id = ?1 AND e.seq = ?2 AND e.seq >= (SELECT first FROM rooms WHERE id = ?1)";
    let mut query = conn.prepare_cached(&format!("{SELECT} {KEPT}"))?;
    let mut rows = query.query(params![room, Seq(seq)])?;
    let mut reader = Reader::new(conn, room);
    rows.next()?.map(|row| reader.entry(row)).transpose()
}

/// Makes entries of the rows of [`SELECT`].
pub(super) struct Reader<'c> {
    conn: &'c Connection,
    room: RoomId,
    /// Most pages have no reactions: prepared when there is one.
    reactions: Option<[CachedStatement<'c>; 2]>,
}

impl<'c> Reader<'c> {
    pub(super) fn new(conn: &'c Connection, room: RoomId) -> Self {
        Self {
            conn,
            room,
            reactions: None,
        }
    }

    pub(super) fn entry(&mut self, row: &Row<'_>) -> rusqlite::Result<Entry> {
        let seq = row.get::<_, Seq>(0)?.0;
        let edit = match row.get(9)? {
            Some(body) => Some(Edit {
                body,
                at: row.get(10)?,
            }),
            None => None,
        };
        let state = MessageState {
            edit,
            deleted: row.get(8)?,
            reactions: if row.get(11)? {
                self.reactions(seq)?
            } else {
                Vec::new()
            },
        };
        Ok(Entry {
            seq,
            kind: row.get(1)?,
            target: row.get::<_, Option<Seq>>(2)?.map(|seq| seq.0),
            at: row.get(3)?,
            user_id: row.get(4)?,
            client_id: row.get(5)?,
            user_name: row.get(6)?,
            body: row.get(7)?,
            state,
        })
    }

    fn reactions(&mut self, seq: u64) -> rusqlite::Result<Vec<Reactions>> {
        const COUNTS: &str =
            "SELECT emoji, users FROM reaction_counts WHERE room_id = ?1 AND seq = ?2 ORDER BY since";
        const USERS: &str = "SELECT user_id FROM reactions WHERE room_id = ?1 AND seq = ?2 AND emoji = ?3
            ORDER BY user_id LIMIT ?4";
        let [counts, users] = match &mut self.reactions {
            Some(prepared) => prepared,
            unprepared => unprepared.insert([
                self.conn.prepare_cached(COUNTS)?,
                self.conn.prepare_cached(USERS)?,
            ]),
        };
        let counted = counts
            .query_map(params![self.room, Seq(seq)], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, Seq>(1)?.0))
            })?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        let different = u32::try_from(counted.len()).unwrap_or(u32::MAX).max(1);
        let share = (REACTING_USERS / different).max(1);
        let mut reactions = Vec::with_capacity(counted.len());
        for (emoji, count) in counted {
            let user_ids = users
                .query_map(params![self.room, Seq(seq), emoji, share], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            reactions.push(Reactions {
                emoji,
                user_ids,
                count,
            });
        }
        Ok(reactions)
    }
}
