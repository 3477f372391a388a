//! The follower: applies the entries of all nodes in log order, each position once.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicUsize, Ordering},
};

use ::metrics::Counter;
use roomful_socket::{Namespace, Reason};
use roomful_store::{Appended, EntryKind, LogEntry, LogHead, LogPosition, Store, StoreError};
use tokio::{
    sync::Notify,
    time::{Duration, Instant},
};

use super::{
    commit::{Commit, QueuedWrite},
    control::{ControlHandler, ControlRoom},
    delivery_budget::DeliveryBudget,
    inbox::{EntryInbox, Next},
    position::LogCursor,
    reorder_buffer::{Missing, Ready, RoomKey},
    view::Event,
};
use crate::{
    clock::Clock,
    error::ChatError,
    metrics::Metrics,
    room::{Frame, Room},
    room_manager::RoomManager,
    unread::UnreadPublisher,
};

/// Positions read in one backfill.
const PAGE: u32 = 200;
/// How long an entry that another node has announced may take to arrive before it is backfilled. Far longer
/// than a bus needs, and too short for a reader to notice.
const PATIENCE: Duration = Duration::from_millis(20);
/// The first and the longest pause after a backfill failed, in milliseconds.
const RETRY_MS: std::ops::RangeInclusive<i64> = 50..=2_000;

/// Applies entries: delivers them to the subscribers of their rooms, runs control entries and completes acks.
pub(crate) struct Follower {
    parts: FollowerParts,
    /// Commits of this node that are handed over and not applied yet.
    commits: AtomicUsize,
    /// Such a commit is applied.
    commit_applied: Notify,
    /// The cursor has moved.
    progress: Notify,
}

/// The parts that a [`Follower`] works with.
pub(crate) struct FollowerParts {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) namespace: Namespace,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) rooms: Arc<RoomManager>,
    pub(crate) cursor: Arc<LogCursor>,
    pub(crate) unread: Arc<UnreadPublisher>,
    pub(crate) inbox: Arc<EntryInbox>,
    /// `None` on a single node.
    pub(crate) cluster: Option<ClusterLog>,
}

/// What following the log of a cluster takes beyond that of a single node.
pub(crate) struct ClusterLog {
    pub(crate) control_room: Arc<ControlRoom>,
    pub(crate) control_handler: Weak<dyn ControlHandler>,
    /// Positions that the bus did not bring in time.
    pub(crate) backfills: Counter,
}

/// The state of closing a gap.
struct Gap {
    /// When to stop waiting for the bus.
    patient_until: Option<Instant>,
    /// Positions to read at a time: fewer and fewer, down to one, if the store fails to read one of them.
    page: u32,
    pause_ms: i64,
}

impl Default for Gap {
    fn default() -> Self {
        Self {
            patient_until: None,
            page: PAGE,
            pause_ms: *RETRY_MS.start(),
        }
    }
}

impl Follower {
    pub(crate) fn new(parts: FollowerParts) -> Self {
        Self {
            parts,
            commits: AtomicUsize::new(0),
            commit_applied: Notify::new(),
            progress: Notify::new(),
        }
    }

    // ---- for the appender

    /// Waits until all commits that were handed over are applied.
    pub(super) async fn ready_for_commit(&self) {
        while self.commits.load(Ordering::Acquire) > 0 {
            self.commit_applied.notified().await;
        }
    }

    /// Takes over a commit whose new entries have the positions from `first` on, and answers its writes when
    /// they are applied.
    pub(super) fn take_commit(&self, epoch: &str, first: LogPosition, commit: Commit) {
        self.commits.fetch_add(1, Ordering::AcqRel);
        if let Err(commit) = self.parts.inbox.push_commit(epoch, first, commit) {
            // The log was restored. All clients are about to be closed, and read these entries when they come
            // back.
            self.complete(commit);
        }
    }

    fn complete(&self, commit: Commit) {
        commit.answer(&self.parts.metrics);
        self.commits.fetch_sub(1, Ordering::AcqRel);
        self.commit_applied.notify_one();
    }

    // ---- for the handlers

    /// Applies everything that the store has at the time of the call. Returns at once on a single node, where
    /// nobody else writes.
    ///
    /// `None` if the store can't be asked, or the log was restored.
    pub(crate) async fn catch_up(&self) -> Option<()> {
        let FollowerParts {
            store,
            cursor,
            inbox,
            cluster,
            ..
        } = &self.parts;
        if cluster.is_none() {
            return Some(());
        }
        let LogHead { epoch, position } = store.read_log_head().await.ok()?;
        inbox.know_upto(&epoch, position);
        loop {
            let progress = self.progress.notified();
            if *epoch != *cursor.epoch() {
                return None;
            }
            if cursor.applied() >= position {
                return Some(());
            }
            progress.await;
        }
    }

