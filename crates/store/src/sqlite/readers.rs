//! The reader threads. Each has its own read-only connection, so that reads wait neither for writes nor for
//! disk space.
//!
//! Callers that wait take turns, see [`Caller`]. A read whose caller has gone by its turn is dropped.

use std::{path::Path, sync::Arc, thread};

use parking_lot::{Condvar, Mutex};
use roomful_supervisor::catch_sync;
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::{connection, failure};
use crate::{
    Caller, Options, Outage, StoreError,
    caller::Lane,
    fair_queue::FairQueue,
    metrics::Metrics,
    queue::{self, within},
};

/// A read that waits, whatever it answers.
trait AnyRead: Send {
    /// False once nobody waits for the answer.
    fn is_wanted(&self) -> bool;

    fn run(self: Box<Self>, conn: &Connection);

    /// Answers [`Outage::Abandoned`].
    fn abandon(self: Box<Self>);
}

struct Read<Q, T> {
    query: Q,
    caller: Caller,
    reply: oneshot::Sender<Result<T, StoreError>>,
    /// Its place in the queue.
    _place: OwnedSemaphorePermit,
}

impl<Q, T> AnyRead for Read<Q, T>
where
    Q: FnOnce(&Connection) -> rusqlite::Result<T> + Send,
    T: Send,
{
    fn is_wanted(&self) -> bool {
        !self.reply.is_closed() && !self.caller.has_gone()
    }

    fn run(self: Box<Self>, conn: &Connection) {
        let Self { query, reply, .. } = *self;
        let found = match catch_sync("store reads", || snapshot(conn, query)) {
            Ok(found) => found.map_err(|error| failure::from_sqlite(&error)),
            Err(panicked) => {
                end_transaction(conn);
                Err(StoreError::Internal(format!("failed to read: {panicked}")))
            }
        };
        // The caller may have gone.
        let _ = reply.send(found);
    }

    fn abandon(self: Box<Self>) {
        let _ = self.reply.send(Err(Outage::Abandoned.into()));
    }
}

/// The queue that the threads share.
struct Waiting {
    state: Mutex<State>,
    /// Notified of each read, and of the end.
    changed: Condvar,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct State {
    reads: FairQueue<Lane, Box<dyn AnyRead>>,
    closed: bool,
}

pub(super) struct Readers {
    waiting: Arc<Waiting>,
    places: Arc<Semaphore>,
    wait: std::time::Duration,
    per_user: usize,
    /// Yields `None` when the last thread has ended; nothing is ever sent.
    ended: tokio::sync::Mutex<mpsc::Receiver<()>>,
}

impl Readers {
    /// Starts `threads` threads.
    pub(super) fn start(
        path: &Path,
        options: &Options,
        threads: usize,
        metrics: Arc<Metrics>,
    ) -> Result<Self, StoreError> {
        let waiting = Arc::new(Waiting {
            state: Mutex::default(),
            changed: Condvar::new(),
            metrics,
        });
        let (alive, ended) = mpsc::channel(1);
        for _ in 0..threads {
            let (conn, waiting, alive) = (connection::reader(path)?, Arc::clone(&waiting), alive.clone());
            thread::Builder::new()
                .name("store-reader".into())
                .spawn(move || {
                    while let Some(read) = waiting.next() {
                        read.run(&conn);
                    }
                    drop(conn);
                    drop(alive);
                })
                .map_err(|error| {
                    StoreError::Setup(format!("failed to start a reader thread of the store: {error}"))
                })?;
        }
        Ok(Self {
            waiting,
            places: Arc::new(Semaphore::new(options.queue_reads)),
            wait: options.queue_wait,
            per_user: options.queue_reads_per_user,
            ended: tokio::sync::Mutex::new(ended),
        })
    }

    /// Runs a query in one consistent state of the database.
    ///
    /// # Errors
    /// [`Outage::Busy`] if the queue stays full for too long, or if the user has as many reads in it as one
    /// may have.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let place = within(self.wait, Arc::clone(&self.places).acquire_owned()).await?;
        let (reply, answer) = oneshot::channel();
        let caller = Caller::current();
        let lane = caller.lane();
        let read = Box::new(Read {
            query,
            caller,
            reply,
            _place: place.map_err(|_| Outage::Closed)?,
        });
        self.waiting.push(lane, read, self.per_user)?;
        queue::answer(answer).await
    }

    pub(super) async fn close(&self) {
        self.waiting.state.lock().closed = true;
        self.waiting.changed.notify_all();
        self.ended.lock().await.recv().await;
    }
}

impl Waiting {
    fn push(&self, lane: Lane, read: Box<dyn AnyRead>, per_user: usize) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Outage::Closed.into());
        }
        if lane != Lane::Server && state.reads.len_of(lane) >= per_user {
            return Err(Outage::Busy.into());
        }
        state.reads.push(lane, read);
        self.metrics.reads_waiting.increment(1.0);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// The next read that somebody waits for; `None` once the queue is closed and empty.
    fn next(&self) -> Option<Box<dyn AnyRead>> {
        let mut state = self.state.lock();
        loop {
            let Some(read) = state.reads.pop() else {
                if state.closed {
                    return None;
                }
                self.changed.wait(&mut state);
                continue;
            };
            self.metrics.reads_waiting.decrement(1.0);
            if read.is_wanted() {
                return Some(read);
            }
            self.metrics.reads_dropped.increment(1);
            read.abandon();
        }
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
        let path = folder.path().join("roomful.db");
        let readers = Readers::start(&path, &options, 1, Arc::new(Metrics::new())).unwrap();
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
