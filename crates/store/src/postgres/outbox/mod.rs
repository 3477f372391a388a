//! The outbox in PostgreSQL. Here is what a write leaves in it, in its own transaction; `delivery` is what the sinks' side
//! asks, `delivery_checks` who has not got a message, `maintenance` what operators ask and what is removed, `leases` which node
//! tells a sink its records.

mod delivery;
mod delivery_checks;
mod leases;
mod maintenance;
mod store;

use rand::RngExt as _;
use tokio_postgres::Row;

use super::{
    conn::{Conn, Step},
    failure::Failure,
    value::{Columns as _, num, opt_text, text},
};
use crate::{OutboxOptions, Record, RecordKind, RoomId, RoomRow, numbers::Numbered as _};

/// What a record tells, beside its kind and time.
#[derive(Default)]
pub(super) struct Facts<'a> {
    pub(super) room_id: Option<RoomId>,
    pub(super) room: Option<&'a str>,
    pub(super) epoch: Option<&'a str>,
    pub(super) seq: Option<u64>,
    pub(super) user_id: Option<&'a str>,
    pub(super) user_name: Option<&'a str>,
    pub(super) client_id: Option<&'a str>,
    pub(super) recipient: Option<&'a str>,
    pub(super) body: Option<&'a str>,
}

impl<'a> Facts<'a> {
    pub(super) fn of_room(room: &'a RoomRow) -> Self {
        Self {
            room_id: Some(room.id),
            room: Some(&room.name),
            epoch: Some(&room.epoch),
            ..Self::default()
        }
    }
}

/// Records to be written, column by column.
#[derive(Default)]
pub(super) struct Recorded {
    ids: Vec<String>,
    sinks: Vec<String>,
    kinds: Vec<i64>,
    ats: Vec<i64>,
    room_ids: Vec<Option<i64>>,
    seqs: Vec<Option<i64>>,
    /// Room, epoch, user id and name, client id, recipient, body.
    texts: [Vec<Option<String>>; 7],
}

impl Recorded {
    /// One for each sink that wants it.
    pub(super) fn add(&mut self, options: &OutboxOptions, kind: RecordKind, at: i64, facts: &Facts<'_>) {
        let mut id = None;
        for sink in options.sinks.iter().filter(|sink| sink.kinds.contains(&kind)) {
            let id: &String = id.get_or_insert_with(new_id);
            self.ids.push(id.clone());
            self.sinks.push(text(&sink.name).into_owned());
            self.kinds.push(kind.number());
            self.ats.push(at);
            self.room_ids.push(facts.room_id);
            self.seqs.push(facts.seq.map(num));
            let texts = [
                facts.room,
                facts.epoch,
                facts.user_id,
                facts.user_name,
                facts.client_id,
                facts.recipient,
                facts.body,
            ];
            for (column, value) in self.texts.iter_mut().zip(texts) {
                column.push(opt_text(value).map(std::borrow::Cow::into_owned));
            }
        }
    }

    /// What writes them; nothing if there are none.
    pub(super) fn into_step(self) -> Option<Step> {
        const SQL: &str = "INSERT INTO outbox (id, sink, kind, at, due_at, room_id, seq,
                room, epoch, user_id, user_name, client_id, recipient, body)
            SELECT id, sink, kind, at, at, room_id, seq, room, epoch, user_id, user_name, client_id, recipient, body
            FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
                $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[])
                WITH ORDINALITY t (id, sink, kind, at, room_id, seq,
                    room, epoch, user_id, user_name, client_id, recipient, body, n) ORDER BY n";
        if self.ids.is_empty() {
            return None;
        }
        let [room, epoch, user_id, user_name, client_id, recipient, body] = self.texts;
        let params: Vec<super::conn::Param> = vec![
            Box::new(self.ids),
            Box::new(self.sinks),
            Box::new(self.kinds),
            Box::new(self.ats),
            Box::new(self.room_ids),
            Box::new(self.seqs),
            Box::new(room),
            Box::new(epoch),
            Box::new(user_id),
            Box::new(user_name),
            Box::new(client_id),
            Box::new(recipient),
            Box::new(body),
        ];
        Some(Step::new(SQL, params))
    }
}

/// Writes records in the transaction that is open. Answers whether there were any.
pub(super) async fn write(conn: &Conn, recorded: Recorded) -> Result<bool, Failure> {
    match recorded.into_step() {
        Some(step) => conn.step(&step).await.map(|_| true),
        None => Ok(false),
    }
}

/// A member has acknowledged all up to `mark`: what still waits to tell the contrary is taken back.
pub(super) async fn acknowledged(conn: &Conn, room: RoomId, user: &str, mark: u64) -> Result<(), Failure> {
    // In the order of `n`, as all who lock many of them.
    const SQL: &str = "DELETE FROM outbox WHERE n IN (SELECT n FROM outbox
        WHERE state = 0 AND room_id = $1 AND recipient = $2 AND seq <= $3 ORDER BY n FOR UPDATE)";
    conn.run(SQL, &[&room, &text(user), &num(mark)]).await.map(drop)
}

pub(super) fn wants(options: &OutboxOptions, kind: RecordKind) -> bool {
    options.sinks.iter().any(|sink| sink.kinds.contains(&kind))
}

/// 128 random bits.
fn new_id() -> String {
    format!("evt_{:032x}", rand::rng().random::<u128>())
}

/// The columns of a [`Record`], as [`record`] reads them.
const COLUMNS: &str = "n, id, sink, kind, at, state, attempts, due_at, last_error, room, epoch, seq, user_id,
    user_name, client_id, recipient, body";

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
        recipient: row.opt_text(15)?,
        body: row.opt_text(16)?,
    })
}
