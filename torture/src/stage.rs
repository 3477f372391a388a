//! What all devices share: the history, the messages still to be sent, and where everybody stands.

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

/// A notification for so many acknowledged messages.
const NOTICE_EVERY: u64 = 20;
/// Messages of a user that are kept to be sent again, edited and contested.
const RECENT: usize = 32;

/// Shared by all devices of a run.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) recorder: Recorder,
    pub(crate) secret: &'static str,
    /// A permit for each message that may still be sent.
    pub(crate) permits: Semaphore,
    /// Messages are long, so that a reader who does not read is soon in trouble.
    pub(crate) long: AtomicBool,
    acknowledged: AtomicU64,
    /// The highest place in each room that an ack has named.
    heads: Mutex<HashMap<Name, u64>>,
    /// Notifications that were posted, and acknowledged or refused.
    notices: AtomicU64,
    /// Clients that came back for their session, and those of them that got it.
    claims: AtomicU64,
    recovered: AtomicU64,
    /// Whether devices may choose long-polling, and how often one has.
    pub(crate) polls: bool,
    polled: AtomicU64,
    /// Something of the above, or of a [`Status`], has changed.
    moved: Notify,
    /// What no law speaks of and should not happen all the same.
    troubles: Mutex<Vec<String>>,
}

/// Where a device stands, for others to see.
#[derive(Debug)]
pub(crate) struct Status {
    pub(crate) name: Name,
    /// Operations without an answer that may add to a log.
    pub(crate) busy: AtomicUsize,
    /// Different notifications that came.
    pub(crate) notified: AtomicUsize,
    /// Joins that were answered with another log than the one that was asked for.
    pub(crate) resets: AtomicUsize,
    /// By place.
    pub(crate) seen: Vec<(Name, Reached)>,
}

/// Up to which entry of a room a device has seen everything, while it is subscribed.
#[derive(Debug, Default)]
pub(crate) struct Reached {
    /// One more than that; 0 while it is not.
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

/// What the devices of a user share.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) name: Name,
    /// Notifications that were posted for them, and acknowledged.
    pub(crate) posted: AtomicUsize,
    /// The latest that were acknowledged.
    pub(crate) recent: Mutex<VecDeque<Message>>,
    /// Sent by one device, to be sent by another at the same time.
    pub(crate) raced: Mutex<VecDeque<Message>>,
    /// Messages, by room and seq, that a device has at least tried to delete.
    pub(crate) deleted: Mutex<HashSet<(Name, u64)>>,
}

impl Stage {
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
            troubles: Mutex::default(),
        }
    }

    /// Messages that were acknowledged, retries of the same one not counted.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// Waits until so many messages are acknowledged. Answers whether they were.
    pub(crate) async fn reaches(&self, messages: u64) -> bool {
        self.wait_until(RECOVERY, || self.acknowledged() >= messages)
            .await
    }

    /// Lets so many more messages be sent.
    pub(crate) fn allow(&self, messages: u64) {
        self.permits
            .add_permits(usize::try_from(messages).unwrap_or(usize::MAX));
    }

    /// An ack has named a place.
    pub(crate) fn placed(&self, room: &Name, seq: u64) {
        let mut heads = self.heads.lock();
        let head = heads.entry(room.clone()).or_default();
        *head = seq.max(*head);
    }

    /// How far each room's log goes, as far as acks have told.
    pub(crate) fn heads(&self) -> HashMap<Name, u64> {
        self.heads.lock().clone()
    }

    pub(crate) fn one_more(&self) {
        self.acknowledged.fetch_add(1, Ordering::SeqCst);
        self.moved();
    }

    /// Whether a notification is still to be posted, or being posted, for the messages acknowledged so far.
    pub(crate) fn owes_notices(&self) -> bool {
        self.acknowledged() / NOTICE_EVERY > self.notices()
    }

    /// How many notifications were posted.
    pub(crate) fn notices(&self) -> u64 {
        self.notices.load(Ordering::SeqCst)
    }

    /// One more notification was posted.
    pub(crate) fn posted(&self) {
        self.notices.fetch_add(1, Ordering::SeqCst);
        self.moved();
    }

    /// A client is back, with a claim to its session or without, and has it or has it not.
    pub(crate) fn came_back(&self, claimed: bool, recovered: bool) {
        self.claims.fetch_add(u64::from(claimed), Ordering::SeqCst);
        self.recovered.fetch_add(u64::from(recovered), Ordering::SeqCst);
    }

    /// A device has connected by long-polling.
    pub(crate) fn polled(&self) {
        self.polled.fetch_add(1, Ordering::SeqCst);
    }

    /// How often devices have connected by long-polling.
    pub(crate) fn polled_so_far(&self) -> u64 {
        self.polled.load(Ordering::SeqCst)
    }

    /// How many came back for their session, and how many of them got it.
    pub(crate) fn came_back_so_far(&self) -> (u64, u64) {
        (
            self.claims.load(Ordering::SeqCst),
            self.recovered.load(Ordering::SeqCst),
        )
    }

    pub(crate) fn moved(&self) {
        self.moved.notify_waiters();
    }

    /// Waits until `reached` holds. Answers whether it came to that within `patience`.
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

    pub(crate) fn trouble(&self, what: String) {
        let mut troubles = self.troubles.lock();
        if troubles.len() < RECENT {
            troubles.push(what);
        }
    }

    pub(crate) fn troubles(&self) -> Vec<String> {
        self.troubles.lock().clone()
    }
}

impl User {
    pub(crate) fn new(name: &str) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            posted: AtomicUsize::new(0),
            recent: Mutex::default(),
            raced: Mutex::default(),
            deleted: Mutex::default(),
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
    pub(crate) fn race(&self, message: Message) {
        let mut raced = self.raced.lock();
        if raced.len() < RECENT {
            raced.push_back(message);
        }
    }
}
