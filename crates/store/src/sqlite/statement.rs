//! Running the statements that both stores share.

use std::borrow::Cow;

use rusqlite::{Connection, ToSql, types::ToSqlOutput};

use crate::append::{ERASE_ALL_EDITS, ERASE_EDITS, MODERATORS, Param, Statement};

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

/// The SQL with the index that SQLite must use. It has no statistics, and would read the whole room by the
/// primary key.
pub(super) fn with_index(sql: &'static str) -> Cow<'static, str> {
    let (table, index) = match sql {
        ERASE_EDITS | ERASE_ALL_EDITS => ("UPDATE entries", "entries_edits"),
        MODERATORS => ("FROM members", "members_moderators"),
        _ => return sql.into(),
    };
    sql.replacen(table, &format!("{table} INDEXED BY {index}"), 1)
        .into()
}

/// Answers how many rows were changed.
pub(super) fn execute(conn: &Connection, statement: &Statement<'_>) -> rusqlite::Result<usize> {
    conn.prepare_cached(&with_index(statement.sql))?
        .execute(rusqlite::params_from_iter(&statement.params))
}
