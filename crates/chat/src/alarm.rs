//! One sleeping task for many deadlines: it wakes at the earliest one.

use std::{
    future::Future,
    sync::{Arc, Weak},
};

use roomful_supervisor::supervise;
use tokio::sync::Notify;

use crate::clock::{Clock, Sleep};

/// The time of the [`Clock`] in which deadlines are given.
#[derive(Debug, Clone, Copy, Default)]
enum Timeline {
    #[default]
    Monotonic,
    Wall,
}

impl Timeline {
    fn now(self, clock: &dyn Clock) -> i64 {
        match self {
            Self::Monotonic => clock.monotonic_ms(),
            Self::Wall => clock.now_ms(),
        }
    }

    fn sleep_until(self, clock: &dyn Clock, at: i64) -> Sleep {
        match self {
            Self::Monotonic => clock.sleep_until(at),
            Self::Wall => clock.sleep_until_wall(at),
        }
    }
}

/// Wakes its task when a new deadline comes before the one that the task sleeps for. By default, the
/// deadlines are in monotonic time.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    timeline: Timeline,
    notify: Arc<Notify>,
}

impl Alarm {
    /// An alarm for deadlines in wall time, which others have set.
    pub(crate) fn on_wall_time() -> Self {
        Self {
            timeline: Timeline::Wall,
            notify: Arc::default(),
        }
    }

    /// Wakes the task if the earliest deadline has moved forward, from `was_next` to `now_next`.
    pub(crate) fn moved(&self, was_next: Option<i64>, now_next: Option<i64>) {
        if now_next.is_some_and(|now| was_next.is_none_or(|was| now < was)) {
            self.notify.notify_one();
        }
    }

    /// Starts the task.
    ///
    /// The task `name` asks `next` for the earliest deadline, and calls `tick` with the time when it is due.
    /// It ends when `owner` is gone.
    pub(crate) fn spawn<T, Tick>(
        &self,
        name: &'static str,
        clock: Arc<dyn Clock>,
        owner: Weak<T>,
        next: impl Fn(&T) -> Option<i64> + Copy + Send + Sync + 'static,
        tick: impl Fn(Arc<T>, i64) -> Tick + Copy + Send + Sync + 'static,
    ) where
        T: Send + Sync + 'static,
        Tick: Future<Output = ()> + Send,
    {
        let (timeline, notify) = (self.timeline, Arc::clone(&self.notify));
        let run = move || {
            let (clock, notify, owner) = (Arc::clone(&clock), Arc::clone(&notify), Weak::clone(&owner));
            async move {
                loop {
                    let Some(deadline) = owner.upgrade().map(|owner| next(&owner)) else {
                        return;
                    };
                    match deadline {
                        None => {
                            notify.notified().await;
                            continue;
                        }
                        Some(at) => tokio::select! {
                            () = timeline.sleep_until(&*clock, at) => {}
                            () = notify.notified() => continue,
                        },
                    }
                    let Some(owner) = owner.upgrade() else { return };
                    tick(owner, timeline.now(&*clock)).await;
                }
            }
        };
        supervise(name, run).detach();
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        // The owner is going: lets the task notice and end.
        self.notify.notify_one();
    }
}
