//! What a user's task and the backend's task know of each other.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::attempt::{Action, Attempt};

#[derive(Debug, Default)]
pub(super) struct UserState {
    /// Everything that the user has tried, in the order of the answers.
    attempts: Mutex<Vec<Attempt>>,
    /// The backend is about to erase the user.
    erasing: AtomicBool,
    over: AtomicBool,
}

impl UserState {
    pub(super) fn add(&self, attempt: Attempt) {
        self.attempts.lock().push(attempt);
    }

    pub(super) fn attempts(&self) -> Vec<Attempt> {
        self.attempts.lock().clone()
    }

    pub(super) fn count(&self) -> usize {
        self.attempts.lock().len()
    }

    /// Messages that the server acknowledged.
    pub(super) fn stored(&self) -> usize {
        let attempts = self.attempts.lock();
        attempts.iter().filter_map(Attempt::message).count()
    }

    /// True if a message that began after `begun` was acknowledged.
    pub(super) fn has_sent_since(&self, begun: u64) -> bool {
        let attempts = self.attempts.lock();
        let mut later = attempts.iter().rev().filter(|attempt| attempt.begun > begun);
        later.any(|attempt| matches!(attempt.action, Action::Send(_)) && attempt.succeeded())
    }

    pub(super) fn erases(&self) {
        self.erasing.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_erasing(&self) -> bool {
        self.erasing.load(Ordering::SeqCst)
    }

    /// The user stops after the answers that are still to come.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }
}
