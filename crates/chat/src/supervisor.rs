//! Long-running tasks that start again after a panic.

use std::time::Duration;

use tokio_util::sync::{CancellationToken, DropGuard};

/// The pause before a task starts again, so that one that always panics uses little CPU.
const PAUSE: Duration = Duration::from_millis(100);

/// Spawns the task that `run` makes, and spawns it again whenever it panics. The task ends when it returns or
/// when the guard is dropped.
pub(crate) fn supervise<F>(task: &'static str, run: impl Fn() -> F + Send + 'static) -> DropGuard
where
    F: Future<Output = ()> + Send + 'static,
{
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        loop {
            let running = tokio::spawn(run());
            let abort = running.abort_handle();
            tokio::select! {
                () = stopped.cancelled() => return abort.abort(),
                ended = running => match ended {
                    Err(error) if error.is_panic() => {
                        tracing::error!(task, %error, "failed to run a task, starting it again");
                    }
                    _ => return,
                },
            }
            tokio::time::sleep(PAUSE).await;
        }
    });
    stop.drop_guard()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };
    use tokio::sync::mpsc;

    #[tokio::test]
    async fn a_task_that_panics_starts_again_and_ends_with_its_guard() {
        let runs = Arc::new(AtomicUsize::new(0));
        let (started, mut starts) = mpsc::channel(2);
        let guard = supervise("test", move || {
            let (run, started) = (runs.fetch_add(1, Ordering::SeqCst), started.clone());
            async move {
                let _ = started.send(run).await;
                assert_ne!(run, 0, "the first run fails");
                std::future::pending::<()>().await;
            }
        });
        assert_eq!(starts.recv().await, Some(0));
        assert_eq!(starts.recv().await, Some(1));
        drop(guard);
        assert_eq!(starts.recv().await, None, "the task and its supervisor are gone");
    }
}
