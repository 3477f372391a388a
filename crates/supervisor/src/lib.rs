//! Supervision of long-running tasks: a task that panics starts again, and [`failing`] lists the tasks
//! that do not recover.
//!
//! Like the metrics recorder and the log, the list of failing tasks belongs to the process.
//!
//! - [`supervise`] runs a task whose work can start over.
//! - [`supervise_thread`] does the same on the caller's thread.
//! - [`catch`] and [`catch_sync`] run one piece of work of a loop that owns state, such as one commit: the
//!   panic becomes an error, and the loop goes on.

mod failing;
mod panicked;
mod restarts;
mod task;

pub use self::{
    failing::{FailingTask, failing},
    panicked::{Panicked, catch, catch_sync},
    task::{Supervised, supervise, supervise_thread},
};
