//! The outbox in PostgreSQL: records that writes leave in it, in their own transactions.
//!
//! | file | what |
//! |---|---|
//! | `delivery` | lifecycle events in, due records out, outcomes back |
//! | `delivery_checks` | members who have not acknowledged a message |
//! | `leases` | which node delivers a sink's records |
//! | `maintenance` | listing, counting, replaying and removing records |
//! | `store` | the `Outbox` trait on the pool |

mod delivery;
pub(super) mod delivery_checks;
mod leases;
mod maintenance;
mod store;

use std::collections::HashMap;

use tokio_postgres::Row;

use super::{
    conn::{Conn, Param, Step},
    failure::Failure,
    value::{Columns as _, num, opt_text, text},
};
use crate::{
    EntryKind, NewEntry, OutboxOptions, Record, RecordKind, RoomId,
    numbers::Numbered as _,
    outbox::{RecordContent, new_record_id},
};

/// Records to be written, column by column.
#[derive(Default)]
pub(super) struct Recorded {
    ids: Vec<String>,
    sinks: Vec<String>,
    kinds: Vec<i64>,
    ats: Vec<i64>,
    room_ids: Vec<Option<i64>>,
    seqs: Vec<Option<i64>>,
    bytes: Vec<i64>,
    /// Room, epoch, user id and name, client id, body.
    texts: [Vec<Option<String>>; 6],
}

impl Recorded {
    /// Adds a record for each sink that wants it. Returns the id of these records, if any.
    pub(super) fn add(
        &mut self,
        options: &OutboxOptions,
        kind: RecordKind,
        at: i64,
        content: &RecordContent<'_>,
    ) -> Option<String> {
        let mut id = None;
        for sink in options.sinks.iter().filter(|sink| sink.kinds.contains(&kind)) {
            let id: &String = id.get_or_insert_with(new_record_id);
            self.ids.push(id.clone());
            self.sinks.push(text(&sink.name).into_owned());
            self.kinds.push(kind.number());
            self.ats.push(at);
            self.room_ids.push(content.room_id);
            self.seqs.push(content.seq.map(num));
            self.bytes.push(num(content.bytes()));
            let texts = [
                content.room,
                content.epoch,
                content.user_id,
                content.user_name,
                content.client_id,
                content.body,
            ];
            for (column, value) in self.texts.iter_mut().zip(texts) {
                column.push(opt_text(value).map(std::borrow::Cow::into_owned));
            }
        }
        id
    }

    /// The step that writes the records, if there are any.
    pub(super) fn into_step(self) -> Option<Step> {
        const SQL: &str = "INSERT INTO outbox (id, sink, kind, at, due_at, room_id, seq, bytes,
                room, epoch, user_id, user_name, client_id, body)
            SELECT id, sink, kind, at, at, room_id, seq, bytes,
                room, epoch, user_id, user_name, client_id, body
            FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
                $7::bigint[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[])
                WITH ORDINALITY t (id, sink, kind, at, room_id, seq, bytes,
                    room, epoch, user_id, user_name, client_id, body, n) ORDER BY n";
        if self.ids.is_empty() {
            return None;
        }
        let [room, epoch, user_id, user_name, client_id, body] = self.texts;
        let params: Vec<Param> = vec![
            Box::new(self.ids),
            Box::new(self.sinks),
            Box::new(self.kinds),
            Box::new(self.ats),
            Box::new(self.room_ids),
            Box::new(self.seqs),
            Box::new(self.bytes),
            Box::new(room),
            Box::new(epoch),
            Box::new(user_id),
            Box::new(user_name),
            Box::new(client_id),
            Box::new(body),
        ];
        Some(Step::new(SQL, params))
    }
}

/// Writes records in the open transaction. Returns whether there were any.
pub(super) async fn write(conn: &Conn, recorded: Recorded) -> Result<bool, Failure> {
    match recorded.into_step() {
        Some(step) => conn.step(&step).await.map(|_| true),
        None => Ok(false),
    }
}

/// The step by which the records of an edited or deleted message follow it; none for other entries.
pub(super) fn follow(entry: &NewEntry) -> Option<Step> {
    match (entry.kind, entry.target?) {
        (EntryKind::Edit, target) => Some(message_edited(entry.room, target, entry.replacement.as_deref()?)),
        (EntryKind::Delete, target) => Some(message_deleted(entry.room, target)),
        _ => None,
    }
}

