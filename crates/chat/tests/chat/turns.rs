//! Sessions are given back by turns.

use std::sync::{Arc, atomic::Ordering};

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use tokio::task::yield_now;

use crate::{
    fixture::Server,
    order::Flaky,
    recovery::{come_back, lose},
};

/// How much a gauge has changed, or a counter in all its causes grown, since the last look.
fn change(figures: &Snapshotter, name: &str) -> f64 {
    let all = figures.snapshot().into_vec().into_iter();
    let values = all.filter(|(key, ..)| key.key().name() == name);
    values
        .map(|(.., value)| match value {
            DebugValue::Gauge(by) => by.into_inner(),
            DebugValue::Counter(by) => f64::from(u32::try_from(by).unwrap()),
            DebugValue::Histogram(_) => 0.0,
        })
        .sum()
}

async fn until(what: impl Fn() -> bool) {
    while !what() {
        yield_now().await;
    }
}

#[tokio::test]
async fn who_gives_up_while_waiting_for_a_turn_has_not_spent_the_session() {
    let recorder = DebuggingRecorder::new();
    let recording = metrics::set_default_local_recorder(&recorder);
    let (store, data) = Flaky::open();
    let one_at_a_time = |config: &mut roomful_chat::ChatConfig| config.recovery.concurrency = 1;
    let server = Arc::new(Server::on(store.clone(), data, one_at_a_time).await);
    drop(recording);
    let figures = recorder.snapshotter();
    let (alice, bob) = (
        server.joined("alice", "lobby").await,
        server.joined("bob", "lobby").await,
    );
    let (alices, bobs) = (lose(&server, alice).await.0, lose(&server, bob).await.0);
    let back = |user: &'static str, claim: &serde_json::Value| {
        let (server, claim) = (Arc::clone(&server), claim.clone());
        tokio::spawn(async move { come_back(&server, user, &claim).await.1 })
    };

    let held = store.resuming.lock().await;
    let alice = back("alice", &alices);
    until(|| store.resumes.load(Ordering::SeqCst) == 1).await;
    let bob = back("bob", &bobs);
    until(|| change(&figures, "roomful_sessions_waiting") > 0.5).await;
    bob.abort();
    until(|| change(&figures, "roomful_closed_total") > 0.5).await;
    drop(held);

    assert!(alice.await.unwrap());
    assert!(back("bob", &bobs).await.unwrap());
    // Twice for each who got one; and never for a connection that was gone.
    assert_eq!(store.resumes.load(Ordering::SeqCst), 4);
}
