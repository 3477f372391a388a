//! Running the statements that both stores share.

use rusqlite::{Connection, ToSql, types::ToSqlOutput};

use crate::append::{Param, Statement};

impl ToSql for Param<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Param::Int(number) => number.to_sql(),
            Param::Text(text) => text.to_sql(),
            Param::OptInt(number) => number.to_sql(),
            Param::OptText(text) => text.to_sql(),
        }
    }
}

/// Answers how many rows were changed.
pub(super) fn execute(conn: &Connection, statement: &Statement<'_>) -> rusqlite::Result<usize> {
    conn.prepare_cached(statement.sql)?
        .execute(rusqlite::params_from_iter(&statement.params))
}
