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
use crate::{
    ChosenStatus, Delivered, DeliveredMark, DeliveredUpto, Entry, History, Inbox, InboxCursor, Joined,
    Marked, Member, NewNotification, NotificationList, NotificationPage, NotificationRetention,
    NotificationsRead, Options, Outbox, Page, Posted, ReadWhich, Retention, Role, RoomChange, RoomId,
    RoomRow, Store, StoreError, Undelivered, Unread, UserRow, metrics::Metrics,
};

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
    async fn open_room(&self, name: &str, create: bool, at: i64) -> Result<Option<RoomRow>, StoreError> {
        let found = self.counted(self.gathered.rooms_by_name.ask(name.to_owned()).await)?;
        if found.is_some() || !create {
            return Ok(found);
        }
        let conn = self.conn().await?;
        let made = rooms::create(&conn, name, at, &self.shared.options.outbox).await;
        let (room, recorded) = self.told(made)?;
        if recorded {
            self.recorded.send_replace(());
        }
        Ok(Some(room))
    }

    async fn room(&self, id: RoomId) -> Result<Option<RoomRow>, StoreError> {
        self.told(rooms::get(&self.conn().await?, id).await)
    }

    async fn put_room(&self, name: &str, change: RoomChange, at: i64) -> Result<(RoomRow, bool), StoreError> {
        let (conn, options) = (self.conn().await?, &self.shared.options);
        let most = options.retention.max_entries;
        let put = self.told(rooms::put(&conn, name, change, at, most, &options.outbox).await)?;
        if put.recorded {
            self.recorded.send_replace(());
        }
        Ok((put.room, put.created))
    }

    async fn delete_room(&self, room: RoomId) -> Result<bool, StoreError> {
        self.empty_room(room).await?;
        self.told(rooms::delete(&self.conn().await?, room).await)
    }

    async fn rooms(&self, after: Option<&str>, limit: u32) -> Result<Vec<RoomRow>, StoreError> {
        self.told(rooms::all(&self.conn().await?, after, limit).await)
    }

    async fn join(&self, room: RoomId, user: &str, at: i64) -> Result<Option<Joined>, StoreError> {
        let conn = self.conn().await?;
        match self.told(members::rejoin(&conn, room, user).await)? {
            None => self.told(members::join(&conn, room, user, at, members::Entrance::Joins).await),
            joined => Ok(joined),
        }
    }

    async fn put_member(
        &self,
        room: RoomId,
        user: &str,
        role: Option<Role>,
        at: i64,
    ) -> Result<Option<Joined>, StoreError> {
        let entrance = members::Entrance::IsPut(role);
        self.told(members::join(&self.conn().await?, room, user, at, entrance).await)
    }

    async fn members(
        &self,
        room: RoomId,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Member>, StoreError> {
        self.told(members::all(&self.conn().await?, room, after, limit).await)
    }

    async fn count_members(&self, room: RoomId) -> Result<u64, StoreError> {
        self.told(members::count(&self.conn().await?, room).await)
    }

    async fn leave(&self, room: RoomId, user: &str) -> Result<bool, StoreError> {
        self.told(members::leave(&self.conn().await?, room, user).await)
    }

    async fn member(&self, room: RoomId, user: &str) -> Result<Option<Member>, StoreError> {
        self.told(members::active(&self.conn().await?, room, user).await)
    }

    async fn rooms_of(&self, user: &str, limit: u32) -> Result<Vec<RoomRow>, StoreError> {
        self.counted(self.gathered.rooms_of_users.ask((user.to_owned(), limit)).await)
    }

    async fn sharing_a_room(&self, user: &str, others: &[String]) -> Result<Vec<String>, StoreError> {
        self.told(members::sharing_a_room(&self.conn().await?, user, others).await)
    }

    async fn inbox(&self, user: &str, limit: u32, after: Option<InboxCursor>) -> Result<Inbox, StoreError> {
        let page_bytes = self.shared.options.page_bytes;
        self.told(inbox::page(&self.conn().await?, user, limit, after, page_bytes).await)
    }

    async fn history(&self, room: RoomId, page: Page) -> Result<Option<History>, StoreError> {
        let page_bytes = self.shared.options.page_bytes;
        self.told(history::page(&self.conn().await?, room, page, page_bytes).await)
    }

    async fn entry(&self, room: RoomId, seq: u64) -> Result<Option<Entry>, StoreError> {
        self.told(entries::get(&self.conn().await?, room, seq).await)
    }

    async fn mark_read(
        &self,
        room: RoomId,
        user: &str,
        seq: u64,
        at: i64,
    ) -> Result<Option<Marked>, StoreError> {
        let (conn, outbox) = (self.conn().await?, &self.shared.options.outbox);
        let mark = members::Mark { room, user, seq };
        let moved = self.told(members::mark_read(&conn, mark, at, outbox).await)?;
        let Some(members::Moved { mark, advanced }) = moved else {
            return Ok(None);
        };
        let unread = self.told(members::unread(&conn, room, user).await)?;
        Ok(unread.map(|unread| Marked {
            read_seq: mark,
            advanced,
            unread,
        }))
    }

    async fn mark_room_delivered(
        &self,
        room: RoomId,
        user: &str,
        seq: u64,
    ) -> Result<Option<Delivered>, StoreError> {
        let (conn, outbox) = (self.conn().await?, &self.shared.options.outbox);
        let mark = members::Mark { room, user, seq };
        self.told(members::mark_delivered(&conn, mark, outbox).await)
    }

    async fn unread(&self, room: RoomId, user: &str) -> Result<Option<Unread>, StoreError> {
        self.told(members::unread(&self.conn().await?, room, user).await)
    }

    async fn see_user(&self, user: &str, name: Option<&str>, last_seen: i64) -> Result<(), StoreError> {
        let sighting = users::Sighting {
            user: user.to_owned(),
            name: name.map(str::to_owned),
            at: last_seen,
        };
        self.counted(self.gathered.sightings.ask(sighting).await)
    }

    async fn set_status(
        &self,
        user: &str,
        status: ChosenStatus,
        text: Option<&str>,
        at: i64,
    ) -> Result<(), StoreError> {
        self.told(users::set_status(&self.conn().await?, user, status, text, at).await)
    }

    async fn users(&self, ids: &[String]) -> Result<Vec<UserRow>, StoreError> {
        self.counted(self.gathered.users.ask(ids.to_vec()).await)
    }

    async fn revoke(&self, user: &str, before: i64) -> Result<(), StoreError> {
        self.told(revocations::revoke(&self.conn().await?, user, before).await)
    }

    async fn revoked(&self, user: &str) -> Result<Option<i64>, StoreError> {
        self.counted(self.gathered.revoked.ask(user.to_owned()).await)
    }

    async fn forget_revocations(&self, cutoff: i64) -> Result<u64, StoreError> {
        self.told(revocations::forget(&self.conn().await?, cutoff).await)
    }

    async fn notify(&self, notification: NewNotification) -> Result<Posted, StoreError> {
        let most = self.shared.options.notifications.max_per_user;
        self.told(notifications::post(&self.conn().await?, &notification, most).await)
    }

    async fn notifications(
        &self,
        user: &str,
        page: NotificationPage,
    ) -> Result<Option<NotificationList>, StoreError> {
        let page_bytes = self.shared.options.page_bytes;
        self.told(notifications::list(&self.conn().await?, user, &page, page_bytes).await)
    }

    async fn read_notifications(
        &self,
        user: &str,
        which: ReadWhich,
        at: i64,
    ) -> Result<Option<NotificationsRead>, StoreError> {
        self.told(notifications::read(&self.conn().await?, user, &which, at).await)
    }

    async fn undelivered(
        &self,
        user: &str,
        device: &str,
        after: DeliveredUpto,
        limit: u32,
        max_bytes: usize,
    ) -> Result<Undelivered, StoreError> {
        let of = (user.to_owned(), device.to_owned());
        let ends = self.counted(self.gathered.notification_ends.ask(of).await)?;
        let after = match after {
            DeliveredUpto::Seq(seq) => seq,
            DeliveredUpto::Stored => ends.delivered,
        };
        if after >= ends.head {
            return Ok(Undelivered {
                notifications: Vec::new(),
                more: false,
                upto: after,
            });
        }
        let conn = self.conn().await?;
        self.told(notifications::undelivered(&conn, user, after, ends.head, limit, max_bytes).await)
    }

    async fn mark_delivered(&self, marks: Vec<DeliveredMark>, at: i64) -> Result<(), StoreError> {
        let devices = self.shared.options.notifications.devices_per_user;
        self.told(notifications::mark_delivered(&self.conn().await?, &marks, at, devices).await)
    }

    async fn trim_notifications(&self, limits: NotificationRetention, now: i64) -> Result<u64, StoreError> {
        let cutoff = self
            .no_later_than_database(now)
            .await?
            .saturating_sub(limits.max_age_ms);
        let mut total = 0;
        loop {
            let bite = self.told(notifications::trim(&self.conn().await?, cutoff).await)?;
            total += bite.removed;
            if !bite.more {
                return Ok(total);
            }
        }
    }

    async fn trim(&self, limits: Retention, now: i64) -> Result<u64, StoreError> {
        let cutoff = self
            .no_later_than_database(now)
            .await?
            .saturating_sub(limits.max_age_ms);
        let (mut total, mut last) = (0, RoomId::MIN);
        loop {
            let due = self.told(retention::due(&self.conn().await?, last, limits, cutoff).await)?;
            let Some(&end) = due.last() else { return Ok(total) };
            for room in due {
                loop {
                    let bite = self.told(retention::trim(&self.conn().await?, room, limits, cutoff).await)?;
                    total += bite.removed;
                    if !bite.more {
                        break;
                    }
                }
            }
            last = end;
        }
    }

    fn identity(&self) -> &str {
        self.shared.log_state.location()
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
