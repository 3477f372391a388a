//! From SQLite to PostgreSQL: all of a store, with ids, numbers, positions, epochs and marks as they are, so that no client
//! notices. Nobody serves from either meanwhile.
//!
//! | file | what |
//! |---|---|
//! | `tables` | what there is to carry, in an order in which it fits |
//! | `source`, `target` | reading rows from the one, writing them to the other, in the order of their keys |
//! | `digest` | rows as one number, to compare both sides at the end |
//!
//! Rows are carried in batches, each in a transaction of its own and in the order of their keys: whoever was interrupted goes
//! on behind the last row that has arrived.

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

/// Rows that one transaction carries.
const BATCH: usize = 1_000;

/// How far a migration has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// So many rows of a table have arrived, those of earlier runs included.
    Carried {
        /// The table.
        table: &'static str,
        /// How many.
        rows: u64,
        /// Of how many.
        of: u64,
    },
    /// A table is the same on both sides.
    Verified {
        /// The table.
        table: &'static str,
        /// How many rows it has.
        rows: u64,
    },
}

/// What a migration came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// The rows of each table.
    pub tables: Vec<Moved>,
}

/// A table that is the same on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// The table.
    pub table: &'static str,
    /// How many rows it has.
    pub rows: u64,
}

/// Carries the SQLite database at `path` over to the PostgreSQL database of a URL, which holds nothing but what an earlier
/// run left there, and compares both at the end. `tell` is called after each batch, and may break off: the next run goes on
/// from there. Sessions are carried as lost when their server was last alive. Nobody else may have either open: see to it
/// that no server runs on the file. Blocks; not to be called from async code.
///
/// # Errors
/// [`StoreError::Setup`] says what to change; [`StoreError::Unavailable`] and a break can be gone on from.
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
            carry(&source, &target, table, tell).await?;
        }
        let mut moved = Vec::with_capacity(TABLES.len());
        for table in &TABLES {
            let rows = compare(&source, &target, table).await?;
            moved.push(Moved {
                table: table.name,
                rows,
            });
            go_on(tell(Progress::Verified {
                table: table.name,
                rows,
            }))?;
        }
        target.finish(&source.log()?, &source.counters()?).await?;
        Ok(Migrated { tables: moved })
    })
}

fn go_on(flow: ControlFlow<()>) -> Result<(), StoreError> {
    match flow {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(StoreError::Setup("interrupted; run it again to go on".into())),
    }
}

/// Carries what of a table has not arrived yet.
async fn carry(
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
        go_on(tell(Progress::Carried {
            table: table.name,
            rows,
            of,
        }))?;
    }
}

/// Answers how many rows both sides have, if they are alike.
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
        "{} differs after the migration: {here} here, {there} there; empty the database and begin anew",
        table.name
    )))
}
