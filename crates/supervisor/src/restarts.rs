//! The pauses between a task's restarts, and when it counts as failing.

use std::{any::Any, time::Duration};

use metrics::counter;

use crate::{
    failing::{Entry, FailingTask},
    panicked::Panicked,
};

/// The pause after the first panic. It doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// A task that has panicked this often in a row counts as failing.
const FAILING_FROM: u32 = 3;
/// After this time without a panic a task counts as healthy again.
pub(crate) const STABLE: Duration = Duration::from_mins(1);

/// The restarts of one task.
pub(crate) struct Restarts {
    task: &'static str,
    /// Panics in a row.
    panics: u32,
    entry: Entry,
}

impl Restarts {
    pub(crate) fn of(task: &'static str) -> Self {
        // An alert is on its increase, so it exists from the start.
        counter!("roomful_task_panics_total", "task" => task).increment(0);
        Self {
            task,
            panics: 0,
            entry: Entry::new(),
        }
    }

    /// Notes and logs a panic. Returns the pause before the next start.
    pub(crate) fn panicked(&mut self, payload: &(dyn Any + Send)) -> Duration {
        let error = Panicked::note(self.task, payload);
        let doubled = 2_u32.saturating_pow(self.panics);
        let pause = FIRST_PAUSE.saturating_mul(doubled).min(MAX_PAUSE);
        self.panics = self.panics.saturating_add(1);
        tracing::error!(task = self.task, %error, restart_in = ?pause, "failed to run a task, restarting it");
        if self.panics >= FAILING_FROM {
            self.entry.set(FailingTask {
                task: self.task,
                cause: error.to_string(),
            });
        }
        pause
    }

    /// Notes that the task has run for [`STABLE`] without a panic.
    pub(crate) fn is_stable(&mut self) {
        if self.panics >= FAILING_FROM {
            tracing::info!(task = self.task, "the task runs again");
        }
        self.panics = 0;
        self.entry.clear();
    }
}
