//! Tests of supervision with tasks that panic. The clock of tokio is paused, so back-off takes no time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use roomful_supervisor::{Supervised, catch, catch_sync, failing, supervise, supervise_thread};
use tokio::{sync::mpsc, time::Instant};

/// Supervises a task that panics in its first `panics` runs, then runs on. Each run sends its number.
fn panicking(task: &'static str, panics: usize) -> (Supervised, mpsc::Receiver<usize>) {
    let runs = AtomicUsize::new(0);
    let (started, starts) = mpsc::channel(1);
    let task = supervise(task, move || {
        let (run, started) = (runs.fetch_add(1, Ordering::SeqCst), started.clone());
        async move {
            let _ = started.send(run).await;
            assert!(run >= panics, "run {run} fails");
            std::future::pending::<()>().await;
        }
    });
    (task, starts)
}

fn is_failing(task: &str) -> bool {
    failing().iter().any(|failing| failing.task == task)
}

#[tokio::test(start_paused = true)]
async fn a_task_that_panics_restarts_and_ends_with_its_guard() {
    let (task, mut starts) = panicking("ends", 1);
    assert_eq!(starts.recv().await, Some(0));
    assert_eq!(starts.recv().await, Some(1));
    assert!(!is_failing("ends"), "one panic is no failure");
    drop(task);
    assert_eq!(starts.recv().await, None, "the task is gone");
}

#[tokio::test(start_paused = true)]
async fn the_pause_doubles_up_to_its_bound() {
    let (_task, mut starts) = panicking("pauses", usize::MAX);
    starts.recv().await;
    let mut pauses = Vec::new();
    for _ in 0..11 {
        let last = Instant::now();
        starts.recv().await;
        pauses.push(last.elapsed());
    }
    assert!(pauses.is_sorted(), "{pauses:?}");
    let bounds = (Duration::from_millis(100), Duration::from_secs(30));
    assert!(pauses[0] >= bounds.0 && pauses[0] < bounds.0 * 2, "{pauses:?}");
    assert!(pauses[10] >= bounds.1 && pauses[10] < bounds.1 * 2, "{pauses:?}");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_keeps_panicking_is_listed_until_it_is_stable() {
    let (task, mut starts) = panicking("listed", 3);
    for run in 0..=3 {
        assert_eq!(starts.recv().await, Some(run));
    }
    let listed = failing();
    let listed = listed.iter().find(|failing| failing.task == "listed").unwrap();
    assert_eq!(listed.cause, "it panicked: run 2 fails");
    tokio::time::sleep(Duration::from_mins(2)).await;
    assert!(!is_failing("listed"), "it runs again");
    drop(task);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_ends_while_it_fails_leaves_the_list() {
    let (task, mut starts) = panicking("leaves", usize::MAX);
    for _ in 0..4 {
        starts.recv().await;
    }
    assert!(is_failing("leaves"));
    drop(task);
    assert_eq!(starts.recv().await, None);
    assert!(!is_failing("leaves"));
}

#[tokio::test(start_paused = true)]
async fn a_detached_task_runs_on_and_ended_waits_for_a_return() {
    let (task, mut starts) = panicking("detached", 1);
    task.detach();
    assert_eq!((starts.recv().await, starts.recv().await), (Some(0), Some(1)));
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let task = supervise("returns", move || {
        let run = counted.fetch_add(1, Ordering::SeqCst);
        async move { assert_ne!(run, 0, "the first run fails") }
    });
    task.ended().await;
    assert_eq!(runs.load(Ordering::SeqCst), 2);
}

#[test]
fn a_thread_that_panics_restarts_and_a_panic_before_the_first_await_counts() {
    let mut runs = 0;
    supervise_thread("thread", || {
        runs += 1;
        assert_ne!(runs, 1, "the first run fails");
    });
    assert_eq!(runs, 2);
}

#[tokio::test]
async fn a_caught_panic_is_an_error_with_its_message() {
    let failed = catch("catch", async { panic!("number {}", 7) }).await;
    assert_eq!(
        failed.map(|()| 0).unwrap_err().to_string(),
        "it panicked: number 7"
    );
    assert_eq!(catch("catch", async { 7 }).await, Ok(7));
    let failed = catch_sync("catch", || -> u8 { panic!("text") });
    assert_eq!(failed.unwrap_err().to_string(), "it panicked: text");
    assert_eq!(catch_sync("catch", || 7), Ok(7));
}
