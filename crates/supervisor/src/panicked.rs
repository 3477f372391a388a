//! Panics as errors.

use std::{
    any::Any,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

use futures_util::FutureExt as _;
use metrics::counter;

/// A panic and its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panicked(String);

impl Panicked {
    pub(crate) fn note(task: &'static str, payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        counter!("roomful_task_panics_total", "task" => task).increment(1);
        Self(text.unwrap_or_else(|| "no message".to_owned()))
    }
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it panicked: {}", self.0)
    }
}

impl std::error::Error for Panicked {}

/// Awaits one piece of work of the loop `task`. Counts and logs a panic.
///
/// The caller makes sure that what the work shares with the loop is still consistent after a panic.
///
/// # Errors
/// [`Panicked`] if the work panics.
pub async fn catch<F: Future>(task: &'static str, work: F) -> Result<F::Output, Panicked> {
    let outcome = AssertUnwindSafe(work).catch_unwind().await;
    outcome.map_err(|payload| log(task, &*payload))
}

/// Like [`catch`], for synchronous work.
///
/// # Errors
/// [`Panicked`] if the work panics.
pub fn catch_sync<T>(task: &'static str, work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| log(task, &*payload))
}

fn log(task: &'static str, payload: &(dyn Any + Send)) -> Panicked {
    let error = Panicked::note(task, payload);
    tracing::error!(task, %error, "failed to finish one piece of work, continuing with the next");
    error
}
