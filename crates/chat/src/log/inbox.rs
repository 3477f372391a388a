//! What the follower takes its work from: entries in a `ReorderBuffer`, and calls to look at the store.

use parking_lot::Mutex;
use roomful_store::{LogEntry, LogHead, LogPosition, RoomId};
use tokio::{sync::Notify, time::Instant};

use super::{
    commit::Commit,
    reorder_buffer::{Missing, Ready, ReorderBuffer, RoomKey},
};

/// Entries on their way to the follower. The appender, the bus and the poll of the store put in, the follower
/// takes out.
pub(crate) struct EntryInbox {
    /// Lock order: this one, then the index of the rooms.
    state: Mutex<State>,
    /// There is something to apply, or newer entries exist.
    wake: Notify,
    poll: Notify,
}

struct State {
    buffer: ReorderBuffer<Commit>,
    /// The log was restored and continues here. The follower has not seen this yet.
    restored: Option<LogHead>,
}

/// What the follower does next.
pub(super) enum Next {
    Apply(Ready<Commit>),
    /// The log was restored. These commits are not applied.
    Restored(LogHead, Vec<Commit>),
}

impl EntryInbox {
    /// An empty inbox for a log that is applied up to `at`.
    pub(crate) fn starting(at: &LogHead) -> Self {
        Self {
            state: Mutex::new(State {
                buffer: ReorderBuffer::starting(at),
                restored: None,
            }),
            wake: Notify::new(),
            poll: Notify::new(),
        }
    }

    // ---- the appender's side

    /// Hands over a commit whose new entries have the positions from `first` on. Gives it back if it belongs
    /// to another epoch than the entries that are applied here.
    pub(super) fn push_commit(&self, epoch: &str, first: LogPosition, commit: Commit) -> Result<(), Commit> {
        let mut state = self.state.lock();
        if !state.takes(epoch) {
            return Err(commit);
        }
        state.buffer.push_batch(first, commit.new_entries(), commit);
        drop(state);
        self.wake.notify_one();
        Ok(())
    }

    // ---- the bus's side

    /// Adds entries of other nodes. If they belong to another epoch, one of the nodes has not noticed yet
    /// that the log was restored: then it drops them and polls the store.
    pub(crate) fn push_entries(&self, epoch: &str, entries: impl IntoIterator<Item = LogEntry>) {
        self.push(epoch, |buffer| {
            for entry in entries {
                buffer.push_entry(entry);
            }
        });
    }

    /// Adds the rooms of other nodes' entries from position `first` on. Treats another epoch like
    /// [`push_entries`](Self::push_entries).
    pub(crate) fn push_hints(
        &self,
        epoch: &str,
        first: LogPosition,
        rooms: impl IntoIterator<Item = RoomKey>,
    ) {
        self.push(epoch, |buffer| buffer.push_hints(first, rooms));
    }

    fn push(&self, epoch: &str, push: impl FnOnce(&mut ReorderBuffer<Commit>)) {
        let mut state = self.state.lock();
        if !state.takes(epoch) {
            drop(state);
            return self.poll_now();
        }
        push(&mut state.buffer);
        drop(state);
        self.wake.notify_one();
    }

    // ---- the store's side

    /// Entries of this epoch exist up to `position`.
    pub(crate) fn observe_log_end(&self, epoch: &str, position: LogPosition) {
        self.push(epoch, |buffer| buffer.observe_log_end(position));
    }

    /// The log was restored from a backup and continues at `at`.
    pub(crate) fn restore(&self, at: LogHead) {
        self.state.lock().restored = Some(at);
        self.wake.notify_one();
    }

    /// Wakes the task that asks the store for the end of the log.
    pub(crate) fn poll_now(&self) {
        self.poll.notify_one();
    }

    /// Waits for a [`poll_now`](Self::poll_now).
    pub(crate) async fn poll_asked(&self) {
        self.poll.notified().await;
    }

    // ---- the follower's side

    /// Removes and returns the follower's next step; `None` if there is none yet.
    pub(super) fn next(&self, is_served: impl Fn(RoomId) -> bool) -> Option<Next> {
        let mut state = self.state.lock();
        if let Some(at) = state.restored.take() {
            let dropped = state.buffer.restore(&at);
            return Some(Next::Restored(at, dropped));
        }
        state.buffer.pop(is_served).map(Next::Apply)
    }

    pub(super) fn missing(&self) -> Option<Missing> {
        self.state.lock().buffer.missing()
    }

    /// The authors of entries that wait and satisfy `needs`, `limit` entries at most.
    pub(super) fn authors(&self, limit: usize, needs: impl Fn(&LogEntry) -> bool) -> Vec<String> {
        let state = self.state.lock();
        let entries = state.buffer.entries().take(limit).filter(|entry| needs(entry));
        entries.map(|logged| logged.entry.user_id.clone()).collect()
    }

    pub(super) fn backfill(&self, missing: Missing, page: Vec<LogEntry>) {
        self.state.lock().buffer.backfill(missing, page);
    }

    /// Drops the positions after `head`, which the bus has announced and the store does not have. Polls the
    /// store again at once, since it may have got a new entry meanwhile.
    pub(super) fn forget_after(&self, head: &LogHead) {
        let mut state = self.state.lock();
        if state.takes(&head.epoch) {
            state.buffer.forget_after(head.position);
        }
        drop(state);
        self.poll_now();
    }

    /// Starts over after `applied`, so that all later entries are applied again. Returns the number of
    /// waiting commits.
    pub(super) fn rewind(&self, applied: LogPosition) -> usize {
        self.state.lock().buffer.rewind(applied)
    }

    /// Waits until something was put in.
    pub(super) async fn changed(&self) {
        self.wake.notified().await;
    }

    /// Waits until something was put in, until `deadline` at most. False if nothing was.
    pub(super) async fn changed_before(&self, deadline: Instant) -> bool {
        tokio::time::timeout_at(deadline, self.changed()).await.is_ok()
    }
}

impl State {
    fn takes(&self, epoch: &str) -> bool {
        self.restored.is_none() && self.buffer.has_epoch(epoch)
    }
}
