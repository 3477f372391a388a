//! Callers of a store: on whose behalf a task reads, and whether anybody still waits for the answer.
//!
//! A store serves callers that wait turn by turn. The caller is bound to the task, since most calls do not
//! name the user who pays for them.

use std::{
    fmt,
    future::Future,
    hash::{BuildHasher as _, RandomState},
    sync::{Arc, LazyLock},
};

tokio::task_local! {
    static CURRENT: Caller;
}

/// Hashes with a secret key, so that a client cannot choose user ids that share a lane.
static LANES: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// A queue of the fair scheduler: callers of one lane share its turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    /// Work of the server itself, and of backends.
    Server,
    /// Users, by a hash of the id. Users with the same hash share a lane.
    User(u64),
}

/// A caller of a store. Calls outside of [`Caller::run`] belong to the server itself.
#[derive(Clone)]
pub struct Caller {
    lane: Lane,
    has_gone: Option<Arc<dyn Fn() -> bool + Send + Sync>>,
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("lane", &self.lane)
            .finish_non_exhaustive()
    }
}

impl Caller {
    /// The calls of a user, who takes turns with other users.
    pub fn user(id: &str) -> Self {
        Self {
            lane: Lane::User(LANES.hash_one(id)),
            has_gone: None,
        }
    }

    /// Reads that wait when `has_gone` answers true fail with [`crate::Outage::Abandoned`]. Writes are
    /// still carried out.
    #[must_use]
    pub fn until(mut self, has_gone: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.has_gone = Some(Arc::new(has_gone));
        self
    }

    /// Runs a future whose calls of stores are this caller's. Tasks that the future spawns are not.
    pub async fn run<F: Future>(self, work: F) -> F::Output {
        CURRENT.scope(self, work).await
    }

    /// The caller of the current task.
    pub(crate) fn current() -> Self {
        let server = || Self {
            lane: Lane::Server,
            has_gone: None,
        };
        CURRENT.try_with(Clone::clone).unwrap_or_else(|_| server())
    }

    pub(crate) fn lane(&self) -> Lane {
        self.lane
    }

    pub(crate) fn has_gone(&self) -> bool {
        self.has_gone.as_ref().is_some_and(|has_gone| has_gone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn calls_belong_to_the_innermost_caller() {
        assert_eq!(Caller::current().lane(), Lane::Server);
        let ann = Caller::user("ann").until(|| true);
        let inner = ann.clone().run(async {
            let bob = Caller::user("bob").run(async { Caller::current() }).await;
            (bob, Caller::current())
        });
        let (bob, current) = inner.await;
        assert_eq!(current.lane(), ann.lane());
        assert!(current.has_gone() && !bob.has_gone());
        assert_ne!(bob.lane(), ann.lane());
        assert_eq!(Caller::user("ann").lane(), ann.lane());
    }
}
