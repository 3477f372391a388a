//! The follower: applies the entries of all nodes in log order, each position once.

mod backfill;

use std::sync::{
    Arc, Weak,
    atomic::{AtomicI64, AtomicUsize, Ordering},
};

use ::metrics::Counter;
use roomful_socket::{Namespace, Reason};
use roomful_store::{Appended, EntryKind, LogEntry, LogHead, LogPosition, Store};
use tokio::{sync::Notify, time::Duration};

use self::backfill::Gap;
use super::{
    commit::{Commit, QueuedWrite},
    control::{ControlHandler, ControlRoom},
    delivery_budget::DeliveryBudget,
    inbox::{EntryInbox, Next},
    position::LogCursor,
    reorder_buffer::{Ready, RoomKey},
    view::Event,
};
use crate::{
    clock::Clock,
    error::ChatError,
    metrics::Metrics,
    profiles::Profiles,
    room::{Frame, Room},
    room_manager::RoomManager,
    unread::UnreadPublisher,
};

/// Applies entries: delivers them to the subscribers of their rooms, runs control entries and completes acks.
pub(crate) struct Follower {
    parts: FollowerParts,
    /// Commits of this node that are handed over and not applied yet.
    commits: AtomicUsize,
    /// Such a commit is applied.
    commit_applied: Notify,
    /// The cursor has moved.
    progress: Notify,
    /// The monotonic time in milliseconds until which messages do not wait for the pictures of their authors.
    no_authors_until: AtomicI64,
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
    pub(crate) profiles: Arc<Profiles>,
    pub(crate) inbox: Arc<EntryInbox>,
    /// `None` on a single node.
    pub(crate) cluster: Option<ClusterLog>,
}

/// Parts of the follower that a cluster needs and a single node does not.
pub(crate) struct ClusterLog {
    pub(crate) control_room: Arc<ControlRoom>,
    pub(crate) control_handler: Weak<dyn ControlHandler>,
    /// Positions that the bus did not bring in time.
    pub(crate) backfills: Counter,
}

/// Authors whose profiles are read together.
const AUTHORS_AT_A_TIME: usize = 200;
/// How long messages of other nodes wait for the pictures of their authors.
const AUTHORS_PATIENCE: Duration = Duration::from_millis(250);
/// How long messages do not wait after the store was too slow.
const AUTHORS_PAUSE_MS: i64 = 5_000;

impl Follower {
    pub(crate) fn new(parts: FollowerParts) -> Self {
        Self {
            parts,
            commits: AtomicUsize::new(0),
            commit_applied: Notify::new(),
            progress: Notify::new(),
            no_authors_until: AtomicI64::new(0),
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

    /// Takes a control entry that this node, which is alone, has committed: it only moves the cursor.
    pub(crate) fn take_control(&self, entry: LogEntry) {
        let epoch = self.parts.store.log_head().epoch;
        self.parts.inbox.push_entries(&epoch, [entry]);
    }

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
        inbox.observe_log_end(&epoch, position);
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
    pub(crate) async fn catch_up_to(&self, room: &Room, seq: u64) -> Result<(), ChatError> {
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
        inbox.observe_log_end(&head.epoch, head.position);
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
            if let Some(missing) = inbox.missing() {
                self.close_gap(missing, &mut gap).await;
            } else {
                gap = Gap::default();
                inbox.changed().await;
            }
        }
    }

    async fn apply(&self, ready: Ready<Commit>, budget: &mut DeliveryBudget) {
        match ready {
            Ready::Batch { first, next, batch } => self.apply_commit(first, next, batch, budget).await,
            Ready::Entry(entry) => {
                self.load_authors(&entry).await;
                self.apply_entry(&entry, budget);
            }
            Ready::NotServed { position, room } => {
                // Its members may still be connected here.
                if let RoomKey {
                    id,
                    name: Some(name),
                    counts_changed: true,
                } = room
                {
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
                self.deliver(room, position, (seq, at), frame, budget);
                if write.content.kind().changes_unread() {
                    unread.room_changed(room);
                }
                budget.yield_if_spent().await;
            }
            position = position.next();
        }
        self.complete(commit);
    }

    /// Reads the profiles of the authors of this and the following entries, if the cache lacks the first one.
    async fn load_authors(&self, logged: &LogEntry) {
        let FollowerParts {
            profiles,
            inbox,
            rooms,
            clock,
            ..
        } = &self.parts;
        let needs = |logged: &LogEntry| {
            logged.entry.kind == EntryKind::Message
                && rooms.has(logged.room)
                && profiles.get(&logged.entry.user_id).is_none()
        };
        let now = clock.monotonic_ms();
        if !needs(logged) || now < self.no_authors_until.load(Ordering::Relaxed) {
            return;
        }
        let mut authors = inbox.authors(AUTHORS_AT_A_TIME, needs);
        authors.push(logged.entry.user_id.clone());
        let load = profiles.of_authors(authors.iter().map(String::as_str));
        // Delivery must not wait for a slow store again and again.
        if tokio::time::timeout(AUTHORS_PATIENCE, load).await.is_err() {
            self.no_authors_until
                .store(now.saturating_add(AUTHORS_PAUSE_MS), Ordering::Relaxed);
            tracing::warn!("failed to read the profiles of authors in time, their messages have no pictures");
        }
    }

    fn apply_entry(&self, logged: &LogEntry, budget: &mut DeliveryBudget) {
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
        } = logged;
        if entry.kind == EntryKind::Control {
            if let Some(handler) = cluster
                .as_ref()
                .and_then(|cluster| cluster.control_handler.upgrade())
            {
                handler.run_control(logged);
            }
            return cursor.skip_to(*position);
        }
        let Some(room) = rooms.get(*room) else {
            // Nobody here is subscribed to it.
            return cursor.skip_to(*position);
        };
        if entry.kind.changes_unread() {
            unread.room_changed(&room);
        }
        let offset = cursor.offset(*position);
        let author = self.parts.profiles.get(&entry.user_id);
        let avatar = author.and_then(|author| author.avatar.clone());
        let event = Event::of(&room, entry, avatar);
        let frame = event.and_then(|event| event.frame(&room, namespace, offset.as_deref()));
        self.deliver(&room, *position, (entry.seq, entry.at), frame, budget);
    }

    fn deliver(
        &self,
        room: &Room,
        position: LogPosition,
        (seq, at): (u64, i64),
        frame: Option<Frame>,
        budget: &mut DeliveryBudget,
    ) {
        budget.spend(frame.as_ref().map_or(0, |frame| frame.event.len()));
        let reached = self.parts.cursor.apply(position, || {
            let reached = frame.map(|frame| room.deliver(seq, &frame));
            room.skip_to(seq);
            reached
        });
        let metrics = &self.parts.metrics;
        if let Some(reached) = reached.filter(|reached| *reached > 0) {
            metrics.messages_out.increment(reached);
            metrics.delivered(self.parts.clock.now_ms().saturating_sub(at));
        }
    }

    /// The log was restored from a backup, so the state of all clients is void. Closes their connections;
    /// they start over when they reconnect.
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
}
