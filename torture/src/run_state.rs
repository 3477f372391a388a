//! State that all devices share: the history, the messages still to send, and each device's status.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use roomful_testkit::history::{Name, Recorder};
use tokio::sync::{Notify, Semaphore};
use tokio::time::timeout;

use crate::device::Message;
use crate::run::RECOVERY;

/// Acknowledged messages per notification.
const NOTICE_EVERY: u64 = 20;
/// Messages kept per user, to send again, edit and contest.
const RECENT: usize = 32;

/// State shared by all devices of a run.
#[derive(Debug)]
pub(crate) struct RunState {
    pub(crate) recorder: Recorder,
    pub(crate) secret: &'static str,
    /// One permit per message that may still be sent.
    pub(crate) permits: Semaphore,
    /// Send long messages, so that a device that does not read is soon in trouble.
    pub(crate) long: AtomicBool,
    acknowledged: AtomicU64,
    /// The highest seq in each room that an ack has named.
    heads: Mutex<HashMap<Name, u64>>,
    /// Posted notifications that were acknowledged or refused.
    notices: AtomicU64,
    /// Clients that asked for recovery, and those that got it.
    claims: AtomicU64,
    recovered: AtomicU64,
    /// Whether devices may choose long-polling, and how often one has.
    pub(crate) polls: bool,
    polled: AtomicU64,
    /// Signals a change of this state or of a [`Status`].
    moved: Notify,
    /// Observations that break no law and should not happen.
    problems: Mutex<Vec<String>>,
}

/// A device's status, for others to read.
#[derive(Debug)]
pub(crate) struct Status {
    pub(crate) name: Name,
    /// Unanswered operations that may add to a log.
    pub(crate) busy: AtomicUsize,
    /// Number of different notifications received.
    pub(crate) notified: AtomicUsize,
    /// Joins that were answered with another epoch than the requested one.
    pub(crate) resets: AtomicUsize,
    /// One per room of the device.
    pub(crate) seen: Vec<(Name, Reached)>,
}

/// The entry up to which a device has everything in a room, while it is subscribed.
#[derive(Debug, Default)]
pub(crate) struct Reached {
    /// That number plus one; 0 while it is not subscribed.
    next: AtomicU64,
}

impl Reached {
    pub(crate) fn set(&self, seen: Option<u64>) {
        self.next.store(seen.map_or(0, |seen| seen + 1), Ordering::SeqCst);
    }

    pub(crate) fn get(&self) -> Option<u64> {
        self.next.load(Ordering::SeqCst).checked_sub(1)
    }
}

/// State that the devices of a user share.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) name: Name,
    /// Acknowledged notifications for this user.
    pub(crate) posted: AtomicUsize,
    /// The latest acknowledged messages.
    pub(crate) recent: Mutex<VecDeque<Message>>,
    /// Messages that one device is sending, for another to send at the same time.
    pub(crate) shared_messages: Mutex<VecDeque<Message>>,
    /// Messages, by room and seq, whose first text a device has at least tried to erase by an edit or a
    /// deletion.
    pub(crate) erased: Mutex<HashSet<(Name, u64)>>,
}

impl RunState {
    pub(crate) fn new(secret: &'static str) -> Self {
        Self {
            recorder: Recorder::default(),
            secret,
            permits: Semaphore::new(0),
            long: AtomicBool::new(false),
            acknowledged: AtomicU64::new(0),
            heads: Mutex::default(),
            notices: AtomicU64::new(0),
            claims: AtomicU64::new(0),
            recovered: AtomicU64::new(0),
            polls: false,
            polled: AtomicU64::new(0),
            moved: Notify::new(),
            problems: Mutex::default(),
        }
    }

    /// Acknowledged messages, without retries.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// Waits until that many messages are acknowledged. True if they were in time.
    pub(crate) async fn wait_acknowledged(&self, messages: u64) -> bool {
        self.wait_until(RECOVERY, || self.acknowledged() >= messages)
            .await
    }

    /// Allows that many more messages.
    pub(crate) fn allow(&self, messages: u64) {
        self.permits
            .add_permits(usize::try_from(messages).unwrap_or(usize::MAX));
    }

    /// Records a seq from an ack.
    pub(crate) fn record_seq(&self, room: &Name, seq: u64) {
        let mut heads = self.heads.lock();
        let head = heads.entry(room.clone()).or_default();
        *head = seq.max(*head);
    }

    /// The end of each room's log, as far as acks have told.
    pub(crate) fn heads(&self) -> HashMap<Name, u64> {
        self.heads.lock().clone()
    }

    pub(crate) fn one_more(&self) {
        self.acknowledged.fetch_add(1, Ordering::SeqCst);
        self.moved();
    }

    /// True if a notification for the messages acknowledged so far is not yet posted, or in progress.
    pub(crate) fn has_unposted_notices(&self) -> bool {
        self.acknowledged() / NOTICE_EVERY > self.notices()
    }

    /// Number of posted notifications.
    pub(crate) fn notices(&self) -> u64 {
        self.notices.load(Ordering::SeqCst)
    }

    /// Counts a posted notification.
    pub(crate) fn posted(&self) {
        self.notices.fetch_add(1, Ordering::SeqCst);
        self.moved();
    }

    /// Counts a client that reconnected, whether it asked for recovery, and whether it got it.
    pub(crate) fn count_reconnect(&self, claimed: bool, recovered: bool) {
        self.claims.fetch_add(u64::from(claimed), Ordering::SeqCst);
        self.recovered.fetch_add(u64::from(recovered), Ordering::SeqCst);
    }

    /// Counts a connection by long-polling.
    pub(crate) fn polled(&self) {
        self.polled.fetch_add(1, Ordering::SeqCst);
    }

    /// Number of connections by long-polling.
    pub(crate) fn polled_so_far(&self) -> u64 {
        self.polled.load(Ordering::SeqCst)
    }

    /// Clients that asked for recovery, and those that got it.
    pub(crate) fn reconnects(&self) -> (u64, u64) {
        (
            self.claims.load(Ordering::SeqCst),
            self.recovered.load(Ordering::SeqCst),
        )
    }

    pub(crate) fn moved(&self) {
        self.moved.notify_waiters();
    }

    /// Waits until `reached` holds. True if it did within `patience`.
    pub(crate) async fn wait_until(&self, patience: Duration, reached: impl Fn() -> bool) -> bool {
        let reaching = async {
            loop {
                let moved = self.moved.notified();
                tokio::pin!(moved);
                moved.as_mut().enable();
                if reached() {
                    return;
                }
                moved.await;
            }
        };
        timeout(patience, reaching).await.is_ok()
    }

    pub(crate) fn add_problem(&self, what: String) {
        let mut problems = self.problems.lock();
        if problems.len() < RECENT {
            problems.push(what);
        }
    }

    pub(crate) fn problems(&self) -> Vec<String> {
        self.problems.lock().clone()
    }
}

impl User {
    pub(crate) fn new(name: &str) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            posted: AtomicUsize::new(0),
            recent: Mutex::default(),
            shared_messages: Mutex::default(),
            erased: Mutex::default(),
        })
    }

    pub(crate) fn remember(&self, message: Message) {
        let mut recent = self.recent.lock();
        recent.push_back(message);
        if recent.len() > RECENT {
            recent.pop_front();
        }
    }

    /// Leaves a message for another device to send too.
    pub(crate) fn share_message(&self, message: Message) {
        let mut shared_messages = self.shared_messages.lock();
        if shared_messages.len() < RECENT {
            shared_messages.push_back(message);
        }
    }
}
