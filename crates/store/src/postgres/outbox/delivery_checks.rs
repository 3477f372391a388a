//! Who has not acknowledged a message: it is looked at twice, once for those who are away, once for all.

use std::collections::HashMap;

use super::{
    super::{
        conn::Conn,
        failure::Failure,
        rooms,
        value::{Columns as _, num, text},
    },
    Facts, Recorded, write,
};
use crate::{DeliveryCheck, OutboxOptions, RecordKind, RoomId, UndeliveredReport};

/// The condition under which member `m` has yet to acknowledge entry `e`.
const STILL_WAITING: &str = "m.room_id = e.room_id AND m.active = 1 AND m.delivered_seq < e.seq
    AND m.joined_at <= e.at AND m.user_id <> e.user_id
    AND NOT EXISTS (SELECT 1 FROM message_states s
        WHERE s.room_id = e.room_id AND s.seq = e.seq AND s.deleted = 1)
    AND NOT EXISTS (SELECT 1 FROM reported_recipients a
        WHERE a.room_id = e.room_id AND a.seq = e.seq AND a.user_id = m.user_id)";

pub(super) async fn due(
    conn: &Conn,
    now: i64,
    limit: u32,
    members_max: u32,
) -> Result<Vec<DeliveryCheck>, Failure> {
    const LOOKS: &str = "SELECT room_id, seq, is_last FROM delivery_checks WHERE due_at <= $1 ORDER BY due_at, room_id, seq LIMIT $2";
    let waiting = format!(
        "SELECT e.room_id, e.seq, m.user_id FROM unnest($1::bigint[], $2::bigint[]) t (room_id, seq)
         JOIN entries e ON e.room_id = t.room_id AND e.seq = t.seq JOIN members m ON {STILL_WAITING}
         WHERE (SELECT count(*) FROM (SELECT 1 FROM members c WHERE c.room_id = e.room_id AND c.active = 1
            LIMIT $3::bigint + 1) c) <= $3
         ORDER BY m.user_id"
    );
    let mut looks = Vec::new();
    for row in conn.rows(LOOKS, &[&now, &i64::from(limit)]).await? {
        looks.push(DeliveryCheck {
            room: row.int(0)?,
            seq: row.num(1)?,
            last: row.int(2)? == 1,
            waiting: Vec::new(),
        });
    }
    if looks.is_empty() {
        return Ok(looks);
    }
    let (rooms, seqs): (Vec<i64>, Vec<i64>) = looks.iter().map(|look| (look.room, num(look.seq))).unzip();
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
    for look in &mut looks {
        look.waiting = users.remove(&(look.room, look.seq)).unwrap_or_default();
    }
    Ok(looks)
}

/// Writes the records that looks came to, each look in a transaction of its own. Answers how many members got one.
pub(super) async fn alert(
    conn: &Conn,
    alerts: &[UndeliveredReport],
    options: &OutboxOptions,
) -> Result<u64, Failure> {
    let mut alerted = 0;
    for alert in alerts {
        conn.begin().await?;
        alerted += one(conn, alert, options).await?;
        conn.commit().await?;
    }
    Ok(alerted)
}

async fn one(conn: &Conn, alert: &UndeliveredReport, options: &OutboxOptions) -> Result<u64, Failure> {
    // Locked, so that no other node looks at the same message meanwhile.
    const LOOK: &str = "SELECT is_last FROM delivery_checks WHERE room_id = $1 AND seq = $2 FOR UPDATE";
    const OVER: &str = "DELETE FROM delivery_checks WHERE room_id = $1 AND seq = $2";
    const AGAIN: &str = "UPDATE delivery_checks SET due_at = $3, is_last = 1 WHERE room_id = $1 AND seq = $2";
    const ALERTED: &str =
        "INSERT INTO reported_recipients (room_id, seq, user_id) SELECT $1, $2, unnest($3::text[])";
    const MESSAGE: &str = "SELECT e.at, e.user_id, e.user_name, e.client_id, e.body FROM entries e
        JOIN rooms r ON r.id = e.room_id AND e.seq >= r.first WHERE e.room_id = $1 AND e.seq = $2";
    let waiting = format!(
        "SELECT m.user_id FROM entries e JOIN members m ON {STILL_WAITING}
         WHERE e.room_id = $1 AND e.seq = $2 AND m.user_id = ANY($3) ORDER BY m.user_id
         FOR SHARE OF m"
    );
    let (room, seq) = (alert.room, num(alert.seq));
    let Some(look) = conn.row(LOOK, &[&room, &seq]).await? else {
        return Ok(0);
    };
    let Some(message) = conn.row(MESSAGE, &[&room, &seq]).await? else {
        conn.run(OVER, &[&room, &seq]).await?;
        return Ok(0);
    };
    if (look.int(0)? == 1) != alert.last {
        return Ok(0);
    }
    let Some(named) = rooms::get(conn, room).await? else {
        return Ok(0);
    };
    let asked: Vec<_> = alert.users.iter().map(|user| text(user)).collect();
    let mut users = Vec::new();
    for row in conn.rows(&waiting, &[&room, &seq, &asked]).await? {
        users.push(row.text(0)?);
    }
    let (at, author) = (message.int(0)?, message.text(1)?);
    let (name, client_id, body) = (message.opt_text(2)?, message.opt_text(3)?, message.text(4)?);
    let mut recorded = Recorded::default();
    for user in &users {
        let facts = Facts {
            seq: Some(alert.seq),
            user_id: Some(&author),
            user_name: name.as_deref(),
            client_id: client_id.as_deref(),
            recipient: Some(user),
            body: Some(&body),
            ..Facts::of_room(&named)
        };
        recorded.add(options, RecordKind::MessageUndelivered, at, &facts);
    }
    let written = write(conn, recorded).await?;
    if alert.last {
        conn.run(OVER, &[&room, &seq]).await?;
    } else {
        let alerted: Vec<_> = users.iter().map(|user| text(user)).collect();
        conn.run(ALERTED, &[&room, &seq, &alerted]).await?;
        conn.run(AGAIN, &[&room, &seq, &at.saturating_add(options.last_check_ms)])
            .await?;
    }
    Ok(if written { users.len() as u64 } else { 0 })
}
