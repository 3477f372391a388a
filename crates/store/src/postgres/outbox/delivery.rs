//! The sinks' side of the outbox: lifecycle events in, due records out, outcomes back.

use tokio_postgres::types::ToSql;

use super::{
    super::{
        conn::Conn,
        failure::Failure,
        rooms,
        value::{Columns as _, opt_text, text},
    },
    COLUMNS, Recorded, records, write,
};
use crate::{
    LifecycleEvent, OnlineUser, OutboxOptions, Outcome, Record, RecordKind, Settled,
    outbox::{NEXT_DUE, RecordContent, due_sql},
};

/// Records lifecycle events. Returns whether records were written.
pub(super) async fn record_events(
    conn: &Conn,
    events: &[LifecycleEvent],
    options: &OutboxOptions,
) -> Result<bool, Failure> {
    const CAME: &str = "INSERT INTO online_users AS o (user_id, user_name, since) VALUES ($1, $2, $3)
        ON CONFLICT (user_id) DO UPDATE SET user_name = coalesce(excluded.user_name, o.user_name)
        RETURNING xmax = 0";
    let mut recorded = Recorded::default();
    conn.begin().await?;
    for event in events {
        match event {
            LifecycleEvent::UserOnline { user, name, at } => {
                let row = conn
                    .row(CAME, &[&text(user), &opt_text(name.as_deref()), at])
                    .await?;
                // Two nodes may see the user come online: the first one records it.
                if !row.map_or(Ok(false), |row| row.flag(0))? {
                    continue;
                }
                recorded.add(
                    options,
                    RecordKind::UserOnline,
                    *at,
                    &of_user(user, name.as_deref()),
                );
            }
            LifecycleEvent::UserOffline { user, name, at } => {
                let removed = conn
                    .run("DELETE FROM online_users WHERE user_id = $1", &[&text(user)])
                    .await?;
                if removed == 0 {
                    continue;
                }
                recorded.add(
                    options,
                    RecordKind::UserOffline,
                    *at,
                    &of_user(user, name.as_deref()),
                );
            }
            LifecycleEvent::RoomEmptied { room, at } => {
                if let Some(room) = rooms::get(conn, *room).await? {
                    recorded.add(
                        options,
                        RecordKind::RoomEmptied,
                        *at,
                        &RecordContent::of_room(&room),
                    );
                }
            }
        }
    }
    let written = write(conn, recorded).await?;
    conn.commit().await?;
    Ok(written)
}

fn of_user<'a>(user: &'a str, name: Option<&'a str>) -> RecordContent<'a> {
    RecordContent {
        user_id: Some(user),
        user_name: name,
        ..RecordContent::default()
    }
}

pub(super) async fn online(conn: &Conn, after: &str, limit: u32) -> Result<Vec<OnlineUser>, Failure> {
    let sql = "SELECT user_id, user_name FROM online_users WHERE user_id > $1 ORDER BY user_id LIMIT $2";
    let rows = conn.rows(sql, &[&text(after), &i64::from(limit)]).await?;
    let online = rows.iter().map(|row| {
        Ok(OnlineUser {
            user_id: row.text(0)?,
            name: row.opt_text(1)?,
        })
    });
    online.collect()
}

pub(super) async fn due(
    conn: &Conn,
    sink: &str,
    now: i64,
    latest: i64,
    limit: u32,
) -> Result<Vec<Record>, Failure> {
    let params: [&(dyn ToSql + Sync); 4] = [&text(sink), &now, &i64::from(limit), &latest];
    let rows = conn.rows(&due_sql(COLUMNS), &params).await?;
    records(conn, &rows).await
}

pub(super) async fn next_due(conn: &Conn, sink: &str, now: i64, latest: i64) -> Result<Option<i64>, Failure> {
    let row = conn.row(NEXT_DUE, &[&text(sink), &now, &latest]).await?;
    row.map(|row| row.int(0)).transpose()
}

pub(super) async fn settle(conn: &Conn, settled: &[Settled], now: i64) -> Result<(), Failure> {
    const LOCK: &str = "SELECT n FROM outbox WHERE n = ANY($1) ORDER BY n FOR UPDATE";
    const DELIVERED: &str =
        "UPDATE outbox SET state = 1, due_at = $2, last_error = NULL WHERE n = ANY($1) AND state = 0";
    const RETRY: &str = "UPDATE outbox SET attempts = attempts + 1, due_at = $2, last_error = $3
        WHERE n = $1 AND state = 0";
    const DEAD: &str = "UPDATE outbox SET state = 2, attempts = attempts + 1, due_at = $2, last_error = $3
        WHERE n = $1 AND state = 0";
    let all: Vec<i64> = settled.iter().map(|settled| settled.n).collect();
    conn.begin().await?;
    conn.rows(LOCK, &[&all]).await?;
    let delivered = settled
        .iter()
        .filter(|settled| settled.outcome == Outcome::Delivered);
    let delivered: Vec<i64> = delivered.map(|settled| settled.n).collect();
    if !delivered.is_empty() {
        conn.run(DELIVERED, &[&delivered, &now]).await?;
    }
    for Settled { n, outcome } in settled {
        match outcome {
            Outcome::Delivered => {}
            Outcome::Retry { at, error } => drop(conn.run(RETRY, &[n, at, &text(error)]).await?),
            Outcome::Dead { error } => drop(conn.run(DEAD, &[n, &now, &text(error)]).await?),
        }
    }
    conn.commit().await
}
