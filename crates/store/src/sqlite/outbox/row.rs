//! The rows of the outbox and their columns.

use rusqlite::{
    Row,
    types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef},
};

use super::super::column::Seq;
use crate::{Record, RecordKind, RecordState};

/// The columns of a [`Record`], as [`record`] reads them.
pub(super) const COLUMNS: &str =
    "n, id, sink, kind, at, state, attempts, turn_at, last_error, room, epoch, seq, user_id,
    user_name, client_id, recipient, body";

pub(super) fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    Ok(Record {
        n: row.get(0)?,
        id: row.get(1)?,
        sink: row.get(2)?,
        kind: row.get(3)?,
        at: row.get(4)?,
        state: row.get(5)?,
        attempts: row.get(6)?,
        turn_at: row.get(7)?,
        last_error: row.get(8)?,
        room: row.get(9)?,
        epoch: row.get(10)?,
        seq: row.get::<_, Option<Seq>>(11)?.map(|seq| seq.0),
        user_id: row.get(12)?,
        user_name: row.get(13)?,
        client_id: row.get(14)?,
        recipient: row.get(15)?,
        body: row.get(16)?,
    })
}

/// Values that stand for numbers in a column, the numbers being their places in a list.
fn number<T: Copy + PartialEq>(all: &[T], value: T) -> ToSqlOutput<'static> {
    let place = all.iter().position(|one| *one == value).unwrap_or_default();
    i64::try_from(place).unwrap_or_default().into()
}

fn value<T: Copy>(all: &[T], column: ValueRef<'_>) -> FromSqlResult<T> {
    let number = column.as_i64()?;
    let place = usize::try_from(number).ok();
    place
        .and_then(|place| all.get(place).copied())
        .ok_or(FromSqlError::OutOfRange(number))
}

impl ToSql for RecordKind {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(number(&Self::ALL, *self))
    }
}

impl FromSql for RecordKind {
    fn column_result(column: ValueRef<'_>) -> FromSqlResult<Self> {
        value(&Self::ALL, column)
    }
}

impl ToSql for RecordState {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(number(&Self::ALL, *self))
    }
}

impl FromSql for RecordState {
    fn column_result(column: ValueRef<'_>) -> FromSqlResult<Self> {
        value(&Self::ALL, column)
    }
}
