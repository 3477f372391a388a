//! The engine for several nodes: one PostgreSQL database, to which each node appends in flights; all else is short
//! transactions on a pool, whose commits the database groups.
//!
//! | file | what |
//! |---|---|
//! | `url`, `tls`, `pool`, `permits`, `conn`, `answer_timeout` | how connections are made, lent and used, and for how long is waited for an answer |
//! | `schema` | the schema, and what the server must be like |
//! | `generation`, `nodes` | whether the log was restored; which nodes live |
//! | `append/` | the order of all entries: numbering and storing them |
//! | `rooms`, `members`, `users`, `revocations`, `retention`, `probe` | the statements of their noun |
//! | `entries`, `history`, `inbox`, `positions` | entries as they are now, and pages of them |
//! | `recovery`, `sessions` | sessions that may be taken up again |
//! | `notifications` | users' notifications, and what their devices were given |
//! | `batcher`, `gathered` | calls that go to the database together |
//! | `outbox/` | records for sinks outside |
//! | `value`, `failure` | values, errors |
//!
//! Locks are taken in one order everywhere: the order of the log, then rooms by id, then what belongs to them.

mod answer_timeout;
mod append;
mod batcher;
mod conn;
mod connection_permits;
mod entries;
pub(crate) mod failure;
mod gathered;
mod generation;
mod history;
mod inbox;
mod log;
mod members;
mod nodes;
mod notifications;
mod outbox;
pub(crate) mod pool;
mod positions;
mod probe;
mod recovery;
mod retention;
mod revocations;
mod rooms;
pub(crate) mod schema;
mod sessions;
#[cfg(test)]
mod tests;
mod tls;
mod url;
mod users;
pub(crate) mod value;

use std::sync::Arc;

use async_trait::async_trait;
use tokio::{runtime::Runtime, sync::watch, task::JoinHandle};

use self::{
    append::Appender,
    conn::Conn,
    failure::Failure,
    gathered::Gathered,
    generation::{LogState, OpenNode},
    pool::{Connector, Pool},
};
use crate::{Options, Outbox, Retention, RoomId, Store, StoreError, metrics::Metrics};

/// A store in a PostgreSQL database.
pub(crate) struct PostgresStore {
    shared: Arc<Shared>,
    appender: Appender,
    gathered: Gathered,
    /// Told of each commit that wrote to the outbox.
    recorded: watch::Sender<()>,
    beat: Option<JoinHandle<()>>,
    _threads: Threads,
}

/// What the store's tasks have, too.
struct Shared {
    pool: Pool,
    /// One connection that says that this node lives: however much work waits for the others, that does not wait.
    heartbeat_pool: Pool,
    log_state: Arc<LogState>,
    options: Options,
    metrics: Arc<Metrics>,
}

/// The store's own runtime: connections are driven on it whoever asks, and it can be waited for from wherever it is opened.
struct Threads(Option<Runtime>);

impl Threads {
    fn start() -> Result<Self, StoreError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("store-postgres")
            .enable_all()
            .build();
        let runtime = runtime.map_err(|error| StoreError::Setup(format!("cannot start threads: {error}")))?;
        Ok(Self(Some(runtime)))
    }

    /// Runs something on them and waits, also where waiting is not for async code.
    fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let ended = || StoreError::Internal("a thread of the store has ended".into());
        let runtime = self.0.as_ref().ok_or_else(ended)?;
        let (done, result) = std::sync::mpsc::sync_channel(1);
        runtime.spawn(async move {
            // Whoever asked waits.
            let _ = done.send(work.await);
        });
        result.recv().map_err(|_| ended())?
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Without waiting, which async code must not.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Opens the database, see [`crate::open`].
pub(crate) fn open(url: &str, options: Options) -> Result<PostgresStore, StoreError> {
    let threads = Threads::start()?;
    // Here, since a recorder may be this thread's own.
    let metrics = Arc::new(Metrics::new());
    let (recorded, url) = (watch::Sender::new(()), url.to_owned());
    let told = recorded.clone();
    let (shared, appender, gathered, beat) =
        threads.run(async move { start(&url, options, metrics, told).await })?;
    Ok(PostgresStore {
        shared,
        appender,
        gathered,
        recorded,
        beat,
        _threads: threads,
    })
}

