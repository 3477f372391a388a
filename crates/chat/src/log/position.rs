//! How far this node has applied the log: the position up to which its clients have every entry of their
//! rooms.
//!
//! All rooms together have one order, that of the commits. A client that comes back names one position and
//! has seen every entry up to it and none after, so each socket gets the entries of all its rooms in this
//! order.
//!
//! Joins and recoveries need a consistent cut: a moment between two entries. [`LogCursor::between_entries`]
//! runs them at once, or right after the current entry. So no thread waits while an entry goes out to a large
//! room.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering, fence},
    },
};

use parking_lot::{Mutex, RwLock};
use roomful_store::{LogHead, LogPosition};
use tokio::sync::oneshot;

/// The format of offsets.
const OFFSET_VERSION: &str = "1";

/// The last applied position of the log.
pub(crate) struct LogCursor {
    /// Changes only when the store of a cluster is restored from a backup.
    epoch: RwLock<Arc<str>>,
    applied: AtomicU64,
    /// Locked while an entry is delivered, and while a cut runs: each socket gets an entry in all its rooms
    /// or in none. Never held over an await. Lock order: this one, then the rooms, then the sessions.
    busy: Mutex<()>,
    /// Cuts that wait until the current entry is applied: at most one for each socket. `waiting_cuts` is
    /// their number, so that the follower takes no lock to see that there are none.
    cuts: Mutex<VecDeque<QueuedCut>>,
    waiting_cuts: AtomicUsize,
    /// Whether clients get offsets.
    offsets: bool,
}

/// Work for a moment between two entries.
type QueuedCut = Box<dyn FnOnce(Cut) + Send>;

/// A moment between two entries.
pub(crate) struct Cut {
    /// The last applied position.
    pub(crate) position: LogPosition,
    pub(crate) epoch: Arc<str>,
}

impl LogCursor {
    pub(crate) fn starting(at: LogHead, offsets: bool) -> Self {
        Self {
            epoch: RwLock::new(at.epoch.into()),
            applied: AtomicU64::new(at.position.0),
            busy: Mutex::default(),
            cuts: Mutex::default(),
            waiting_cuts: AtomicUsize::new(0),
            offsets,
        }
    }

    /// The lifetime of the log. Positions of two epochs can't be compared.
    pub(crate) fn epoch(&self) -> Arc<str> {
        Arc::clone(&self.epoch.read())
    }

    /// The last applied position.
    pub(crate) fn applied(&self) -> LogPosition {
        LogPosition(self.applied.load(Ordering::Acquire))
    }

    // ---- applying

    /// Delivers the entry at `position`, then runs the cuts queued meanwhile.
    pub(super) fn apply<T>(&self, position: LogPosition, deliver: impl FnOnce() -> T) -> T {
        let busy = self.busy.lock();
        let delivered = deliver();
        self.applied.fetch_max(position.0, Ordering::AcqRel);
        drop(busy);
        self.run_waiting();
        delivered
    }

    /// Moves the cursor to `position` without a delivery.
    pub(super) fn skip_to(&self, position: LogPosition) {
        self.apply(position, || ());
    }

    /// The log was restored from a backup and continues at `at`, in another epoch.
    pub(super) fn restore(&self, at: LogHead) {
        let busy = self.busy.lock();
        *self.epoch.write() = at.epoch.into();
        self.applied.store(at.position.0, Ordering::Release);
        drop(busy);
        self.run_waiting();
    }

    // ---- cuts