    /// A client names the entry `seq` of a room. If this node has not applied it, the client may have seen it
    /// on another node: then this one catches up first.
    ///
    /// # Errors
    /// `unavailable` if the store can't be asked.
    pub(crate) async fn reach(&self, room: &Room, seq: u64) -> Result<(), ChatError> {
        if seq <= room.head() {
            return Ok(());
        }
        self.catch_up().await.ok_or(ChatError::Unavailable(
            "this server is behind the others and can't catch up now; try again",
        ))
    }

    // ---- applying

    /// Applies entries as they come, for ever.
    pub(super) async fn run(&self) {
        let FollowerParts {
            inbox,
            cursor,
            rooms,
            store,
            ..
        } = &self.parts;
        // A run before this one may have failed in the middle of an entry or of a commit.
        let waiting = inbox.rewind(cursor.applied());
        self.commits.store(waiting, Ordering::Release);
        let head = store.log_head();
        inbox.know_upto(&head.epoch, head.position);
        let (mut budget, mut gap) = (DeliveryBudget::default(), Gap::default());
        loop {
            while let Some(next) = inbox.next(|room| rooms.has(room)) {
                gap.patient_until = None;
                match next {
                    Next::Apply(ready) => self.apply(ready, &mut budget).await,
                    Next::Restored(at, dropped) => self.restore(at, dropped),
                }
                self.progress.notify_waiters();
                budget.yield_if_spent().await;
            }
            match inbox.missing() {
                Some(missing) => self.close_gap(missing, &mut gap).await,
                None => {
                    gap = Gap::default();
                    inbox.changed().await;
                }
            }
        }
    }

    async fn apply(&self, ready: Ready<Commit>, budget: &mut DeliveryBudget) {
        match ready {
            Ready::Batch { first, next, batch } => self.apply_commit(first, next, batch, budget).await,
            Ready::Entry(entry) => self.apply_entry(&entry, budget),
            Ready::NotServed { position, room } => {
                // Its members may be connected here all the same.
                if let RoomKey { id, name: Some(name) } = room {
                    self.parts.unread.changed(id, &name);
                }
                self.parts.cursor.skip_to(position);
            }
            // Nobody can get what retention has removed.
            Ready::Absent { upto } => self.parts.cursor.skip_to(upto),
        }
    }

    async fn apply_commit(
        &self,
        first: LogPosition,
        next: LogPosition,
        commit: Commit,
        budget: &mut DeliveryBudget,
    ) {
        let FollowerParts {
            cursor,
            namespace,
            unread,
            ..
        } = &self.parts;
        let mut position = first;
        for (QueuedWrite { room, write, .. }, result) in commit.writes.iter().zip(&commit.results) {
            let Ok(Appended::New { seq, at }) = *result else {
                continue;
            };
            // A backfill may have applied some of them already.
            if position >= next {
                let offset = cursor.offset(position);
                let frame = write
                    .event(room, seq, at)
                    .frame(room, namespace, offset.as_deref());
                self.deliver(room, position, seq, frame, budget);
                if write.content.is_counted() {
                    unread.room_changed(room);
                }
                budget.yield_if_spent().await;
            }
            position = position.next();
        }
        self.complete(commit);
    }

    fn apply_entry(&self, placed: &LogEntry, budget: &mut DeliveryBudget) {
        let FollowerParts {
            cursor,
            namespace,
            unread,
            rooms,
            cluster,
            ..
        } = &self.parts;
        let LogEntry {
            position,
            room,
            entry,
        } = placed;
        if entry.kind == EntryKind::Control {
            if let Some(handler) = cluster
                .as_ref()
                .and_then(|cluster| cluster.control_handler.upgrade())
            {
                handler.run_control(placed);
            }
            return cursor.skip_to(*position);
        }
        let Some(room) = rooms.get(*room) else {
            // Nobody here is subscribed to it.
            return cursor.skip_to(*position);
        };
        unread.room_changed(&room);
        let offset = cursor.offset(*position);
        let event = Event::of(&room, entry);
        let frame = event.and_then(|event| event.frame(&room, namespace, offset.as_deref()));
        self.deliver(&room, *position, entry.seq, frame, budget);
    }

    fn deliver(
        &self,
        room: &Room,
        position: LogPosition,
        seq: u64,
        frame: Option<Frame>,
        budget: &mut DeliveryBudget,
    ) {
        budget.spend(frame.as_ref().map_or(0, |frame| frame.event.len()));
        #[cfg(feature = "planted-bugs")]
        let frame = frame.filter(|_| {
            !(roomful_store::planted::is(roomful_store::planted::Bug::SkipDelivery) && seq.is_multiple_of(40))
        });
        let reached = self.parts.cursor.apply(position, || {
            let reached = frame.map(|frame| room.deliver(seq, &frame));
            room.skip_to(seq);
            reached
        });
        self.parts
            .metrics
            .messages_out
            .increment(reached.unwrap_or_default());
    }

