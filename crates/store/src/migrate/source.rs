//! The SQLite side: reading rows by key.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Row, params_from_iter, types::ValueRef};

use super::tables::{Kind, TABLES, Table, Value, join};
use crate::{LogHead, LogPosition, StoreError, sqlite::connection};

pub(super) struct Source {
    conn: Connection,
    identity: String,
}

impl Source {
    /// Opens the file and upgrades its schema.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        if !path.is_file() {
            return Err(StoreError::Setup(format!(
                "there is no database at {}",
                path.display()
            )));
        }
        // Opening it as a store would create an empty one, which would then be copied.
        if !connection::is_store(path)? {
            return Err(StoreError::Setup(format!(
                "{} is no database of Roomful; name the server's own",
                path.display()
            )));
        }
        let conn = connection::writer(path)?;
        // Each server that uses the file leaves another generation token, so a migration continues only if
        // no server has run since it began. The transaction below reads one snapshot of the file.
        let identity = conn
            .query_row("SELECT epoch || ' ' || generation FROM log_head", [], |row| {
                row.get(0)
            })
            .map_err(|error| internal(&error))?;
        conn.execute_batch("BEGIN").map_err(|error| internal(&error))?;
        Ok(Self { conn, identity })
    }

    /// Identity of the database and its generation.
    pub(super) fn identity(&self) -> &str {
        &self.identity
    }

    pub(super) fn log(&self) -> Result<LogHead, StoreError> {
        let position = self
            .conn
            .query_row("SELECT epoch, position FROM log_head", [], |row| {
                let pos: i64 = row.get(1)?;
                Ok(LogHead {
                    epoch: row.get(0)?,
                    position: LogPosition(u64::try_from(pos).unwrap_or_default()),
                })
            });
        position.map_err(|error| internal(&error))
    }

    /// For each table with a counter, the last assigned number.
    pub(super) fn counters(&self) -> Result<Vec<(&'static Table, i64)>, StoreError> {
        let counted = TABLES.iter().filter_map(|table| Some((table, table.counter?)));
        let last = counted.map(|(table, column)| {
            let largest = format!("SELECT coalesce(max({column}), 0) FROM {}", table.name);
            let largest: i64 = self.conn.query_row(&largest, [], |row| row.get(0))?;
            let ever = "SELECT seq FROM sqlite_sequence WHERE name = ?1";
            let ever: Option<i64> = self
                .conn
                .query_row(ever, [table.name], |row| row.get(0))
                .optional()?;
            Ok((table, ever.unwrap_or_default().max(largest)))
        });
        last.collect::<rusqlite::Result<_>>()
            .map_err(|error| internal(&error))
    }

    pub(super) fn count(&self, table: &Table) -> Result<u64, StoreError> {
        let sql = format!("SELECT count(*) FROM {}", table.name);
        let count: i64 = self
            .conn
            .query_row(&sql, [], |row| row.get(0))
            .map_err(|error| internal(&error))?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    /// The next rows after a key, or the first ones.
    pub(super) fn after(
        &self,
        table: &Table,
        key: Option<&[Value]>,
        limit: usize,
    ) -> Result<Vec<Vec<Value>>, StoreError> {
        let columns = join(table.columns.iter().map(|column| column.from));
        let keys = table.key_names();
        let behind = match key {
            Some(_) => format!(
                "WHERE ({keys}) > ({})",
                join((1..=table.key).map(|n| format!("?{n}")))
            ),
            None => String::new(),
        };
        let sql = format!(
            "SELECT {columns} FROM {} {behind} ORDER BY {keys} LIMIT {limit}",
            table.name
        );
        let read = || -> rusqlite::Result<Vec<Vec<Value>>> {
            let mut query = self.conn.prepare_cached(&sql)?;
            let rows = query.query_map(
                params_from_iter(key.unwrap_or_default().iter().map(param)),
                |row| values(table, row),
            )?;
            rows.collect()
        };
        read().map_err(|error| internal(&error))
    }
}

fn param(value: &Value) -> rusqlite::types::Value {
    match value {
        Value::Null => rusqlite::types::Value::Null,
        Value::Int(number) => (*number).into(),
        Value::Text(text) => text.clone().into(),
        Value::Bytes(bytes) => bytes.clone().into(),
    }
}

fn values(table: &Table, row: &Row<'_>) -> rusqlite::Result<Vec<Value>> {
    let value = |(at, kind): (usize, Kind)| {
        Ok(match (row.get_ref(at)?, kind) {
            (ValueRef::Null, _) => Value::Null,
            (_, Kind::Int) => Value::Int(row.get(at)?),
            (_, Kind::Text) => Value::Text(row.get(at)?),
            (_, Kind::Bytes) => Value::Bytes(row.get(at)?),
        })
    };
    table
        .columns
        .iter()
        .map(|column| column.kind)
        .enumerate()
        .map(value)
        .collect()
}

fn internal(error: &rusqlite::Error) -> StoreError {
    StoreError::Internal(format!("failed to read the SQLite database: {error}"))
}
