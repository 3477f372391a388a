//! The engine for several nodes: one PostgreSQL database. Each node commits its appends in batches; all
//! other calls are short transactions on a pool, whose commits the database groups.
//!
//! | file | what |
//! |---|---|
//! | `url`, `tls`, `pool`, `connection_permits`, `conn`, `answer_timeout` | connections and time limits |
//! | `schema` | the schema, and requirements on the server |
//! | `generation`, `nodes` | detection of restores; heartbeats of nodes |
//! | `append/` | numbering and storing entries |
//! | `rooms`, `members`, `users`, `moderation`, `reports`, `audit` | the statements of their noun |
//! | `personal_data`, `revocations`, `retention`, `probe` | the same |
//! | `entries`, `history`, `positions` | entries in their current state, and pages of them |
//! | `inbox`, `unread` | rooms of a user, and counts of unread messages |
//! | `recovery`, `sessions` | sessions that clients resume |
//! | `notifications` | users' notifications, and marks of their devices |
//! | `batcher`, `batched_calls` | calls that share a transaction |
//! | `outbox/` | records for sinks |
//! | `value`, `failure` | values and errors |
//!
//! Lock order: the log head, then rooms by id, then the rows of a room, then records of the outbox by `n`.

mod answer_timeout;
mod append;
mod audit;
mod batched_calls;
mod batcher;
mod conn;
mod connection_permits;
mod entries;
pub(crate) mod failure;
mod generation;
mod history;
mod inbox;
mod log;
mod member_rows;
mod members;
mod moderation;
mod nodes;
mod notifications;
mod outbox;
mod personal_data;
pub(crate) mod pool;
mod positions;
mod probe;
mod recovery;
mod reports;
mod retention;
mod revocations;
mod rooms;
pub(crate) mod schema;
mod sessions;
#[cfg(test)]
mod tests;
mod tls;
mod unread;
mod url;
mod users;
pub(crate) mod value;

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use roomful_supervisor::{Supervised, supervise};
use tokio::{runtime::Runtime, sync::watch};

use self::{
    append::Appender,
    batched_calls::BatchedCalls,
    conn::Conn,
    failure::Failure,
    generation::{LogState, OpenNode},
    pool::{Connector, Pool},
};
use crate::{
    Options, Outbox, Retention, RoomId, SchemaState, Store, StoreError, metrics::Metrics,
    trim::ROWS_PER_COMMIT,
};

/// A store in a PostgreSQL database.
pub(crate) struct PostgresStore {
    shared: Arc<Shared>,
    appender: Appender,
    batched_calls: BatchedCalls,
    /// Notified of each commit that wrote to the outbox.
    recorded: watch::Sender<()>,
    heartbeat: Option<Supervised>,
    _threads: Threads,
}

/// State that the store shares with its tasks.
struct Shared {
    pool: Pool,
    /// One connection for heartbeats and health checks, which do not queue behind other work.
    heartbeat_pool: Pool,
    log_state: Arc<LogState>,
    options: Options,
    metrics: Arc<Metrics>,
}

/// The store's own runtime, which drives its connections. It lets synchronous code wait for the store.
struct Threads(Option<Runtime>);

impl Threads {
    fn start() -> Result<Self, StoreError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("store-postgres")
            .enable_all()
            .build();
        let runtime = runtime.map_err(|error| {
            StoreError::Setup(format!("failed to start the threads of the store: {error}"))
        })?;
        Ok(Self(Some(runtime)))
    }

    /// Runs a future on the runtime and blocks until it is done.
    fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let ended = || StoreError::Internal("a thread of the store has ended".into());
        let runtime = self.0.as_ref().ok_or_else(ended)?;
        let (done, result) = std::sync::mpsc::sync_channel(1);
        runtime.spawn(async move {
            // The receiver waits.
            let _ = done.send(work.await);
        });
        result.recv().map_err(|_| ended())?
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Async code must not block here.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Opens the database, see [`crate::open`].
pub(crate) fn open(url: &str, options: Options) -> Result<PostgresStore, StoreError> {
    let threads = Threads::start()?;
    // On this thread, since it may have a metrics recorder of its own.
    let metrics = Arc::new(Metrics::new());
    let (recorded, url) = (watch::Sender::new(()), url.to_owned());
    let told = recorded.clone();
    let (shared, appender, batched_calls, heartbeat) =
        threads.run(async move { start(&url, options, metrics, told).await })?;
    Ok(PostgresStore {
        shared,
        appender,
        batched_calls,
        recorded,
        heartbeat,
        _threads: threads,
    })
}

