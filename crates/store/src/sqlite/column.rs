//! Conversions between Rust values and columns.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

use crate::{
    ChosenStatus, EntryKind, RecordKind, RecordState, ReportState, Role, RoomKind, SanctionKind,
    numbers::{Numbered as _, column},
};

/// A sequence number. Columns are signed, so a larger number from a client becomes the largest.
#[derive(Clone, Copy)]
pub(super) struct Seq(pub(super) u64);

impl ToSql for Seq {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(column(self.0).into())
    }
}

impl FromSql for Seq {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let value = value.as_i64()?;
        u64::try_from(value)
            .map(Self)
            .map_err(|_| FromSqlError::OutOfRange(value))
    }
}

macro_rules! numbered {
    ($($kind:ty),*) => { $(
        impl ToSql for $kind {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(self.number().into())
            }
        }

        impl FromSql for $kind {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                let number = value.as_i64()?;
                Self::of_number(number).ok_or(FromSqlError::OutOfRange(number))
            }
        }
    )* };
}

numbered!(
    EntryKind,
    RoomKind,
    Role,
    ChosenStatus,
    RecordKind,
    RecordState,
    ReportState,
    SanctionKind
);
