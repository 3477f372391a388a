//! Who reads next: users take turns, reads that nobody waits for are dropped, health checks wait for nobody.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use futures_util::{FutureExt as _, future::join_all};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{File, open};
use crate::{Caller, Options, Outage, Store as _, sqlite::SqliteStore};

/// A store with one reader thread.
fn one_reader(file: &File) -> Arc<SqliteStore> {
    let options = Options {
        readers: 1,
        queue_reads_per_user: 300,
        ..Options::default()
    };
    Arc::new(open(&file.path(), options).unwrap())
}

/// A read that keeps the thread busy until the sender is used or dropped. Returns once the thread is at it.
async fn occupy(store: &Arc<SqliteStore>) -> std::sync::mpsc::SyncSender<()> {
    let (release, released) = std::sync::mpsc::sync_channel(1);
    let (at_it, begun) = oneshot::channel();
    let store = Arc::clone(store);
    tokio::spawn(async move {
        let busy = store.read(move |_| {
            let _ = at_it.send(());
            let _ = released.recv();
            Ok(())
        });
        busy.await
    });
    begun.await.unwrap();
    release
}

/// Polls a future once, which queues its read.
macro_rules! queued {
    ($read:expr) => {{
        let mut read = Box::pin($read);
        assert!((&mut read).now_or_never().is_none());
        read
    }};
}

#[tokio::test]
async fn users_take_turns() {
    let file = File::new();
    let store = one_reader(&file);
    let release = occupy(&store).await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let read = |user: &'static str| {
        let order = Arc::clone(&order);
        Caller::user(user).run(store.read(move |_| {
            order.lock().push(user);
            Ok(())
        }))
    };
    let mut reads = Vec::new();
    for user in ["ann", "ann", "ann", "bob", "cy", "bob"] {
        reads.push(queued!(read(user)));
    }
    drop(release);
    for outcome in join_all(reads).await {
        outcome.unwrap();
    }
    assert_eq!(*order.lock(), ["ann", "bob", "cy", "ann", "bob", "ann"]);
}

#[tokio::test]
async fn reads_of_callers_who_have_gone_are_dropped() {
    let file = File::new();
    let store = one_reader(&file);
    let release = occupy(&store).await;
    let (gone, run) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let read = || {
        let run = Arc::clone(&run);
        store.read(move |_| {
            run.fetch_add(1, Ordering::SeqCst);
            Ok(())
        })
    };
    let mut left = Vec::new();
    for _ in 0..200 {
        let gone = Arc::clone(&gone);
        let ann = Caller::user("ann").until(move || gone.load(Ordering::SeqCst));
        left.push(queued!(ann.run(read())));
    }
    // A caller that no longer polls has gone, too.
    drop(queued!(Caller::user("bob").run(read())));
    gone.store(true, Ordering::SeqCst);
    drop(release);
    for outcome in join_all(left).await {
        assert_eq!(outcome, Err(Outage::Abandoned.into()));
    }
    read().await.unwrap();
    assert_eq!(run.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_user_may_have_so_many_reads_waiting() {
    let file = File::new();
    let options = Options {
        readers: 1,
        queue_reads_per_user: 2,
        ..Options::default()
    };
    let store = Arc::new(open(&file.path(), options).unwrap());
    let release = occupy(&store).await;
    let ann = || Caller::user("ann").run(store.read(|_| Ok(())));
    let (one, two) = (queued!(ann()), queued!(ann()));
    assert_eq!(ann().await, Err(Outage::Busy.into()));
    let bob = queued!(Caller::user("bob").run(store.read(|_| Ok(()))));
    drop(release);
    assert_eq!((one.await, two.await, bob.await), (Ok(()), Ok(()), Ok(())));
}

#[tokio::test]
async fn a_health_check_does_not_wait_for_readers() {
    let file = File::new();
    let store = one_reader(&file);
    let release = occupy(&store).await;
    let waiting = queued!(store.read(|_| Ok(())));
    store.check().await.unwrap();
    drop(release);
    waiting.await.unwrap();
}
