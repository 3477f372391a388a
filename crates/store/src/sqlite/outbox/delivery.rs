//! The sinks' side of the outbox: lifecycle events in, due records out, outcomes back.

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    row::{COLUMNS, fill_recipients, record},
    write,
};
use crate::{
    LifecycleEvent, OnlineUser, Outcome, Record, RecordKind, Settled,
    outbox::{NEXT_DUE, RecordContent, due_sql},
    sqlite::{
        batch::Batch,
        write::{Weight, Write},
    },
};

pub(super) struct Events(pub(super) Vec<LifecycleEvent>);

impl Write for Events {
    type Answer = ();

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<()> {
        self.0.iter().try_for_each(|event| record_event(batch, event))
    }

    fn weight(&self) -> Weight {
        Weight {
            writes: self.0.len().max(1),
            bytes: self.0.len().saturating_mul(256),
        }
    }
}

fn record_event(batch: &mut Batch<'_>, event: &LifecycleEvent) -> rusqlite::Result<()> {
    const CAME: &str = "INSERT INTO online_users (user_id, user_name, since) VALUES (?1, ?2, ?3)
        ON CONFLICT (user_id) DO UPDATE SET user_name = coalesce(excluded.user_name, user_name)";
    let (conn, options) = (batch.conn, batch.outbox);
    let (kind, at) = match event {
        LifecycleEvent::UserOnline { at, .. } => (RecordKind::UserOnline, *at),
        LifecycleEvent::UserOffline { at, .. } => (RecordKind::UserOffline, *at),
        LifecycleEvent::RoomEmptied { at, .. } => (RecordKind::RoomEmptied, *at),
    };
    let content = match event {
        LifecycleEvent::UserOnline { user, name, at } => {
            // A user who counts as online already has a record.
            let known: bool = conn
                .prepare_cached("SELECT EXISTS (SELECT 1 FROM online_users WHERE user_id = ?1)")?
                .query_row([user], |row| row.get(0))?;
            conn.prepare_cached(CAME)?.execute(params![user, name, at])?;
            if known {
                return Ok(());
            }
            of_user(user, name.as_deref())
        }
        LifecycleEvent::UserOffline { user, name, .. } => {
            let removed = conn
                .prepare_cached("DELETE FROM online_users WHERE user_id = ?1")?
                .execute([user])?;
            if removed == 0 {
                return Ok(());
            }
            of_user(user, name.as_deref())
        }
        LifecycleEvent::RoomEmptied { room, .. } => match batch.room(*room)? {
            Some(room) => RecordContent::of_room(&room.row),
            None => return Ok(()),
        },
    };
    let written = write(conn, options, kind, at, &content)?;
    batch.recorded |= written;
    Ok(())
}

fn of_user<'a>(user: &'a str, name: Option<&'a str>) -> RecordContent<'a> {
    RecordContent {
        user_id: Some(user),
        user_name: name,
        ..RecordContent::default()
    }
}

pub(super) fn online(conn: &Connection, after: &str, limit: u32) -> rusqlite::Result<Vec<OnlineUser>> {
    conn.prepare_cached(
        "SELECT user_id, user_name FROM online_users WHERE user_id > ?1 ORDER BY user_id LIMIT ?2",
    )?
    .query_map(params![after, limit], |row| {
        Ok(OnlineUser {
            user_id: row.get(0)?,
            name: row.get(1)?,
        })
    })?
    .collect()
}

pub(super) fn due(
    conn: &Connection,
    sink: &str,
    now: i64,
    latest: i64,
    limit: u32,
) -> rusqlite::Result<Vec<Record>> {
    let mut records = conn
        .prepare_cached(&due_sql(COLUMNS))?
        .query_map(params![sink, now, limit, latest], record)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    fill_recipients(conn, &mut records)?;
    Ok(records)
}

pub(super) fn next_due(
    conn: &Connection,
    sink: &str,
    now: i64,
    latest: i64,
) -> rusqlite::Result<Option<i64>> {
    conn.prepare_cached(NEXT_DUE)?
        .query_row(params![sink, now, latest], |row| row.get(0))
        .optional()
}

pub(super) struct Settle {
    pub(super) settled: Vec<Settled>,
    pub(super) now: i64,
}

impl Write for Settle {
    type Answer = ();

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<()> {
        const DELIVERED: &str =
            "UPDATE outbox SET state = 1, due_at = ?2, last_error = NULL WHERE n = ?1 AND state = 0";
        const RETRY: &str = "UPDATE outbox SET attempts = attempts + 1, due_at = ?2, last_error = ?3
            WHERE n = ?1 AND state = 0";
        const DEAD: &str =
            "UPDATE outbox SET state = 2, attempts = attempts + 1, due_at = ?2, last_error = ?3
            WHERE n = ?1 AND state = 0";
        let conn = batch.conn;
        for Settled { n, outcome } in &self.settled {
            match outcome {
                Outcome::Delivered => conn.prepare_cached(DELIVERED)?.execute(params![n, self.now])?,
                Outcome::Retry { at, error } => conn.prepare_cached(RETRY)?.execute(params![n, at, error])?,
                Outcome::Dead { error } => conn.prepare_cached(DEAD)?.execute(params![n, self.now, error])?,
            };
        }
        Ok(())
    }

    fn weight(&self) -> Weight {
        Weight {
            writes: self.settled.len().max(1),
            bytes: self.settled.len().saturating_mul(256),
        }
    }
}
