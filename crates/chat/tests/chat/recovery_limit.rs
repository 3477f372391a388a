//! The limit of concurrent recoveries.

use std::sync::{Arc, atomic::Ordering};

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use roomful_testkit::PATIENCE;
use tokio::task::yield_now;

use crate::{
    fixture::Server,
    flaky::flaky_store,
    recovery::{come_back, lose},
};

/// The values of the recorded metrics. Reading a recorder resets it.
pub(crate) struct Figures {
    recorder: Snapshotter,
    waiting: f64,
    /// Connections that have ended.
    pub(crate) closed: u64,
}

impl Figures {
    pub(crate) fn of(recorder: &DebuggingRecorder) -> Self {
        Self {
            recorder: recorder.snapshotter(),
            waiting: 0.0,
            closed: 0,
        }
    }

    fn look(&mut self) {
        for (key, _, _, value) in self.recorder.snapshot().into_vec() {
            match (key.key().name(), value) {
                ("roomful_sessions_waiting", DebugValue::Gauge(by)) => self.waiting += by.into_inner(),
                ("roomful_closed_total", DebugValue::Counter(by)) => self.closed += by,
                _ => {}
            }
        }
    }

    /// Polls until the condition holds: no event announces a metric.
    pub(crate) async fn until(&mut self, so: impl Fn(&Self) -> bool) {
        let looking = async {
            while !so(self) {
                yield_now().await;
                self.look();
            }
        };
        tokio::time::timeout(PATIENCE, looking).await.unwrap();
    }
}

#[tokio::test]
async fn giving_up_while_waiting_for_recovery_keeps_the_session() {
    let recorder = DebuggingRecorder::new();
    let recording = metrics::set_default_local_recorder(&recorder);
    let (store, data) = flaky_store();
    let one_at_a_time = |config: &mut roomful_chat::ChatConfig| config.recovery.concurrency = 1;
    let server = Arc::new(Server::on(store.clone(), data, one_at_a_time).await);
    drop(recording);
    let mut figures = Figures::of(&recorder);
    let (alice, bob) = (
        server.joined("alice", "lobby").await,
        server.joined("bob", "lobby").await,
    );
    let (alices, bobs) = (lose(&server, alice).await.0, lose(&server, bob).await.0);
    let back = |user: &'static str, claim: &serde_json::Value| {
        let (server, claim) = (Arc::clone(&server), claim.clone());
        tokio::spawn(async move { come_back(&server, user, &claim).await.1 })
    };
    let is_asked = |times: usize| {
        let store = Arc::clone(&store);
        move |_: &Figures| store.hooks.resumes.load(Ordering::SeqCst) == times
    };
    figures.until(|figures| figures.closed == 2).await;

    let held = store.hooks.resuming.lock().await;
    let alice = back("alice", &alices);
    figures.until(is_asked(1)).await;
    let bob = back("bob", &bobs);
    figures.until(|figures| figures.waiting > 0.5).await;
    bob.abort();
    figures.until(|figures| figures.closed == 3).await;
    drop(held);

    assert!(alice.await.unwrap());
    assert!(back("bob", &bobs).await.unwrap());
    // One read for each recovered client, and none for a closed connection.
    assert!(is_asked(2)(&figures));
    figures.look();
    assert!(figures.waiting.abs() < 0.5, "{} still wait", figures.waiting);
}
