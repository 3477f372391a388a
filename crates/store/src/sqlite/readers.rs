//! The reader threads. Each has its own read-only connection, so that reads wait neither for writes nor for
//! disk space.

use std::{path::Path, sync::Arc, thread};

use parking_lot::Mutex;
use roomful_supervisor::catch_sync;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::{connection, failure};
use crate::{Options, StoreError, queue, queue::Queue};

type Job = Box<dyn FnOnce(&Connection) + Send>;

pub(super) struct Readers {
    queue: Queue<Job>,
    /// Yields `None` when the last thread has ended; nothing is ever sent.
    ended: tokio::sync::Mutex<mpsc::Receiver<()>>,
}

impl Readers {
    pub(super) fn start(path: &Path, options: &Options) -> Result<Self, StoreError> {
        let (queue, jobs) = Queue::new(options.queue_reads, options.queue_wait);
        // Idle readers queue at the lock; its holder waits for the next job.
        let jobs = Arc::new(Mutex::new(jobs));
        let (alive, ended) = mpsc::channel(1);
        for _ in 0..options.readers {
            let (conn, jobs, alive) = (connection::reader(path)?, jobs.clone(), alive.clone());
            thread::Builder::new()
                .name("store-reader".into())
                .spawn(move || {
                    work(&conn, &jobs);
                    drop(conn);
                    drop(alive);
                })
                .map_err(|error| {
                    StoreError::Setup(format!("failed to start a reader thread of the store: {error}"))
                })?;
        }
        Ok(Self {
            queue,
            ended: tokio::sync::Mutex::new(ended),
        })
    }

    /// Runs a query in one consistent state of the database.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |conn| {
            let found = match catch_sync("store reads", || snapshot(conn, query)) {
                Ok(found) => found.map_err(|error| failure::from_sqlite(&error)),
                Err(panicked) => {
                    end_transaction(conn);
                    Err(StoreError::Internal(format!("failed to read: {panicked}")))
                }
            };
            // The caller may have gone.
            let _ = reply.send(found);
        });
        self.queue.push(job).await?;
        queue::answer(answer).await
    }

    pub(super) async fn close(&self) {
        self.queue.close();
        self.ended.lock().await.recv().await;
    }
}

/// Reads in a transaction with cached statements.
fn snapshot<T>(
    conn: &Connection,
    query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    conn.prepare_cached("BEGIN")?.execute([])?;
    let found = query(conn);
    // Nothing to commit: this only ends the transaction.
    let ended = conn.prepare_cached("ROLLBACK")?.execute([]);
    found.and_then(|found| ended.map(|_| found))
}

/// Ends the transaction that a panic has left open.
fn end_transaction(conn: &Connection) {
    if !conn.is_autocommit()
        && let Err(error) = conn.execute_batch("ROLLBACK")
    {
        tracing::error!(%error, "failed to end a read transaction");
    }
}

fn work(conn: &Connection, jobs: &Mutex<mpsc::Receiver<Job>>) {
    loop {
        let Some(job) = jobs.lock().blocking_recv() else {
            return;
        };
        job(conn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_read_that_panics_is_an_error_and_its_thread_reads_on() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("roomful.db").display());
        let store = crate::open(&url, Options::default()).unwrap();
        let options = Options {
            readers: 1,
            ..Options::default()
        };
        let readers = Readers::start(&folder.path().join("roomful.db"), &options).unwrap();
        let failed = readers
            .read(|_| -> rusqlite::Result<()> { panic!("a fault") })
            .await;
        let Err(StoreError::Internal(text)) = failed else {
            panic!("{failed:?}");
        };
        assert_eq!(text, "failed to read: it panicked: a fault");
        let one = readers.read(|conn| conn.query_row("SELECT 1", [], |row| row.get(0)));
        assert_eq!(one.await, Ok(1));
        readers.close().await;
        store.close().await;
    }
}
