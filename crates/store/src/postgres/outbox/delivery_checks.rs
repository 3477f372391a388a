//! Members who have not acknowledged a message. Each message is checked twice: soon for members who are
//! away, then for all.

use std::collections::HashMap;

use super::{
    super::{
        conn::Conn,
        failure::Failure,
        rooms,
        value::{Columns as _, num, text},
    },
    Recorded, write,
};
use crate::{
    DeliveryCheck, OutboxOptions, RecordKind, RoomId, UndeliveredReport,
    outbox::{RecordContent, STILL_WAITING},
};

pub(in crate::postgres) async fn due(
    conn: &Conn,
    now: i64,
    limit: u32,
    members_max: u32,
) -> Result<Vec<DeliveryCheck>, Failure> {
    const CHECKS: &str =
        "SELECT room_id, seq, is_last FROM delivery_checks WHERE due_at <= $1 ORDER BY due_at, room_id, seq
        LIMIT $2";
    let waiting = format!(
        "SELECT e.room_id, e.seq, m.user_id FROM unnest($1::bigint[], $2::bigint[]) t (room_id, seq)
         JOIN entries e ON e.room_id = t.room_id AND e.seq = t.seq JOIN members m ON {STILL_WAITING}
         WHERE (SELECT count(*) FROM (SELECT 1 FROM members c WHERE c.room_id = e.room_id AND c.active = 1
            LIMIT $3::bigint + 1) c) <= $3
         ORDER BY m.user_id"
    );
    let mut checks = Vec::new();
    for row in conn.rows(CHECKS, &[&now, &i64::from(limit)]).await? {
        checks.push(DeliveryCheck {
            room: row.int(0)?,
            seq: row.num(1)?,
            last: row.int(2)? == 1,
            waiting: Vec::new(),
        });
    }
    if checks.is_empty() {
        return Ok(checks);
    }
    let (rooms, seqs): (Vec<i64>, Vec<i64>) = checks.iter().map(|check| (check.room, num(check.seq))).unzip();
    let mut users: HashMap<(RoomId, u64), Vec<String>> = HashMap::new();
    for row in conn
        .rows(&waiting, &[&rooms, &seqs, &i64::from(members_max)])
        .await?
    {
        users
            .entry((row.int(0)?, row.num(1)?))
            .or_default()
            .push(row.text(2)?);
    }
    for check in &mut checks {
        check.waiting = users.remove(&(check.room, check.seq)).unwrap_or_default();
    }
    Ok(checks)
}

/// Writes one record for each report, each in a transaction of its own. Returns how many members they name.
pub(super) async fn report(
    conn: &Conn,
    reports: &[UndeliveredReport],
    options: &OutboxOptions,
) -> Result<u64, Failure> {
    let mut reported = 0;
    for report in reports {
        conn.begin().await?;
        reported += report_one(conn, report, options).await?;
        conn.commit().await?;
    }
    Ok(reported)
}

async fn report_one(
    conn: &Conn,
    report: &UndeliveredReport,
    options: &OutboxOptions,
) -> Result<u64, Failure> {
    // Locked, so that no other node reports the same message meanwhile.
    const CHECK: &str = "SELECT is_last FROM delivery_checks WHERE room_id = $1 AND seq = $2 FOR UPDATE";
    const DONE: &str = "DELETE FROM delivery_checks WHERE room_id = $1 AND seq = $2";
    const AGAIN: &str = "UPDATE delivery_checks SET due_at = $3, is_last = 1 WHERE room_id = $1 AND seq = $2";
    const REPORTED: &str =
        "INSERT INTO reported_recipients (room_id, seq, user_id) SELECT $1, $2, unnest($3::text[])";
    const RECIPIENTS: &str = "INSERT INTO outbox_recipients (record, user_id, room_id, seq)
        SELECT o.n, u.user_id, $3, $4 FROM outbox o CROSS JOIN unnest($2::text[]) u (user_id)
        WHERE o.id = $1";
    // Locked, so that a deletion of the message comes before or after the record.
    const MESSAGE: &str = "SELECT e.at, e.user_id, e.user_name, e.client_id, e.body FROM entries e
        JOIN rooms r ON r.id = e.room_id AND e.seq >= r.first WHERE e.room_id = $1 AND e.seq = $2
        FOR SHARE OF e";
    let waiting = format!(
        "SELECT m.user_id FROM entries e JOIN members m ON {STILL_WAITING}
         WHERE e.room_id = $1 AND e.seq = $2 AND m.user_id = ANY($3) ORDER BY m.user_id
         FOR SHARE OF m"
    );
    let (room, seq) = (report.room, num(report.seq));
    let Some(check) = conn.row(CHECK, &[&room, &seq]).await? else {
        return Ok(0);
    };
    let Some(message) = conn.row(MESSAGE, &[&room, &seq]).await? else {
        conn.run(DONE, &[&room, &seq]).await?;
        return Ok(0);
    };
    if (check.int(0)? == 1) != report.last {
        return Ok(0);
    }
    let Some(named) = rooms::get(conn, room).await? else {
        return Ok(0);
    };
    let asked: Vec<_> = report.users.iter().map(|user| text(user)).collect();
    let mut recipients = Vec::new();
    for row in conn.rows(&waiting, &[&room, &seq, &asked]).await? {
        recipients.push(row.text(0)?);
    }
    let (at, author) = (message.int(0)?, message.text(1)?);
    let (name, client_id, body) = (message.opt_text(2)?, message.opt_text(3)?, message.text(4)?);
    let columns: Vec<_> = recipients.iter().map(|user| text(user)).collect();
    if !recipients.is_empty() {
        let mut recorded = Recorded::default();
        let content = RecordContent {
            seq: Some(report.seq),
            user_id: Some(&author),
            user_name: name.as_deref(),
            client_id: client_id.as_deref(),
            recipients: &recipients,
            body: Some(&body),
            ..RecordContent::of_room(&named)
        };
        let id = recorded.add(options, RecordKind::MessageUndelivered, at, &content);
        write(conn, recorded).await?;
        if let Some(id) = id {
            conn.run(RECIPIENTS, &[&id, &columns, &room, &seq]).await?;
        }
    }
    if report.last {
        conn.run(DONE, &[&room, &seq]).await?;
    } else {
        conn.run(REPORTED, &[&room, &seq, &columns]).await?;
        conn.run(AGAIN, &[&room, &seq, &at.saturating_add(options.last_check_ms)])
            .await?;
    }
    Ok(recipients.len() as u64)
}
