//! The embedded engine: one file, one writer, a few readers.
//!
//! | file | what |
//! |---|---|
//! | `writer`, `batch` | the writer thread, its queue, and a transaction for all that came meanwhile |
//! | `readers` | the reader threads |
//! | `append`, `changes`, `rooms`, `members`, `users`, `revocations`, `retention`, `probe` | what a write does, and the queries of its noun |
//! | `entries`, `history`, `inbox` | entries as they are now, and pages of them |
//! | `positions` | the order of all entries |
//! | `recovery`, `sessions` | sessions that may be taken up again |
//! | `notifications` | users' notifications, and what their devices were given |
//! | `generation` | whether the file is the one that was left, told by a small file beside it |
//! | `outbox/` | records for sinks outside |
//! | `connection`, `column`, `failure` | the file's settings and schema, values, errors |

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
    /// The newest committed position in the order of all entries.
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
        // One process has the file, so it need not be for good.
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
        // The writer's connection goes last, since a reader's can't tidy the write-ahead log away.
        self.readers.close().await;
        self.writer.close().await;
    }
}
