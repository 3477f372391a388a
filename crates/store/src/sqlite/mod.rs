//! The embedded engine: one SQLite file, one writer thread, a few reader threads.
//!
//! | file | what |
//! |---|---|
//! | `writer`, `batch` | the writer thread with its queue, and its transactions |
//! | `readers` | the reader threads |
//! | `eraser` | erasure of deleted text from the write-ahead log |
//! | `compaction` | erasure of copies in unused parts of pages |
//! | `append`, `rooms`, `members`, `users`, `moderation`, `reports` | the writes and queries of their noun |
//! | `audit`, `personal_data`, `revocations`, `retention`, `probe` | the same |
//! | `usage` | counts of daily quotas |
//! | `entries`, `history`, `inbox`, `unread` | entries in their current state, pages of them, and counts |
//! | `positions` | reading by position |
//! | `recovery`, `sessions` | sessions that clients resume |
//! | `notifications` | users' notifications, and marks of their devices |
//! | `generation` | detection of a restored file |
//! | `outbox/` | records for sinks |
//! | `database_file` | noticing that the file was removed |
//! | `connection`, `column`, `failure` | settings and schema, values, errors |

mod append;
mod audit;
mod batch;
mod column;
mod compaction;
pub(crate) mod connection;
mod database_file;
mod entries;
mod eraser;
mod failure;
mod generation;
mod guards;
mod history;
mod inbox;
mod log;
mod log_head;
mod member_rows;
mod members;
mod moderation;
mod notifications;
mod outbox;
mod personal_data;
mod positions;
mod probe;
mod readers;
mod recovery;
mod reports;
mod retention;
mod revocations;
mod rooms;
mod sessions;
mod statement;
#[cfg(test)]
mod tests;
mod unread;
mod usage;
mod users;
mod write;
mod writer;

use std::{
    path::Path,
    sync::{Arc, atomic::AtomicU64},
};

use async_trait::async_trait;
use rusqlite::Connection;

use self::{
    database_file::DatabaseFile, eraser::Eraser, readers::Readers, retention::TrimRows, writer::Writer,
};
use crate::{
    NotificationRetention, Options, Outbox, OutboxOptions, SchemaState, Store, StoreError, metrics::Metrics,
    trim::ROWS_PER_COMMIT,
};

/// A store in one SQLite file.
pub(crate) struct SqliteStore {
    writer: Writer,
    readers: Readers,
    /// One thread for health checks, which no other read delays.
    health: Readers,
    file: Arc<DatabaseFile>,
    eraser: Eraser,
    metrics: Arc<Metrics>,
    page_bytes: usize,
    notifications: NotificationRetention,
    outbox: OutboxOptions,
    compact_up_to: u64,
    epoch: String,
    /// The newest committed position.
    pos: Arc<AtomicU64>,
}

/// Opens the file, see [`crate::open`].
pub(crate) fn open(path: &str, options: Options) -> Result<SqliteStore, StoreError> {
    let path = file(path)?;
    let metrics = Arc::new(Metrics::new());
    let mut conn = if options.guest {
        connection::existing(path)?
    } else {
        connection::writer(path)?
    };
    let watermark = if options.guest {
        None
    } else {
        let generation = generation::begin(&mut conn, path, false)?;
        compaction::compact_if_due(&conn, path, options.compact_up_to);
        Some(generation.watermark)
    };
    let crate::LogHead { epoch, position } =
        log_head::read(&conn).map_err(|error| failure::from_sqlite(&error))?;
    let pos = Arc::new(AtomicU64::new(position.0));
    let file = Arc::new(DatabaseFile::opened(path)?);
    let (eraser, erasures) = Eraser::start(path, &options)?;
    let writer = Writer::start(
        conn,
        Arc::clone(&file),
        watermark,
        &options,
        metrics.clone(),
        Arc::clone(&pos),
        erasures,
    )?;
    let readers = Readers::start(path, &options, options.readers, Arc::clone(&metrics))?;
    let health = Readers::start(path, &options, 1, Arc::clone(&metrics))?;
    Ok(SqliteStore {
        writer,
        readers,
        health,
        file,
        eraser,
        metrics,
        page_bytes: options.page_bytes,
        notifications: options.notifications,
        outbox: options.outbox,
        compact_up_to: options.compact_up_to,
        epoch,
        pos,
    })
}

/// Gives new epochs to the log in the file, see [`crate::new_epochs`].
pub(crate) fn new_epochs(path: &str) -> Result<u64, StoreError> {
    let path = file(path)?;
    let mut conn = connection::existing(path)?;
    Ok(generation::begin(&mut conn, path, true)?
        .renewed
        .unwrap_or_default())
}

/// The state of the file's schema, see [`crate::schema_state`].
pub(crate) fn schema_state(path: &str) -> Result<SchemaState, StoreError> {
    connection::schema_state(file(path)?)
}

fn file(path: &str) -> Result<&Path, StoreError> {
    if path.is_empty() || path.starts_with(':') {
        return Err(StoreError::Setup(format!(
            "`sqlite:{path}` names no file; use a path such as sqlite:/var/lib/roomful/roomful.db"
        )));
    }
    Ok(Path::new(path))
}

impl SqliteStore {
    async fn write<W: write::Write>(&self, write: W) -> Result<W::Answer, StoreError> {
        self.counted(self.writer.write(write).await)
    }

    /// Deletes the rows that are older than `kept_ms` at `now`. `sql` deletes one commit's worth from before
    /// a time.
    async fn trim_rows(&self, sql: &'static str, kept_ms: i64, now: i64) -> Result<u64, StoreError> {
        let cutoff = now.saturating_sub(kept_ms);
        let mut total = 0;
        loop {
            let deleted = self.write(TrimRows { sql, cutoff }).await?;
            total += deleted;
            if deleted < ROWS_PER_COMMIT {
                return Ok(total);
            }
        }
    }

    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.counted(self.readers.read(query).await)
    }

    fn counted<T>(&self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        answer.inspect_err(|error| self.metrics.failed(error))
    }
}

#[async_trait]
impl Store for SqliteStore {
    fn identity(&self) -> &str {
        // Only one process has the file open, so the identity may change with a restore.
        &self.epoch
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.write(probe::HeartbeatWrite).await?;
        let file = Arc::clone(&self.file);
        let checked = self.health.read(move |conn| {
            probe::read(conn)?;
            Ok(file.check())
        });
        let checked = checked.await.flatten();
        self.counted(checked)
    }

    async fn size(&self) -> Result<u64, StoreError> {
        let path = self.file.path().to_owned();
        self.read(move |conn| {
            let bytes = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
            let mut write_ahead_log = path.clone().into_os_string();
            write_ahead_log.push("-wal");
            Ok(probe::size(conn)? + bytes(Path::new(&write_ahead_log)))
        })
        .await
    }

    fn outbox(&self) -> Option<&dyn Outbox> {
        (!self.outbox.sinks.is_empty()).then_some(self as &dyn Outbox)
    }

    async fn close(&self) {
        // Writing connections close last: a reader's cannot remove the write-ahead log.
        self.readers.close().await;
        self.health.close().await;
        self.writer.close().await;
        self.eraser.ended().await;
    }
}
