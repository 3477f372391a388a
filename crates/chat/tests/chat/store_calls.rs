//! How often the handlers of a client's events call the store.

use std::sync::atomic::Ordering;

use metrics_util::debugging::DebuggingRecorder;
use serde_json::json;

use crate::{
    fixture::{ok, settle},
    flaky::{FlakyStore, on_flaky},
    recovery::{come_back, lose},
    recovery_limit::Figures,
};

/// The calls of the store since the count `before`.
fn calls_since(store: &FlakyStore, before: usize) -> usize {
    store.hooks.calls.load(Ordering::SeqCst) - before
}

#[tokio::test]
async fn a_join_calls_the_store_twice_at_most() {
    let (store, server) = on_flaky().await;
    let (alice, bob) = (server.connect("alice").await, server.connect("bob").await);
    settle(&alice).await;
    settle(&bob).await;
    store.inner.open_room("lobby", true, 1).await.unwrap();
    let before = store.hooks.calls.load(Ordering::SeqCst);
    ok(alice.call("chat:join", &json!({ "room": "lobby" })).await);
    assert_eq!(
        calls_since(&store, before),
        2,
        "to open a room that is not in memory, and to enter it"
    );
    let before = store.hooks.calls.load(Ordering::SeqCst);
    ok(bob.call("chat:join", &json!({ "room": "lobby" })).await);
    assert_eq!(calls_since(&store, before), 1);
    let before = store.hooks.calls.load(Ordering::SeqCst);
    let again = ok(bob
        .call("chat:join", &json!({ "room": "lobby", "limit": 0 }))
        .await);
    assert_eq!(calls_since(&store, before), 1);
    assert_eq!(again["messages"], json!([]));
}

#[tokio::test]
async fn a_sync_calls_the_store_five_times_at_most_whatever_its_rooms() {
    let (store, server) = on_flaky().await;
    let alice = server.connect("alice").await;
    let rooms: Vec<_> = (0..20).map(|n| format!("room-{n}")).collect();
    for room in &rooms {
        ok(alice.call("chat:join", &json!({ "room": room })).await);
        crate::fixture::send(&alice, room, "hello").await;
    }
    lose(&server, alice).await;
    let mut calls = Vec::new();
    for few in [1, rooms.len()] {
        let alice = server.connect("alice").await;
        settle(&alice).await;
        let before = store.hooks.calls.load(Ordering::SeqCst);
        let asked: Vec<_> = rooms
            .iter()
            .take(few)
            .map(|room| json!({ "room": room, "since": 0 }))
            .collect();
        let synced = ok(alice.call("chat:sync", &json!({ "rooms": asked })).await);
        calls.push(calls_since(&store, before));
        let synced = synced["rooms"].as_array().unwrap();
        assert_eq!(synced.len(), few);
        assert!(
            synced
                .iter()
                .all(|room| room["messages"].as_array().map(Vec::len) == Some(1))
        );
        lose(&server, alice).await;
    }
    // The rooms, the memberships, the subscriptions, the pages and the profiles of their authors.
    assert!(calls.iter().all(|calls| *calls <= 5), "{calls:?}");
}

#[tokio::test]
async fn a_recovery_calls_the_store_five_times_at_most_whatever_its_rooms() {
    let (store, server) = on_flaky().await;
    let alice = server.joined("alice", "room-0").await;
    let mut others = Vec::new();
    for n in 1..10 {
        others.push(server.joined(&format!("user-{n}"), &format!("room-{n}")).await);
        ok(alice
            .call("chat:join", &json!({ "room": format!("room-{n}") }))
            .await);
    }
    let (claim, _) = lose(&server, alice).await;
    let before = store.hooks.calls.load(Ordering::SeqCst);
    let (alice, recovered) = come_back(&server, "alice", &claim).await;
    assert!(recovered);
    for _ in 0..10 {
        alice.next_event("chat:online_users").await.unwrap();
    }
    // The user, the session, its rooms, the missed entries, and the profiles of the online users.
    let calls = calls_since(&store, before);
    assert!(calls <= 5, "{calls}");
}

#[tokio::test]
async fn reads_of_a_closed_connection_are_not_carried_out() {
    let recorder = DebuggingRecorder::new();
    let recording = metrics::set_default_local_recorder(&recorder);
    let (store, server) = on_flaky().await;
    drop(recording);
    let mut figures = Figures::of(&recorder);
    let alice = server.joined("alice", "lobby").await;
    let held = store.hooks.listing.lock().await;
    for _ in 0..50 {
        alice.emit("chat:inbox", &json!({})).await.unwrap();
    }
    while store.hooks.inboxes.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    alice.cut().await;
    figures.until(|figures| figures.closed == 1).await;
    drop(held);
    while server.chat.stats().connections > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        store.hooks.inboxes.load(Ordering::SeqCst),
        1,
        "the read in progress ends, no other begins"
    );
}