    /// The log was restored from a backup: what clients know of it is void. They are closed, and start afresh
    /// when they come back.
    fn restore(&self, at: LogHead, dropped: Vec<Commit>) {
        let FollowerParts {
            rooms,
            cursor,
            cluster,
            namespace,
            ..
        } = &self.parts;
        tracing::warn!(epoch = at.epoch, "the log was restored, closing all connections");
        rooms.forget_all();
        cursor.restore(at);
        if let Some(cluster) = cluster {
            cluster.control_room.forget();
            if let Some(handler) = cluster.control_handler.upgrade() {
                handler.log_restored();
            }
        }
        for socket in namespace.sockets() {
            socket.close(Reason::ForcedClose);
        }
        for commit in dropped {
            self.complete(commit);
        }
    }

    // ---- closing gaps

    /// Positions are missing: waits a moment for the bus to bring them, then reads them from the store.
    async fn close_gap(&self, missing: Missing, gap: &mut Gap) {
        if let Some(cluster) = &self.parts.cluster {
            let until = *gap.patient_until.get_or_insert_with(|| Instant::now() + PATIENCE);
            if self.parts.inbox.changed_before(until).await {
                return;
            }
            cluster.backfills.increment(1);
            gap.patient_until = None;
        }
        self.backfill(missing, gap).await;
    }

    /// Reads what the store has of the missing positions, as far as it can be read. Tries again until it
    /// succeeds: a hole would be worse than a wait.
    async fn backfill(&self, mut missing: Missing, gap: &mut Gap) {
        let FollowerParts {
            store, inbox, clock, ..
        } = &self.parts;
        missing.upto = missing.upto.min(missing.after.plus(gap.page.into()));
        match store.log_entries(missing.after, missing.upto, gap.page).await {
            Ok(page) => {
                self.count_unread(&page);
                inbox.backfill(missing, page);
            }
            Err(error @ (StoreError::Internal(_) | StoreError::Setup(_))) => {
                // Another try would fail, too. The entries around the unreadable one are applied all the
                // same.
                if gap.page > 1 {
                    gap.page /= 2;
                    return;
                }
                let position = missing.upto.0;
                tracing::error!(%error, position, "failed to read a committed entry, skipping it");
                self.close_affected(missing.upto).await;
                inbox.backfill(missing, Vec::new());
                *gap = Gap::default();
            }
            Err(error) => {
                tracing::warn!(%error, "failed to read missing entries, retrying");
                let until = clock.now_ms().saturating_add(gap.pause_ms);
                clock.sleep_until(until).await;
                gap.pause_ms = (gap.pause_ms * 2).min(*RETRY_MS.end());
            }
        }
    }

    /// The entry at `position` is unreadable. Closes the connections that miss it: when they come back, they
    /// get the state of the room as it is then, or learn that it is unknown.
    async fn close_affected(&self, position: LogPosition) {
        let FollowerParts {
            store,
            rooms,
            cluster,
            namespace,
            metrics,
            ..
        } = &self.parts;
        metrics.unreadable.increment(1);
        let is_control = |room| {
            cluster
                .as_ref()
                .is_some_and(|cluster| cluster.control_room.may_be(room))
        };
        match store.room_at(position).await {
            Ok(None) => {}
            Ok(Some(id)) if !is_control(id) => {
                let room = rooms.get(id);
                for subscriber in room.map(|room| room.subscribers(usize::MAX)).unwrap_or_default() {
                    subscriber.socket.close(Reason::ForcedClose);
                }
            }
            // A control entry, or perhaps one: authentication checks everything that it may have changed.
            Ok(Some(_)) | Err(_) => {
                for socket in namespace.sockets() {
                    socket.close(Reason::ForcedClose);
                }
            }
        }
    }

    /// Members of rooms that nobody here is subscribed to may be connected here: their unread counts change.
    fn count_unread(&self, page: &[LogEntry]) {
        if self.parts.cluster.is_none() {
            return;
        }
        let counts = |placed: &&LogEntry| {
            matches!(placed.entry.kind, EntryKind::Message | EntryKind::Delete)
                && !self.parts.rooms.has(placed.room)
        };
        let mut rooms: Vec<_> = page.iter().filter(counts).map(|placed| placed.room).collect();
        rooms.sort_unstable();
        rooms.dedup();
        let unread = Arc::clone(&self.parts.unread);
        // In a task of its own: it reads the store, and the follower must not wait for that.
        tokio::spawn(async move {
            for room in rooms {
                unread.changed_by_id(room).await;
            }
        });
    }
}