async fn start(
    url: &str,
    options: Options,
    metrics: Arc<Metrics>,
    recorded: watch::Sender<()>,
) -> Result<(Arc<Shared>, Appender, BatchedCalls, Option<Supervised>), StoreError> {
    let connector = Connector::new(url, &options, tokio::runtime::Handle::current())?;
    let client = if options.guest {
        schema::existing(&connector).await?
    } else {
        schema::prepare(&connector).await?
    };
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
        pool: connector.pool(
            options.pool,
            &options,
            Arc::clone(&log_state),
            Arc::clone(&metrics),
        )?,
        heartbeat_pool: connector.pool(1, &options, Arc::clone(&log_state), Arc::clone(&metrics))?,
        log_state: Arc::clone(&log_state),
        options: options.clone(),
        metrics: Arc::clone(&metrics),
    });
    let limit = options.node_timeout;
    let appender = Appender::start(append::Start {
        pool: connector.pool(1, &options, Arc::clone(&log_state), Arc::clone(&metrics))?,
        log_state,
        options,
        metrics,
        recorded,
    });
    let sends_heartbeats = !shared.log_state.is_guest();
    let weak = Arc::downgrade(&shared);
    let send = move || nodes::send_heartbeats(Weak::clone(&weak), limit);
    let heartbeat = sends_heartbeats.then(|| supervise("store heartbeats", send));
    let batched_calls = BatchedCalls::start(&shared);
    Ok((shared, appender, batched_calls, heartbeat))
}

/// Checks the URL, see [`crate::check_url`].
pub(crate) fn check_url(url: &str) -> Result<(), StoreError> {
    url::parse(url).map(drop)
}

/// Checks the certificates that it names, see [`crate::check_files`].
pub(crate) fn check_files(url: &str) -> Result<(), StoreError> {
    tls::connector(&url::parse(url)?.trust).map(drop)
}

/// See [`crate::new_epochs`].
pub(crate) fn new_epochs(url: &str) -> Result<u64, StoreError> {
    let (threads, url) = (Threads::start()?, url.to_owned());
    threads.run(async move {
        let connector = Connector::new(&url, &Options::default(), tokio::runtime::Handle::current())?;
        let client = schema::existing(&connector).await?;
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

/// The state of the database's schema, see [`crate::schema_state`].
pub(crate) fn schema_state(url: &str) -> Result<SchemaState, StoreError> {
    let (threads, url) = (Threads::start()?, url.to_owned());
    threads.run(async move {
        let connector = Connector::new(&url, &Options::default(), tokio::runtime::Handle::current())?;
        schema::state(&connector).await
    })
}

impl PostgresStore {
    async fn conn(&self) -> Result<Conn, StoreError> {
        self.checked(self.shared.pool.get().await)
    }

    /// The earlier of the caller's and the database's time: a node whose clock is ahead must not expire
    /// everybody's history.
    async fn no_later_than_database(&self, now: i64) -> Result<i64, StoreError> {
        let there = self.checked(probe::clock(&self.conn().await?).await)?;
        Ok(now.min(there))
    }

    /// Deletes the rows that are older than `kept_ms` at `now`. `sql` deletes one commit's worth from before
    /// a time.
    async fn trim_rows(&self, sql: &'static str, kept_ms: i64, now: i64) -> Result<u64, StoreError> {
        let cutoff = self.no_later_than_database(now).await?.saturating_sub(kept_ms);
        let mut total = 0;
        loop {
            let deleted = self.checked(self.conn().await?.run(sql, &[&cutoff]).await)?;
            total += deleted;
            if deleted < ROWS_PER_COMMIT {
                return Ok(total);
            }
        }
    }

    /// Removes the history of a room in small commits, so that its deletion has little left to remove.
    async fn empty_room(&self, room: RoomId) -> Result<(), StoreError> {
        let limits = Retention::NOTHING;
        let conn = self.conn().await?;
        while self
            .checked(retention::trim(&conn, room, limits, i64::MAX).await)?
            .more
        {}
        Ok(())
    }

    /// Converts the outcome of a call and counts a failure.
    fn checked<T>(&self, answer: Result<T, Failure>) -> Result<T, StoreError> {
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
        self.checked(nodes::others(&conn, self.shared.log_state.node(), limit).await)
    }

    async fn clock(&self) -> Result<Option<i64>, StoreError> {
        // On the connection for heartbeats, so that the answer does not wait behind other work.
        let conn = self.checked(self.shared.heartbeat_pool.get().await)?;
        self.checked(probe::clock(&conn).await).map(Some)
    }

    async fn check(&self) -> Result<(), StoreError> {
        // On the connection for heartbeats, which does not queue behind other work.
        let conn = self.checked(self.shared.heartbeat_pool.get().await)?;
        self.checked(probe::heartbeat(&conn, &self.shared.log_state).await)
    }

    async fn size(&self) -> Result<u64, StoreError> {
        self.checked(probe::size(&self.conn().await?).await)
    }

    fn outbox(&self) -> Option<&dyn Outbox> {
        (!self.shared.options.outbox.sinks.is_empty()).then_some(self as &dyn Outbox)
    }

    async fn close(&self) {
        self.appender.close().await;
        if let Some(heartbeat) = &self.heartbeat {
            heartbeat.abort();
        }
        if !self.shared.log_state.is_guest()
            && let Ok(conn) = self.shared.heartbeat_pool.get().await
            && let Err(error) = nodes::end_over(&conn, self.shared.log_state.node()).await
        {
            tracing::debug!(error = %error.0, "failed to mark this node as ended; it expires on its own");
        }
        self.shared.pool.close();
        self.shared.heartbeat_pool.close();
        self.shared.log_state.release();
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        // The tasks that share the state end a little later.
        self.shared.log_state.release();
    }
}