async fn start(
    url: &str,
    options: Options,
    metrics: Arc<Metrics>,
    recorded: watch::Sender<()>,
) -> Result<(Arc<Shared>, Appender, Gathered, Option<JoinHandle<()>>), StoreError> {
    let connector = Connector::new(url, &options, tokio::runtime::Handle::current())?;
    let client = schema::prepare(&connector).await?;
    schema::refuse_half_migrated(&client, connector.answer_timeout()).await?;
    let node = OpenNode {
        folder: options.folder.as_deref(),
        guest: options.guest,
        force_renewal: false,
        answer_timeout: connector.answer_timeout(),
    };
    let (log_state, _) = generation::open(&client, node).await?;
    drop(client);
    let log_state = Arc::new(log_state);
    let shared = Arc::new(Shared {
        pool: connector.pool(options.pool, &options, Arc::clone(&log_state))?,
        heartbeat_pool: connector.pool(1, &options, Arc::clone(&log_state))?,
        log_state: Arc::clone(&log_state),
        options: options.clone(),
        metrics: Arc::clone(&metrics),
    });
    let limit = options.node_timeout;
    let appender = Appender::start(append::Start {
        pool: connector.pool(1, &options, Arc::clone(&log_state))?,
        log_state,
        options,
        metrics,
        recorded,
    });
    let beats = !shared.log_state.is_guest();
    let beat = beats.then(|| tokio::spawn(nodes::beat(Arc::downgrade(&shared), limit)));
    let gathered = Gathered::start(&shared);
    Ok((shared, appender, gathered, beat))
}

/// Whether the URL can be meant, see [`crate::check_url`].
pub(crate) fn check_url(url: &str) -> Result<(), StoreError> {
    url::parse(url).map(drop)
}

/// Whether its certificates can be used, see [`crate::check_files`].
pub(crate) fn check_files(url: &str) -> Result<(), StoreError> {
    tls::connector(&url::parse(url)?.trust).map(drop)
}

/// Gives new epochs to the log, see [`crate::new_epochs`].
pub(crate) fn new_epochs(url: &str) -> Result<u64, StoreError> {
    let (threads, url) = (Threads::start()?, url.to_owned());
    threads.run(async move {
        let connector = Connector::new(&url, &Options::default(), tokio::runtime::Handle::current())?;
        schema::refuse_empty(&connector).await?;
        let client = schema::prepare(&connector).await?;
        schema::refuse_half_migrated(&client, connector.answer_timeout()).await?;
        let node = OpenNode {
            folder: None,
            guest: false,
            force_renewal: true,
            answer_timeout: connector.answer_timeout(),
        };
        let (log_state, rooms) = generation::open(&client, node).await?;
        nodes::forget(&client, log_state.node(), connector.answer_timeout()).await?;
        Ok(rooms.unwrap_or_default())
    })
}

impl PostgresStore {
    async fn conn(&self) -> Result<Conn, StoreError> {
        self.told(self.shared.pool.get().await)
    }

    /// A caller's time, unless its clock is ahead of the database's: one node with a wrong clock must not take everybody's
    /// history for old.
    async fn no_later_than_database(&self, now: i64) -> Result<i64, StoreError> {
        let there = self.told(probe::clock(&self.conn().await?).await)?;
        Ok(now.min(there))
    }

    /// Removes the history of a room that is to be removed, in bites: what follows then has little left to remove at once.
    async fn empty_room(&self, room: RoomId) -> Result<(), StoreError> {
        let limits = Retention {
            max_entries: u64::MAX,
            max_age_ms: 0,
        };
        let conn = self.conn().await?;
        while self
            .told(retention::trim(&conn, room, limits, i64::MAX).await)?
            .more
        {}
        Ok(())
    }

    /// What a call came to, as its caller is told.
    fn told<T>(&self, answer: Result<T, Failure>) -> Result<T, StoreError> {
        self.counted(answer.map_err(StoreError::from))
    }

    fn counted<T>(&self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        answer.inspect_err(|error| self.shared.metrics.failed(error))
    }
}

#[async_trait]
impl Store for PostgresStore {
    fn identity(&self) -> &str {
        self.shared.log_state.location()
    }

    async fn other_nodes(&self) -> Result<u64, StoreError> {
        let (conn, limit) = (self.conn().await?, self.shared.options.node_timeout);
        self.told(nodes::others(&conn, self.shared.log_state.node(), limit).await)
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.told(probe::beat(&self.conn().await?, &self.shared.log_state).await)
    }

    fn outbox(&self) -> Option<&dyn Outbox> {
        (!self.shared.options.outbox.sinks.is_empty()).then_some(self as &dyn Outbox)
    }

    async fn close(&self) {
        self.appender.close().await;
        if let Some(beat) = &self.beat {
            beat.abort();
        }
        if !self.shared.log_state.is_guest()
            && let Ok(conn) = self.shared.heartbeat_pool.get().await
            && let Err(error) = conn.end_node(&self.shared.log_state).await
        {
            tracing::debug!(error = %error.0, "the database can't be told that this node ends; it will find out");
        }
        self.shared.pool.close();
        self.shared.heartbeat_pool.close();
        self.shared.log_state.release();
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        // Its tasks end a little later.
        self.shared.log_state.release();
    }
}
