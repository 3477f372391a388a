//! Values whose form in a column differs from their form in a row type.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

use crate::{ChosenStatus, EntryKind, Role, RoomKind};

/// A sequence number. SQLite's integers are signed, so one that a client made up beyond them becomes the largest.
#[derive(Clone, Copy)]
pub(super) struct Seq(pub(super) u64);

impl ToSql for Seq {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(i64::try_from(self.0).unwrap_or(i64::MAX).into())
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

impl ToSql for EntryKind {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let number: i64 = match self {
            Self::Message => 0,
            Self::Edit => 1,
            Self::Delete => 2,
            Self::Reaction { removed: false } => 3,
            Self::Reaction { removed: true } => 4,
            Self::Control => 5,
        };
        Ok(number.into())
    }
}

impl FromSql for EntryKind {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_i64()? {
            0 => Ok(Self::Message),
            1 => Ok(Self::Edit),
            2 => Ok(Self::Delete),
            3 => Ok(Self::Reaction { removed: false }),
            4 => Ok(Self::Reaction { removed: true }),
            5 => Ok(Self::Control),
            other => Err(FromSqlError::OutOfRange(other)),
        }
    }
}

impl ToSql for RoomKind {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let number: i64 = match self {
            Self::Public => 0,
            Self::Private => 1,
        };
        Ok(number.into())
    }
}

impl FromSql for RoomKind {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_i64()? {
            0 => Ok(Self::Public),
            1 => Ok(Self::Private),
            other => Err(FromSqlError::OutOfRange(other)),
        }
    }
}

impl ToSql for Role {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let number: i64 = match self {
            Self::Member => 0,
            Self::Moderator => 1,
        };
        Ok(number.into())
    }
}

impl FromSql for Role {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_i64()? {
            0 => Ok(Self::Member),
            1 => Ok(Self::Moderator),
            other => Err(FromSqlError::OutOfRange(other)),
        }
    }
}

impl ToSql for ChosenStatus {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let number: i64 = match self {
            Self::Online => 0,
            Self::Away => 1,
            Self::Busy => 2,
            Self::Invisible => 3,
        };
        Ok(number.into())
    }
}

impl FromSql for ChosenStatus {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_i64()? {
            0 => Ok(Self::Online),
            1 => Ok(Self::Away),
            2 => Ok(Self::Busy),
            3 => Ok(Self::Invisible),
            other => Err(FromSqlError::OutOfRange(other)),
        }
    }
}
