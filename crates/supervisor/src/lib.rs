#![doc = include_str!("../README.md")]

mod failing;
mod panicked;
mod restarts;
mod task;

pub use self::{
    failing::{FailingTask, failing},
    panicked::{Panicked, catch, catch_sync},
    task::{Supervised, supervise, supervise_thread},
};
