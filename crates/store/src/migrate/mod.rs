//! Migration from SQLite to PostgreSQL: copies a whole store with its ids, numbers, positions, epochs and
//! marks, so that clients notice nothing. No server may use either database meanwhile.
//!
//! | file | what |
//! |---|---|
//! | `tables` | the tables to copy, referenced ones first |
//! | `source`, `target` | reading rows from SQLite, and writing them to PostgreSQL, by key |
//! | `digest` | a digest of rows, to compare both sides at the end |
//!
//! Each batch of rows, ordered by key, is one transaction. An interrupted migration continues after the
//! last row copied.

mod digest;
mod source;
mod tables;
mod target;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;

use self::{
    digest::Digest,
    source::Source,
    tables::{TABLES, Table},
    target::Target,
};
use crate::StoreError;

/// The columns of the schema that hold text, each with its table.
#[cfg(test)]
pub(crate) fn text_columns() -> impl Iterator<Item = (&'static str, &'static str)> {
    let columns = TABLES
        .iter()
        .flat_map(|table| table.columns.iter().map(|column| (table.name, column)));
    columns
        .filter(|(_, column)| column.kind == tables::Kind::Text)
        .map(|(table, column)| (table, column.name))
}

/// Rows per transaction.
const BATCH: usize = 1_000;

/// Progress of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Rows of a table were copied.
    Carried {
        /// The table.
        table: &'static str,
        /// Rows copied, those of earlier runs included.
        rows: u64,
        /// Rows in the source.
        of: u64,
    },
    /// A table is equal on both sides.
    Verified {
        /// The table.
        table: &'static str,
        /// Number of its rows.
        rows: u64,
    },
}

/// Outcome of a migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// The rows of each table.
    pub tables: Vec<Moved>,
}

/// A table that is equal on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// The table.
    pub table: &'static str,
    /// Number of its rows.
    pub rows: u64,
}

/// Copies the SQLite database at `path` to the PostgreSQL database of a URL, and compares both at the end.
/// The target must be empty, or hold an interrupted run of the same migration. `tell` is called after each
/// batch and may interrupt the run; the next one continues. Sessions are copied as lost at their server's
/// last heartbeat. No server may run on either database. Blocks; do not call it from async code.
///
/// # Errors
/// [`StoreError::Setup`] says what to change. After [`StoreError::Unavailable`] or an interruption, run it
/// again.
pub fn migrate(
    path: &std::path::Path,
    url: &str,
    tell: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Migrated, StoreError> {
    let source = Source::open(path)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| StoreError::Setup(format!("cannot start: {error}")))?;
    runtime.block_on(async {
        let target = Target::open(url).await?;
        target.begin(source.identity()).await?;
        for table in &TABLES {
            copy_rows(&source, &target, table, tell).await?;
        }
        let mut moved = Vec::with_capacity(TABLES.len());
        for table in &TABLES {
            let rows = compare(&source, &target, table).await?;
            moved.push(Moved {
                table: table.name,
                rows,
            });
            check_cancelled(tell(Progress::Verified {
                table: table.name,
                rows,
            }))?;
        }
        target.finish(&source.log()?, &source.counters()?).await?;
        Ok(Migrated { tables: moved })
    })
}

fn check_cancelled(flow: ControlFlow<()>) -> Result<(), StoreError> {
    match flow {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(StoreError::Setup("interrupted; run it again to continue".into())),
    }
}

/// Copies the rows of a table that are missing in the target.
async fn copy_rows(
    source: &Source,
    target: &Target,
    table: &'static Table,
    tell: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let of = source.count(table)?;
    let mut rows = target.count(table).await?;
    let mut last = target.last(table).await?;
    loop {
        let batch = source.after(table, last.as_deref(), BATCH)?;
        let Some(end) = batch.last() else { return Ok(()) };
        last = Some(table.key_of(end));
        target.insert(table, &batch).await?;
        rows += batch.len() as u64;
        check_cancelled(tell(Progress::Carried {
            table: table.name,
            rows,
            of,
        }))?;
    }
}

/// Compares a table on both sides. Returns the number of its rows.
async fn compare(source: &Source, target: &Target, table: &'static Table) -> Result<u64, StoreError> {
    let (mut here, mut there) = (Digest::default(), Digest::default());
    let mut last = None;
    loop {
        let batch = source.after(table, last.as_deref(), BATCH)?;
        let Some(end) = batch.last() else { break };
        last = Some(table.key_of(end));
        here.add(&batch);
    }
    let mut last = None;
    loop {
        let batch = target.after(table, last.as_deref(), BATCH).await?;
        let Some(end) = batch.last() else { break };
        last = Some(table.key_of(end));
        there.add(&batch);
    }
    if here == there {
        return Ok(here.rows());
    }
    Err(StoreError::Setup(format!(
        "{} differs after the migration: {here} here, {there} there; empty the database and start over",
        table.name
    )))
}
