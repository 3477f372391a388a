//! Entries in their current state: as appended, with later edits, deletions and reactions.

use std::collections::HashMap;

use tokio_postgres::Row;

use super::{
    conn::Conn,
    failure::Failure,
    value::{Columns as _, num, plain, text},
};
use crate::{
    Edit, Entry, MessageState, REACTING_USERS, Reaction, Reactions, Recorded, RoomId,
    append::{DedupKey, RECORDED},
};

/// The columns of entry `e` that [`entry`] reads.
pub(super) const COLUMNS: &str = "e.seq, e.kind, e.target, e.at, e.user_id, e.client_id, e.user_name, e.body,
    coalesce(s.deleted, 0) = 1, x.body, x.at,
    e.kind = 0 AND EXISTS (SELECT 1 FROM reaction_counts c WHERE c.room_id = e.room_id AND c.seq = e.seq)";

/// The joins that [`COLUMNS`] need besides `entries e`.
pub(super) const STATE: &str = "LEFT JOIN message_states s ON s.room_id = e.room_id AND s.seq = e.seq
    LEFT JOIN entries x ON x.room_id = s.room_id AND x.seq = s.edit_seq";

/// An entry without its reactions, and whether it has any.
pub(super) struct Found {
    pub(super) room: RoomId,
    pub(super) entry: Entry,
    reacted: bool,
}

/// Reads the [`COLUMNS`] of a row, beginning with column `at`; `None` if they hold no entry.
pub(super) fn entry(row: &Row, at: usize, room: RoomId) -> Result<Option<Found>, Failure> {
    let Some(seq) = row.opt_num(at)? else {
        return Ok(None);
    };
    let edit = match row.opt_text(at + 9)? {
        Some(body) => Some(Edit {
            body,
            at: row.int(at + 10)?,
        }),
        None => None,
    };
    let entry = Entry {
        seq,
        kind: row.kind(at + 1)?,
        target: row.opt_num(at + 2)?,
        at: row.int(at + 3)?,
        user_id: row.text(at + 4)?,
        client_id: row.opt_text(at + 5)?,
        user_name: row.opt_text(at + 6)?,
        body: row.text(at + 7)?,
        state: MessageState {
            edit,
            deleted: row.flag(at + 8)?,
            reactions: Vec::new(),
        },
    };
    Ok(Some(Found {
        room,
        entry,
        reacted: row.flag(at + 11)?,
    }))
}

/// The entry `seq`; `None` if it is not kept.
pub(super) async fn get(conn: &Conn, room: RoomId, seq: u64) -> Result<Option<Entry>, Failure> {
    let sql = format!(
        "SELECT {COLUMNS} FROM entries e {STATE} WHERE e.room_id = $1 AND e.seq = $2
            AND e.seq >= (SELECT first FROM rooms WHERE id = $1)"
    );
    conn.begin_snapshot();
    let row = conn.row(&sql, &[&room, &num(seq)]).await?;
    let found = row.map(|row| entry(&row, 0, room)).transpose()?.flatten();
    let mut found: Vec<_> = found.into_iter().collect();
    fill(conn, &mut found).await?;
    conn.end_snapshot()?;
    Ok(found.pop().map(|found| found.entry))
}

/// The entry that was appended under a client id.
pub(super) async fn recorded(conn: &Conn, key: DedupKey<'_>) -> Result<Option<Recorded>, Failure> {
    let (room, user, client_id) = (key.0, text(key.1), text(key.2));
    let row = conn.row(RECORDED, &[&room, &&*user, &&*client_id]).await?;
    row.map(|row| {
        Ok(Recorded {
            seq: row.num(0)?,
            at: row.int(1)?,
            kind: row.kind(2)?,
            target: row.opt_num(3)?,
        })
    })
    .transpose()
}

/// Loads the reactions of all entries in one query; most pages have none.
pub(super) async fn fill(conn: &Conn, found: &mut [Found]) -> Result<(), Failure> {
    let sql = format!(
        "SELECT c.room_id, c.seq, c.emoji, c.users, ARRAY(SELECT r.user_id FROM reactions r
            WHERE r.room_id = c.room_id AND r.seq = c.seq AND r.emoji = c.emoji
            ORDER BY r.user_id LIMIT greatest({REACTING_USERS} / c.different, 1))
         FROM (SELECT c.*, count(*) OVER (PARTITION BY c.room_id, c.seq) AS different
            FROM unnest($1::bigint[], $2::bigint[]) t (room_id, seq)
            JOIN reaction_counts c ON c.room_id = t.room_id AND c.seq = t.seq) c
         ORDER BY c.room_id, c.seq, c.first_seq"
    );
    let places: Vec<(i64, i64)> = found
        .iter()
        .filter(|found| found.reacted)
        .map(|found| (found.room, num(found.entry.seq)))
        .collect();
    if places.is_empty() {
        return Ok(());
    }
    let (rooms, seqs): (Vec<i64>, Vec<i64>) = places.into_iter().unzip();
    let mut reactions: HashMap<(RoomId, u64), Vec<Reactions>> = HashMap::new();
    for row in conn.rows(&sql, &[&rooms, &seqs]).await? {
        let users: Vec<String> = row.try_get(4)?;
        let reaction = Reactions {
            emoji: row.text(2)?,
            user_ids: users.into_iter().map(plain).collect(),
            count: row.num(3)?,
        };
        reactions
            .entry((row.int(0)?, row.num(1)?))
            .or_default()
            .push(reaction);
    }
    for found in found {
        if let Some(reactions) = reactions.remove(&(found.room, found.entry.seq)) {
            found.entry.state.reactions = reactions;
        }
    }
    Ok(())
}

/// Those of the reactions that the user has made, in one query.
pub(super) async fn own_reactions(
    conn: &Conn,
    user: &str,
    reactions: &[Reaction],
) -> Result<Vec<Reaction>, Failure> {
    const SQL: &str = "SELECT r.room_id, r.seq, r.emoji
        FROM unnest($1::bigint[], $2::bigint[], $3::text[]) AS t (room_id, seq, emoji)
        JOIN reactions r USING (room_id, seq, emoji) WHERE r.user_id = $4";
    let rooms: Vec<i64> = reactions.iter().map(|reaction| reaction.room).collect();
    let seqs: Vec<i64> = reactions.iter().map(|reaction| num(reaction.seq)).collect();
    let emojis: Vec<_> = reactions.iter().map(|reaction| text(&reaction.emoji)).collect();
    let own = |row: &Row| {
        Ok(Reaction {
            room: row.int(0)?,
            seq: row.num(1)?,
            emoji: row.text(2)?,
        })
    };
    let rows = conn.rows(SQL, &[&rooms, &seqs, &emojis, &text(user)]).await?;
    rows.iter().map(own).collect()
}
