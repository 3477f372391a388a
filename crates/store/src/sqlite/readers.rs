//! The reader threads. Each has its own read-only connection, so that reads wait neither for writes nor for
//! disk space.

use std::{path::Path, sync::Arc, thread};

use parking_lot::Mutex;
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
            let found = snapshot(conn, query);
            // The caller may have gone.
            let _ = reply.send(found.map_err(|error| failure::from_sqlite(&error)));
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

fn work(conn: &Connection, jobs: &Mutex<mpsc::Receiver<Job>>) {
    loop {
        let Some(job) = jobs.lock().blocking_recv() else {
            return;
        };
        job(conn);
    }
}
