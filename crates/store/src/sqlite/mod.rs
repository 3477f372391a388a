//! The embedded store: one SQLite file, one writer thread, a few reader threads.
//!
//! | file | what |
//! |---|---|
//! | `writer`, `batch` | the writer thread, and the transaction that it applies a batch of writes to |
//! | `readers` | the reader threads |
//! | `log`, `append`, `retention` | the log: appends and what is kept |
//! | `rooms`, `members`, `users`, `revocations`, `probe` | the writes and queries of a noun |
//! | `entries`, `history`, `inbox` | entries in their present state, and pages of them |
//! | `positions` | reading entries by position |
//! | `recovery`, `sessions` | sessions that clients can resume |
//! | `notifications` | users' notifications, and how far their devices have received them |
//! | `generation` | whether the file was restored from a backup |
//! | `outbox/` | records for webhooks and streams |
//! | `connection`, `column`, `failure` | settings and schema of the file, column values, errors |

mod append;
mod batch;
mod column;
pub(crate) mod connection;
mod entries;
mod failure;
mod generation;
mod history;
mod inbox;
mod log;
mod members;
mod notifications;
mod outbox;
mod positions;
mod probe;
mod readers;
mod recovery;
mod retention;
mod revocations;
mod rooms;
mod sessions;
#[cfg(test)]
mod tests;
mod users;
mod writer;

use std::{
    path::Path,
    sync::{Arc, atomic::AtomicU64},
};

use async_trait::async_trait;
use rusqlite::Connection;

use self::{readers::Readers, writer::Writer};
use crate::{NotificationRetention, Options, Outbox, OutboxOptions, Store, StoreError, metrics::Metrics};

/// A store in one SQLite file.
pub(crate) struct SqliteStore {
    writer: Writer,
    readers: Readers,
    metrics: Arc<Metrics>,
    page_bytes: usize,
    notifications: NotificationRetention,
    outbox: OutboxOptions,
    epoch: String,
    /// The newest committed position.
    pos: Arc<AtomicU64>,
}

/// Opens the file, see [`crate::open`].
pub(crate) fn open(path: &str, options: Options) -> Result<SqliteStore, StoreError> {
    let path = file(path)?;
    let metrics = Arc::new(Metrics::new());
    let mut conn = connection::writer(path)?;
    let watermark = if options.guest {
        None
    } else {
        Some(generation::begin(&mut conn, path, false)?.watermark)
    };
    let crate::LogHead { epoch, position } =
        sessions::position(&conn).map_err(|error| failure::from_sqlite(&error))?;
    let pos = Arc::new(AtomicU64::new(position.0));
    let writer = Writer::start(conn, watermark, &options, metrics.clone(), Arc::clone(&pos))?;
    let readers = Readers::start(path, &options)?;
    Ok(SqliteStore {
        writer,
        readers,
        metrics,
        page_bytes: options.page_bytes,
        notifications: options.notifications,
        outbox: options.outbox,
        epoch,
        pos,
    })
}

/// Gives new epochs to the log in the file, see [`crate::new_epochs`].
pub(crate) fn new_epochs(path: &str) -> Result<u64, StoreError> {
    let path = file(path)?;
    let mut conn = connection::writer(path)?;
    Ok(generation::begin(&mut conn, path, true)?
        .renewed
        .unwrap_or_default())
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
    async fn write<W: writer::Write>(&self, write: W) -> Result<W::Answer, StoreError> {
        self.counted(self.writer.write(write).await)
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
        self.write(probe::Beat).await?;
        self.read(probe::read).await.map(drop)
    }

    fn outbox(&self) -> Option<&dyn Outbox> {
        (!self.outbox.sinks.is_empty()).then_some(self as &dyn Outbox)
    }

    async fn close(&self) {
        // The writer closes last: only its connection can remove the write-ahead log.
        self.readers.close().await;
        self.writer.close().await;
    }
}
