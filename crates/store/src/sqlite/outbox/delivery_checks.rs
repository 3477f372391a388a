//! Who has not acknowledged a message: it is looked at twice, once for those who are away, once for all.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Facts, write};
use crate::{
    DeliveryCheck, NewEntry, OutboxOptions, RecordKind, RoomId, UndeliveredReport,
    sqlite::{
        batch::Batch,
        column::Seq,
        writer::{Weight, Write},
    },
};

/// Marks a new message for its looks.
pub(super) fn watch(
    conn: &Connection,
    options: &OutboxOptions,
    entry: &NewEntry,
    seq: u64,
) -> rusqlite::Result<()> {
    // Numbers are given anew only after the entry of a failed commit is gone, so a conflict is a left-over.
    const SQL: &str =
        "INSERT OR REPLACE INTO delivery_checks (room_id, seq, due_at, is_last) VALUES (?1, ?2, ?3, ?4)";
    let only_one = options.last_check_ms <= options.first_check_ms;
    let first = options.first_check_ms.min(options.last_check_ms);
    let due = entry.at.saturating_add(first);
    conn.prepare_cached(SQL)?
        .execute(params![entry.room, Seq(seq), due, only_one])?;
    Ok(())
}

pub(super) fn due(
    conn: &Connection,
    now: i64,
    limit: u32,
    members_max: u32,
) -> rusqlite::Result<Vec<DeliveryCheck>> {
    const SQL: &str =
        "SELECT room_id, seq, is_last FROM delivery_checks WHERE due_at <= ?1 ORDER BY due_at LIMIT ?2";
    let look = |row: &Row<'_>| {
        Ok(DeliveryCheck {
            room: row.get(0)?,
            seq: row.get::<_, Seq>(1)?.0,
            last: row.get(2)?,
            waiting: Vec::new(),
        })
    };
    let mut looks: Vec<_> = conn
        .prepare_cached(SQL)?
        .query_map(params![now, limit], look)?
        .collect::<rusqlite::Result<_>>()?;
    for look in &mut looks {
        if members_within(conn, look.room, members_max)? {
            look.waiting = waiting(conn, look.room, look.seq)?;
        }
    }
    Ok(looks)
}

fn members_within(conn: &Connection, room: RoomId, most: u32) -> rusqlite::Result<bool> {
    const SQL: &str = "SELECT count(*) <= ?2 FROM
        (SELECT 1 FROM members WHERE room_id = ?1 AND active = 1 LIMIT ?2 + 1)";
    conn.prepare_cached(SQL)?
        .query_row(params![room, most], |row| row.get(0))
}

/// The condition under which member `m` has yet to acknowledge entry `e`.
const STILL_WAITING: &str = "m.room_id = e.room_id AND m.active = 1 AND m.delivered_seq < e.seq
    AND m.joined_at <= e.at AND m.user_id <> e.user_id
    AND NOT EXISTS (SELECT 1 FROM message_states s
        WHERE s.room_id = e.room_id AND s.seq = e.seq AND s.deleted = 1)
    AND NOT EXISTS (SELECT 1 FROM reported_recipients a
        WHERE a.room_id = e.room_id AND a.seq = e.seq AND a.user_id = m.user_id)";

fn waiting(conn: &Connection, room: RoomId, seq: u64) -> rusqlite::Result<Vec<String>> {
    conn.prepare_cached(&format!(
        "SELECT m.user_id FROM entries e JOIN members m ON {STILL_WAITING} WHERE e.room_id = ?1 AND e.seq = ?2"
    ))?
    .query_map(params![room, Seq(seq)], |row| row.get(0))?
    .collect()
}

pub(super) struct Alerts(pub(super) Vec<UndeliveredReport>);

impl Write for Alerts {
    type Answer = u64;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<u64> {
        let mut alerted = 0;
        for alert in &self.0 {
            alerted += apply(batch, alert)?;
        }
        Ok(alerted)
    }

    fn weight(&self) -> Weight {
        let users = self.0.iter().map(|alert| alert.users.len() + 1).sum::<usize>();
        Weight {
            writes: users,
            bytes: users.saturating_mul(256),
        }
    }
}

/// A message as a record tells it.
struct Message {
    at: i64,
    user_id: String,
    user_name: Option<String>,
    client_id: Option<String>,
    body: String,
}

fn apply(batch: &mut Batch<'_>, alert: &UndeliveredReport) -> rusqlite::Result<u64> {
    const OVER: &str = "DELETE FROM delivery_checks WHERE room_id = ?1 AND seq = ?2";
    const AGAIN: &str = "UPDATE delivery_checks SET due_at = ?3, is_last = 1 WHERE room_id = ?1 AND seq = ?2";
    let (conn, options) = (batch.conn, batch.outbox);
    let Some(room) = batch.room(alert.room)? else {
        return Ok(0);
    };
    let place = params![alert.room, Seq(alert.seq)];
    let kept = alert.seq >= room.row.first;
    let Some(message) = message(conn, alert.room, alert.seq)?.filter(|_| kept) else {
        conn.prepare_cached(OVER)?.execute(place)?;
        return Ok(0);
    };
    let mut alerted = 0;
    for user in &alert.users {
        if !still_waits(conn, alert, user)? {
            continue;
        }
        let facts = Facts {
            seq: Some(alert.seq),
            user_id: Some(&message.user_id),
            user_name: message.user_name.as_deref(),
            client_id: message.client_id.as_deref(),
            recipient: Some(user),
            body: Some(&message.body),
            ..Facts::of_room(&room.row)
        };
        alerted += u64::from(write(
            conn,
            options,
            RecordKind::MessageUndelivered,
            message.at,
            &facts,
        )?);
        if !alert.last {
            conn.prepare_cached(
                "INSERT INTO reported_recipients (room_id, seq, user_id) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![alert.room, Seq(alert.seq), user])?;
        }
    }
    if alert.last {
        conn.prepare_cached(OVER)?.execute(place)?;
    } else {
        let due = message.at.saturating_add(options.last_check_ms);
        conn.prepare_cached(AGAIN)?
            .execute(params![alert.room, Seq(alert.seq), due])?;
    }
    batch.recorded = true;
    Ok(alerted)
}

fn message(conn: &Connection, room: RoomId, seq: u64) -> rusqlite::Result<Option<Message>> {
    const SQL: &str = "SELECT at, user_id, user_name, client_id, body FROM entries
        WHERE room_id = ?1 AND seq = ?2";
    conn.prepare_cached(SQL)?
        .query_row(params![room, Seq(seq)], |row| {
            Ok(Message {
                at: row.get(0)?,
                user_id: row.get(1)?,
                user_name: row.get(2)?,
                client_id: row.get(3)?,
                body: row.get(4)?,
            })
        })
        .optional()
}

fn still_waits(conn: &Connection, alert: &UndeliveredReport, user: &str) -> rusqlite::Result<bool> {
    conn.prepare_cached(&format!(
        "SELECT EXISTS (SELECT 1 FROM delivery_checks u
            JOIN entries e ON e.room_id = u.room_id AND e.seq = u.seq
            JOIN members m ON {STILL_WAITING}
            WHERE u.room_id = ?1 AND u.seq = ?2 AND u.is_last = ?4 AND m.user_id = ?3)"
    ))?
    .query_row(params![alert.room, Seq(alert.seq), user, alert.last], |row| {
        row.get(0)
    })
}