    /// Runs `cut` between two entries: nothing is applied while it runs. `None` if it panicked.
    pub(crate) async fn between_entries<T: Send + 'static>(
        &self,
        cut: impl FnOnce(Cut) -> T + Send + 'static,
    ) -> Option<T> {
        let (done, outcome) = oneshot::channel();
        // A caller that has gone drops what the cut returns.
        self.queue_cut(move |at| drop(done.send(cut(at))));
        outcome.await.ok()
    }

    /// Like [`between_entries`](Self::between_entries), without waiting for it.
    pub(crate) fn queue_cut(&self, cut: impl FnOnce(Cut) + Send + 'static) {
        if let Some(busy) = self.busy.try_lock() {
            cut(self.cut());
            drop(busy);
        } else {
            self.cuts.lock().push_back(Box::new(cut));
            self.waiting_cuts.fetch_add(1, Ordering::SeqCst);
        }
        self.run_waiting();
    }

    /// Runs the waiting cuts, unless somebody else holds the lock: the holder runs them after releasing it.
    fn run_waiting(&self) {
        // A thread that fails to get the lock has counted its cut before. The holder must see the count after
        // the release.
        fence(Ordering::SeqCst);
        while self.waiting_cuts.load(Ordering::SeqCst) > 0 {
            let Some(_busy) = self.busy.try_lock() else { return };
            let Some(cut) = self.cuts.lock().pop_front() else {
                return;
            };
            self.waiting_cuts.fetch_sub(1, Ordering::SeqCst);
            cut(self.cut());
        }
    }

    fn cut(&self) -> Cut {
        Cut {
            position: self.applied(),
            epoch: self.epoch(),
        }
    }

    // ---- offsets

    /// The offset that clients get with the entry at `position`: an opaque, versioned text. `None` if clients
    /// get no offsets.
    pub(crate) fn offset(&self, position: LogPosition) -> Option<String> {
        self.offsets
            .then(|| format!("{OFFSET_VERSION}.{}.{position}", self.epoch.read()))
    }

    /// The position of an offset. `None` if it is malformed, of another epoch, or not applied yet.
    pub(crate) fn parse_offset(&self, offset: &str) -> Option<LogPosition> {
        let (version, offset) = offset.split_once('.')?;
        let (epoch, position) = offset.split_once('.')?;
        let position = LogPosition(position.parse().ok()?);
        let is_ours = version == OFFSET_VERSION && epoch == &**self.epoch.read();
        (is_ours && position <= self.applied()).then_some(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(position: u64) -> Arc<LogCursor> {
        let at = LogHead {
            epoch: "0123abcd".into(),
            position: LogPosition(position),
        };
        Arc::new(LogCursor::starting(at, true))
    }

    #[test]
    fn an_offset_is_valid_in_its_epoch_up_to_the_last_applied_position() {
        let cursor = cursor(7);
        cursor.skip_to(LogPosition(8));
        let offset = cursor.offset(LogPosition(8)).unwrap_or_default();
        assert_eq!(
            (offset.as_str(), cursor.parse_offset(&offset)),
            ("1.0123abcd.8", Some(LogPosition(8)))
        );
        for offset in [
            "1.0123abcd.9",
            "1.0123abce.8",
            "1.0123abcd.-1",
            "1.0123abcd.x",
            "2.0123abcd.8",
            "0123abcd.8",
            "8",
            "",
            ".",
            "1.0123abcd.",
        ] {
            assert_eq!(cursor.parse_offset(offset), None, "{offset}");
        }
    }

    #[tokio::test]
    async fn a_cut_that_comes_during_an_entry_runs_after_it() {
        let cursor = cursor(7);
        let mut cut = None;
        cursor.apply(LogPosition(8), || {
            let other = Arc::clone(&cursor);
            let waiting = tokio::spawn(async move { other.between_entries(|at| at.position).await });
            // Queued while the entry is delivered, by a caller that does not wait for a lock.
            let (queued, asked) = (Arc::new(Mutex::new(None)), Arc::clone(&cursor));
            let seen = Arc::clone(&queued);
            asked.queue_cut(move |at| *seen.lock() = Some(at.position));
            assert_eq!(*queued.lock(), None, "an entry is being delivered");
            cut = Some((waiting, queued));
        });
        let Some((waiting, queued)) = cut else {
            unreachable!("the entry was applied")
        };
        assert_eq!(*queued.lock(), Some(LogPosition(8)));
        assert_eq!(waiting.await.ok().flatten(), Some(LogPosition(8)));
    }

    #[test]
    fn cuts_of_many_threads_all_run_between_entries() {
        let (cursor, ran) = (cursor(0), Arc::new(AtomicUsize::new(0)));
        let in_entry = Arc::new(AtomicUsize::new(0));
        std::thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(|| {
                    for _ in 0..1_000 {
                        let (ran, in_entry) = (Arc::clone(&ran), Arc::clone(&in_entry));
                        cursor.queue_cut(move |_| {
                            assert_eq!(in_entry.load(Ordering::SeqCst), 0);
                            ran.fetch_add(1, Ordering::SeqCst);
                        });
                    }
                });
            }
            for position in 1..=2_000 {
                cursor.apply(LogPosition(position), || {
                    in_entry.store(1, Ordering::SeqCst);
                    std::hint::black_box(position);
                    in_entry.store(0, Ordering::SeqCst);
                });
            }
        });
        assert_eq!(
            (ran.load(Ordering::SeqCst), cursor.applied()),
            (4_000, LogPosition(2_000))
        );
    }
}
