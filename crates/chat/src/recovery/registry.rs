//! What the process itself knows of sessions that can be resumed.

use std::collections::{HashMap, HashSet};

use metrics::Gauge;
use parking_lot::Mutex;
use roomful_store::{SessionKey, SessionOwner};
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};

use crate::{alarm::Alarm, config::RecoveryConfig, metrics::Counted};

/// The most sessions whose end is still to be stored.
const UNSTORED_ENDS: usize = 100_000;

/// Sessions that are being resumed, and ends of sessions that the store does not know yet.
pub(crate) struct SessionRegistry {
    /// Set once the sessions of the process before are marked as lost.
    pub(super) inherited: OnceCell<()>,
    /// The sessions that are being resumed: at most as many as there are permits.
    pub(super) restoring: Mutex<HashSet<SessionKey>>,
    permits: Semaphore,
    pub(super) next_beat: Mutex<i64>,
    pub(super) alarm: Alarm,
    /// Sessions whose end the store does not know yet.
    pub(super) unended: Mutex<HashMap<SessionKey, (SessionOwner, End)>>,
}

/// How a session has ended.
#[derive(Clone, Copy)]
pub(super) enum End {
    /// It is over, and can't be resumed, even before the store knows.
    Over,
    /// Its connection was lost at this time. Until the store knows, the session resumes like that of an open
    /// connection.
    Lost(i64),
}

impl SessionRegistry {
    pub(crate) fn starting(now: i64, config: &RecoveryConfig) -> Self {
        Self {
            inherited: OnceCell::new(),
            restoring: Mutex::default(),
            permits: Semaphore::new(config.concurrency.max(1)),
            next_beat: Mutex::new(now),
            alarm: Alarm::default(),
            unended: Mutex::default(),
        }
    }

    /// A permit to resume a session. `waiting` counts those who wait for one.
    pub(super) async fn permit(&self, waiting: &Gauge) -> Option<SemaphorePermit<'_>> {
        if let Ok(permit) = self.permits.try_acquire() {
            return Some(permit);
        }
        let _waiting = Counted::one(waiting);
        // The semaphore is never closed.
        self.permits.acquire().await.ok()
    }

    /// Storing the end of a session has failed, and is tried again later.
    pub(super) fn end_later(&self, key: SessionKey, owner: SessionOwner, end: End) {
        let mut unended = self.unended.lock();
        if unended.len() < UNSTORED_ENDS {
            unended.insert(key, (owner, end));
        }
    }

    /// Whether the session is over, and the store does not know it yet.
    pub(super) fn is_over(&self, key: SessionKey) -> bool {
        matches!(self.unended.lock().get(&key), Some((_, End::Over)))
    }
}