/// The step that gives the records of an edited message its new text.
fn message_edited(room: RoomId, seq: u64, body: &str) -> Step {
    const SQL: &str = "UPDATE outbox SET body = $3 WHERE n IN (SELECT n FROM outbox
        WHERE room_id = $1 AND seq = $2 ORDER BY n FOR UPDATE)";
    let params: Vec<Param> = vec![
        Box::new(room),
        Box::new(num(seq)),
        Box::new(text(body).into_owned()),
    ];
    Step::new(SQL, params)
}

/// The step that removes all records with the text of a deleted message, whatever their state.
fn message_deleted(room: RoomId, seq: u64) -> Step {
    // In the order of `n`, like every statement that locks several records.
    const SQL: &str = "DELETE FROM outbox WHERE n IN (SELECT n FROM outbox
        WHERE room_id = $1 AND seq = $2 ORDER BY n FOR UPDATE)";
    Step::new(SQL, vec![Box::new(room), Box::new(num(seq))])
}

/// Removes all records with the text of a deleted room's messages.
pub(super) const ROOM_DELETED: &str = "DELETE FROM outbox WHERE n IN (SELECT n FROM outbox
    WHERE (room_id = $1 AND seq IS NOT NULL OR room_id = $1 AND kind = 6) ORDER BY n FOR UPDATE)";

/// Removes a member from pending records of messages up to `mark`, which they have acknowledged.
pub(super) async fn acknowledged(conn: &Conn, room: RoomId, user: &str, mark: u64) -> Result<(), Failure> {
    const RECIPIENT: &str = "WITH pending AS (
            SELECT o.n FROM outbox_recipients r JOIN outbox o ON o.n = r.record AND o.state = 0
            WHERE r.room_id = $1 AND r.user_id = $2 AND r.seq <= $3 ORDER BY o.n FOR UPDATE OF o),
        taken AS (DELETE FROM outbox_recipients r USING pending p WHERE r.record = p.n AND r.user_id = $2)
        SELECT n FROM pending";
    const EMPTY: &str = "DELETE FROM outbox o WHERE o.n = ANY($1)
        AND NOT EXISTS (SELECT 1 FROM outbox_recipients r WHERE r.record = o.n)";
    let rows = conn.rows(RECIPIENT, &[&room, &text(user), &num(mark)]).await?;
    if !rows.is_empty() {
        let records = rows.iter().map(|row| row.int(0)).collect::<Result<Vec<_>, _>>()?;
        conn.run(EMPTY, &[&records]).await?;
    }
    Ok(())
}

/// The columns of a [`Record`], as [`record`] reads them.
const COLUMNS: &str = "n, id, sink, kind, at, state, attempts, due_at, last_error, room, epoch, seq, user_id,
    user_name, client_id, body";

fn record(row: &Row) -> Result<Record, Failure> {
    Ok(Record {
        n: row.int(0)?,
        id: row.text(1)?,
        sink: row.text(2)?,
        kind: row.kind(3)?,
        at: row.int(4)?,
        state: row.kind(5)?,
        attempts: u32::try_from(row.int(6)?).unwrap_or(u32::MAX),
        due_at: row.int(7)?,
        last_error: row.opt_text(8)?,
        room: row.opt_text(9)?,
        epoch: row.opt_text(10)?,
        seq: row.opt_num(11)?,
        user_id: row.opt_text(12)?,
        user_name: row.opt_text(13)?,
        client_id: row.opt_text(14)?,
        recipients: Vec::new(),
        body: row.opt_text(15)?,
    })
}

/// The records of rows, with their recipients.
async fn records(conn: &Conn, rows: &[Row]) -> Result<Vec<Record>, Failure> {
    const SQL: &str =
        "SELECT record, user_id FROM outbox_recipients WHERE record = ANY($1) ORDER BY record, user_id";
    let mut records = rows.iter().map(record).collect::<Result<Vec<_>, _>>()?;
    let undelivered: Vec<i64> = records
        .iter()
        .filter(|record| record.kind == RecordKind::MessageUndelivered)
        .map(|record| record.n)
        .collect();
    if undelivered.is_empty() {
        return Ok(records);
    }
    let mut recipients: HashMap<i64, Vec<String>> = HashMap::new();
    for row in conn.rows(SQL, &[&undelivered]).await? {
        recipients.entry(row.int(0)?).or_default().push(row.text(1)?);
    }
    for record in &mut records {
        record.recipients = recipients.remove(&record.n).unwrap_or_default();
    }
    Ok(records)
}
