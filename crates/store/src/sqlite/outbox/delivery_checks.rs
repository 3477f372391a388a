//! Members who have not acknowledged a message. Each message is checked twice: soon for members who are
//! away, then for all.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::write;
use crate::{
    DeliveryCheck, NewEntry, OutboxOptions, RecordKind, RoomId, UndeliveredReport,
    outbox::{RecordContent, STILL_WAITING},
    sqlite::{
        batch::Batch,
        column::Seq,
        write::{Weight, Write},
    },
};

/// Schedules the first check of a new message.
pub(super) fn schedule(
    conn: &Connection,
    options: &OutboxOptions,
    entry: &NewEntry,
    seq: u64,
) -> rusqlite::Result<()> {
    // A number is reused only after a failed commit, so a conflicting row is a leftover.
    const SQL: &str =
        "INSERT OR REPLACE INTO delivery_checks (room_id, seq, due_at, is_last) VALUES (?1, ?2, ?3, ?4)";
    let only_one = options.last_check_ms <= options.first_check_ms;
    let first = options.first_check_ms.min(options.last_check_ms);
    let due = entry.at.saturating_add(first);
    conn.prepare_cached(SQL)?
        .execute(params![entry.room, Seq(seq), due, only_one])?;
    Ok(())
}

pub(in crate::sqlite) fn due(
    conn: &Connection,
    now: i64,
    limit: u32,
    members_max: u32,
) -> rusqlite::Result<Vec<DeliveryCheck>> {
    const SQL: &str =
        "SELECT room_id, seq, is_last FROM delivery_checks WHERE due_at <= ?1 ORDER BY due_at LIMIT ?2";
    let check = |row: &Row<'_>| {
        Ok(DeliveryCheck {
            room: row.get(0)?,
            seq: row.get::<_, Seq>(1)?.0,
            last: row.get(2)?,
            waiting: Vec::new(),
        })
    };
    let mut checks: Vec<_> = conn
        .prepare_cached(SQL)?
        .query_map(params![now, limit], check)?
        .collect::<rusqlite::Result<_>>()?;
    for check in &mut checks {
        if members_within(conn, check.room, members_max)? {
            check.waiting = waiting(conn, check.room, check.seq)?;
        }
    }
    Ok(checks)
}

fn members_within(conn: &Connection, room: RoomId, most: u32) -> rusqlite::Result<bool> {
    const SQL: &str = "SELECT count(*) <= ?2 FROM
        (SELECT 1 FROM members INDEXED BY members_active
            WHERE room_id = ?1 AND active = 1 LIMIT ?2 + 1)";
    conn.prepare_cached(SQL)?
        .query_row(params![room, most], |row| row.get(0))
}

fn waiting(conn: &Connection, room: RoomId, seq: u64) -> rusqlite::Result<Vec<String>> {
    conn.prepare_cached(&format!(
        "SELECT m.user_id FROM entries e JOIN members m INDEXED BY members_active ON {STILL_WAITING}
         WHERE e.room_id = ?1 AND e.seq = ?2"
    ))?
    .query_map(params![room, Seq(seq)], |row| row.get(0))?
    .collect()
}

pub(super) struct Reports(pub(super) Vec<UndeliveredReport>);

impl Write for Reports {
    type Answer = u64;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<u64> {
        let mut reported = 0;
        for report in &self.0 {
            reported += apply(batch, report)?;
        }
        Ok(reported)
    }

    fn weight(&self) -> Weight {
        let users = self.0.iter().map(|report| report.users.len() + 1).sum::<usize>();
        Weight {
            writes: users,
            bytes: users.saturating_mul(256),
        }
    }
}

/// What a record holds of a message.
struct Message {
    at: i64,
    user_id: String,
    user_name: Option<String>,
    client_id: Option<String>,
    body: String,
}

/// Writes one record for all members who still wait. Returns how many they are.
fn apply(batch: &mut Batch<'_>, report: &UndeliveredReport) -> rusqlite::Result<u64> {
    const DONE: &str = "DELETE FROM delivery_checks WHERE room_id = ?1 AND seq = ?2";
    const AGAIN: &str = "UPDATE delivery_checks SET due_at = ?3, is_last = 1 WHERE room_id = ?1 AND seq = ?2";
    const REPORTED: &str = "INSERT INTO reported_recipients (room_id, seq, user_id) VALUES (?1, ?2, ?3)";
    let (conn, options) = (batch.conn, batch.outbox);
    let Some(room) = batch.room(report.room)? else {
        return Ok(0);
    };
    let kept = report.seq >= room.row.first;
    let Some(message) = message(conn, report.room, report.seq)?.filter(|_| kept) else {
        conn.prepare_cached(DONE)?
            .execute(params![report.room, Seq(report.seq)])?;
        return Ok(0);
    };
    let mut recipients = Vec::new();
    for user in &report.users {
        if still_waits(conn, report, user)? {
            recipients.push(user.clone());
        }
    }
    if !recipients.is_empty() {
        let content = RecordContent {
            seq: Some(report.seq),
            user_id: Some(&message.user_id),
            user_name: message.user_name.as_deref(),
            client_id: message.client_id.as_deref(),
            recipients: &recipients,
            body: Some(&message.body),
            ..RecordContent::of_room(&room.row)
        };
        write(
            conn,
            options,
            RecordKind::MessageUndelivered,
            message.at,
            &content,
        )?;
    }
    if report.last {
        conn.prepare_cached(DONE)?
            .execute(params![report.room, Seq(report.seq)])?;
    } else {
        for user in &recipients {
            conn.prepare_cached(REPORTED)?
                .execute(params![report.room, Seq(report.seq), user])?;
        }
        let due = message.at.saturating_add(options.last_check_ms);
        conn.prepare_cached(AGAIN)?
            .execute(params![report.room, Seq(report.seq), due])?;
    }
    batch.recorded = true;
    Ok(recipients.len() as u64)
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

fn still_waits(conn: &Connection, report: &UndeliveredReport, user: &str) -> rusqlite::Result<bool> {
    conn.prepare_cached(&format!(
        "SELECT EXISTS (SELECT 1 FROM delivery_checks u
            JOIN entries e ON e.room_id = u.room_id AND e.seq = u.seq
            JOIN members m ON {STILL_WAITING}
            WHERE u.room_id = ?1 AND u.seq = ?2 AND u.is_last = ?4 AND m.user_id = ?3)"
    ))?
    .query_row(params![report.room, Seq(report.seq), user, report.last], |row| {
        row.get(0)
    })
}
