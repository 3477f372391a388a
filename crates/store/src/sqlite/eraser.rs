//! Erasure of deleted text from the write-ahead log.
//!
//! With `secure_delete` SQLite overwrites deleted content in the database, but the write-ahead log keeps
//! earlier copies of the pages until a checkpoint truncates it. The eraser requests that checkpoint within
//! a bounded time after a commit that deleted text. It uses a thread and a connection of its own, so that
//! commits go on meanwhile.

use std::{
    path::Path,
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    thread,
    time::Duration,
};

use metrics::{Counter, counter};
use roomful_supervisor::supervise_thread;
use rusqlite::Connection;
use tokio::{sync::mpsc, time::Instant};

use super::connection;
use crate::{Options, StoreError};

/// Pause between attempts while readers keep the log in use.
const RETRY: Duration = Duration::from_millis(100);

/// Requests checkpoints of the eraser thread.
pub(super) struct ErasureRequests(SyncSender<()>);

impl ErasureRequests {
    /// Requests a checkpoint after a commit that deleted text. Requests that arrive before it are one.
    pub(super) fn request(&self) {
        match self.0.try_send(()) {
            // Full: a checkpoint is due anyway. Disconnected: closing the file truncates the log.
            Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
        }
    }
}

/// The eraser thread. It ends when the last [`ErasureRequests`] is dropped.
pub(super) struct Eraser {
    /// Yields `None` when the thread has ended; nothing is ever sent.
    ended: tokio::sync::Mutex<mpsc::Receiver<()>>,
}

impl Eraser {
    pub(super) fn start(path: &Path, options: &Options) -> Result<(Self, ErasureRequests), StoreError> {
        let conn = connection::existing(path)?;
        // A crash loses the requests, and the write-ahead log still has the erased text.
        let is_erased = options.guest || truncate(&conn);
        let (requests, incoming) = sync_channel(1);
        let (alive, ended) = mpsc::channel(1);
        let task = Task {
            conn,
            incoming,
            within: options.erase_within,
            erased: counter!("roomful_store_erasures_total"),
            late: counter!("roomful_store_erasures_late_total"),
        };
        thread::Builder::new()
            .name("store-eraser".into())
            .spawn(move || {
                supervise_thread("store eraser", || task.run());
                drop(task);
                drop(alive);
            })
            .map_err(|error| StoreError::Setup(format!("failed to start the eraser thread: {error}")))?;
        let eraser = Self {
            ended: tokio::sync::Mutex::new(ended),
        };
        let requests = ErasureRequests(requests);
        if !is_erased {
            requests.request();
        }
        Ok((eraser, requests))
    }

    /// Waits until the thread has ended and its connection is closed. The last connection of a database
    /// that closes removes the write-ahead log.
    pub(super) async fn ended(&self) {
        self.ended.lock().await.recv().await;
    }
}

struct Task {
    conn: Connection,
    incoming: Receiver<()>,
    within: Duration,
    erased: Counter,
    late: Counter,
}

impl Task {
    fn run(&self) {
        while self.incoming.recv().is_ok() {
            let requested = Instant::now();
            // Half of the time collects requests, the other half is for the checkpoint.
            if self.ends_within(self.within / 2) {
                return;
            }
            let mut late = false;
            while !truncate(&self.conn) {
                if !late && requested.elapsed() > self.within {
                    late = true;
                    self.late.increment(1);
                    tracing::warn!("failed to erase deleted text from the write-ahead log in time, retrying");
                }
                if self.ends_within(RETRY) {
                    return;
                }
            }
            self.erased.increment(1);
        }
    }

    /// Waits for a time and takes the requests that arrive meanwhile. True, at once, when the store closes.
    fn ends_within(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        loop {
            match self
                .incoming
                .recv_timeout(until.saturating_duration_since(Instant::now()))
            {
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) => return false,
                Err(RecvTimeoutError::Disconnected) => return true,
            }
        }
    }
}

/// Copies the write-ahead log into the database and truncates it. False while another connection uses the
/// log.
fn truncate(conn: &Connection) -> bool {
    let busy = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
    matches!(busy, Ok(0))
}
