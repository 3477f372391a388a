//! Tasks and threads that start again after a panic.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
};

use futures_util::FutureExt as _;
use tokio::{
    runtime::Handle,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use crate::restarts::{Restarts, STABLE};

/// A supervised task. Dropping it ends the task; see [`Supervised::detach`].
#[derive(Debug)]
#[must_use = "dropping it ends the task"]
pub struct Supervised(Option<JoinHandle<()>>);

impl Supervised {
    /// Lets the task run until it returns.
    pub fn detach(mut self) {
        self.0 = None;
    }

    /// Ends the task.
    pub fn abort(&self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }

    /// Waits until the task has returned.
    pub async fn ended(mut self) {
        if let Some(task) = &mut self.0 {
            // An error means that the task was aborted, or the runtime ends.
            let _ = task.await;
        }
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.abort();
    }
}

/// Spawns the future that `run` makes, and makes and runs another one whenever it panics.
///
/// The pause before a restart starts at 100 ms and doubles up to 30 s. From the third panic in a row until a
/// minute without one, [`failing`](crate::failing) lists the task. The task ends when the future returns.
///
/// # Panics
/// Outside a tokio runtime.
pub fn supervise<F>(task: &'static str, run: impl FnMut() -> F + Send + 'static) -> Supervised
where
    F: Future<Output = ()> + Send + 'static,
{
    Supervised(Some(Handle::current().spawn(restarting(task, run))))
}

async fn restarting<F>(task: &'static str, mut run: impl FnMut() -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut restarts = Restarts::of(task);
    loop {
        let pause = {
            // A panic of `run` itself is caught, too.
            let running = AssertUnwindSafe(async { run().await }).catch_unwind();
            let mut running = pin!(running);
            let ended = if let Ok(ended) = timeout(STABLE, &mut running).await {
                ended
            } else {
                restarts.is_stable();
                running.await
            };
            match ended {
                Ok(()) => return,
                Err(payload) => restarts.panicked(&*payload),
            }
        };
        sleep(pause).await;
    }
}

/// Runs `run` on this thread until it returns, and runs it again whenever it panics, like [`supervise`].
pub fn supervise_thread(task: &'static str, mut run: impl FnMut()) {
    let mut restarts = Restarts::of(task);
    loop {
        let started = Instant::now();
        let Err(payload) = catch_unwind(AssertUnwindSafe(&mut run)) else {
            return;
        };
        if started.elapsed() >= STABLE {
            restarts.is_stable();
        }
        std::thread::sleep(restarts.panicked(&*payload));
    }
}
