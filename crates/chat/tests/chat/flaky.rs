//! A store with injected faults.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use async_trait::async_trait;
use roomful_store::{AppendResult, LogEntry, LogPosition, NewEntry, Outage, RoomId, Store, StoreError};
use roomful_testkit::hooked_store::{Call, HookedStore, StoreHooks};
use tokio::sync::Mutex;

use crate::fixture::{Server, new_store};

/// The text of messages that [`Flaky`] can make unreadable.
pub(crate) const UNREADABLE: &str = "cannot be read";

/// A store with faults that tests switch on.
pub(crate) type FlakyStore = HookedStore<Flaky>;

/// Injects faults: appends fail before they start or after they committed, along with writes of a status.
/// Reads of users fail while writes do.
#[derive(Default)]
pub(crate) struct Flaky {
    /// 0: works; 1: fails before the append; 2: commits, then reports a failure.
    pub(crate) mode: AtomicUsize,
    /// Whether messages with the text [`UNREADABLE`] cannot be read back by position.
    pub(crate) unreadable: AtomicBool,
    /// The number of failed attempts to record a lost connection.
    pub(crate) untold: AtomicUsize,
    /// Blocks the start of sessions while held.
    pub(crate) beginning: Mutex<()>,
    /// The number of reads of entries by position.
    pub(crate) reads: AtomicUsize,
    /// Blocks recoveries while held.
    pub(crate) resuming: Mutex<()>,
    /// The number of recovery attempts.
    pub(crate) resumes: AtomicUsize,
    /// The number of calls that read or enter rooms for clients.
    pub(crate) calls: AtomicUsize,
    /// Blocks reads of inboxes while held.
    pub(crate) listing: Mutex<()>,
    /// The number of reads of inboxes.
    pub(crate) inboxes: AtomicUsize,
}

/// A faultless store in its own database.
pub(crate) fn flaky_store() -> (Arc<FlakyStore>, tempfile::TempDir) {
    let (inner, data) = new_store();
    (Arc::new(HookedStore::new(inner, Flaky::default())), data)
}

/// A server on a faultless store.
pub(crate) async fn on_flaky() -> (Arc<FlakyStore>, Server) {
    let (store, data) = flaky_store();
    let server = Server::on(store.clone(), data, |_| ()).await;
    (store, server)
}

impl Flaky {
    /// Fails if appends fail before they start.
    fn fail_without_disk(&self) -> Result<(), StoreError> {
        match self.mode.load(Ordering::SeqCst) {
            1 => Err(Outage::DiskFull.into()),
            _ => Ok(()),
        }
    }

    /// Runs an append, or fails before or after it.
    async fn commit(
        &self,
        append: impl Future<Output = Result<AppendResult, StoreError>> + Send,
    ) -> Result<AppendResult, StoreError> {
        match self.mode.load(Ordering::SeqCst) {
            0 => append.await,
            1 => Err(Outage::DiskFull.into()),
            _ => {
                append.await?;
                Err(Outage::Io("the answer was lost".into()).into())
            }
        }
    }
}

#[async_trait]
impl StoreHooks for Flaky {
    async fn before(&self, call: Call) -> Result<(), StoreError> {
        match call {
            Call::SetStatus | Call::Users => self.fail_without_disk()?,
            Call::MarkSessionLost => self.fail_without_disk().inspect_err(|_| {
                self.untold.fetch_add(1, Ordering::SeqCst);
            })?,
            Call::BeginSession => drop(self.beginning.lock().await),
            Call::ResumeSession => {
                self.resumes.fetch_add(1, Ordering::SeqCst);
                drop(self.resuming.lock().await);
            }
            Call::Inbox => {
                self.inboxes.fetch_add(1, Ordering::SeqCst);
                drop(self.listing.lock().await);
            }
            Call::ForClient => {}
        }
        if matches!(call, Call::ForClient | Call::Users | Call::ResumeSession) {
            self.calls.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    }

    async fn append(&self, store: &dyn Store, entries: Vec<NewEntry>) -> Result<AppendResult, StoreError> {
        self.commit(store.append_with_positions(entries)).await
    }

    async fn delete_room_with(
        &self,
        store: &dyn Store,
        room: RoomId,
        control: NewEntry,
    ) -> Result<AppendResult, StoreError> {
        self.commit(store.delete_room_with(room, control)).await
    }

    async fn log_entries(
        &self,
        store: &dyn Store,
        after: LogPosition,
        upto: LogPosition,
        limit: u32,
    ) -> Result<Vec<LogEntry>, StoreError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let found = store.log_entries(after, upto, limit).await?;
        let is_unreadable = |logged: &LogEntry| logged.entry.body.contains(UNREADABLE);
        if self.unreadable.load(Ordering::SeqCst) && found.iter().any(is_unreadable) {
            return Err(StoreError::Internal("an entry can't be read".into()));
        }
        Ok(found)
    }
}
