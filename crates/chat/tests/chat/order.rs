//! Order and durability: acked messages are stored, delivered seqs are dense, and a failing store loses
//! nothing.

use std::sync::{Arc, atomic::Ordering};

use roomful_testkit::SioClient;
use serde_json::{Value, json};

use crate::{
    fixture::{Server, claims, failed, ok, send, settle},
    flaky::on_flaky,
    recovery::{come_back, lose},
};

fn seq(message: &Value) -> u64 {
    message["seq"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_join_during_a_burst_has_no_gap_and_no_duplicate() {
    let server = Arc::new(Server::with(|config| config.rates.enabled = false).await);
    let mut senders = Vec::new();
    for n in 0..4 {
        let sender = server.joined(&format!("sender-{n}"), "lobby").await;
        senders.push(tokio::spawn(async move {
            for n in 0..100 {
                send(&sender, "lobby", &n.to_string()).await;
            }
            sender
        }));
    }
    let mut readers = Vec::new();
    for n in 0..8 {
        let server = Arc::clone(&server);
        readers.push(tokio::spawn(async move {
            let reader = server.connect(&format!("reader-{n}")).await;
            let ask = json!({ "room": "lobby", "limit": 5 });
            let mut from = seq_head(&ok(reader.call("chat:join", &ask).await));
            // Joining again during the burst must not disturb the sequence.
            for _ in 0..3 {
                let joined = ok(reader.call("chat:join", &ask).await);
                from = check(&reader, from, seq_head(&joined));
            }
            (reader, from)
        }));
    }
    for sender in senders {
        sender.await.unwrap();
    }
    for reader in readers {
        let (reader, from) = reader.await.unwrap();
        settle(&reader).await;
        assert_eq!(check(&reader, from, 400), 400);
    }
}

fn seq_head(joined: &Value) -> u64 {
    let head = joined["head"].as_u64().unwrap();
    let messages = joined["messages"].as_array().unwrap();
    assert_eq!(messages.last().map_or(0, seq), head, "history reaches the head");
    head
}

/// Checks that the received seqs follow `from` densely and reach `head`. Returns the newest one.
fn check(reader: &SioClient, from: u64, head: u64) -> u64 {
    let mut last = from;
    for message in reader.drain("chat:receive_message") {
        assert_eq!(seq(&message), last + 1);
        last = seq(&message);
    }
    assert!(last >= head, "{last} came before an answer that says {head}");
    last
}

#[tokio::test]
async fn sends_of_one_connection_keep_their_order() {
    let server = Server::with(|config| config.rates.enabled = false).await;
    let alice = server.joined("alice", "lobby").await;
    for n in 0..200 {
        alice
            .emit(
                "chat:send_message",
                &json!({ "room": "lobby", "text": n.to_string() }),
            )
            .await
            .unwrap();
    }
    // Events other than sends take effect after all earlier sends.
    let history = ok(alice
        .call("chat:get_history", &json!({ "room": "lobby", "limit": 200 }))
        .await);
    let texts: Vec<_> = history["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["text"].clone())
        .collect();
    assert_eq!(texts, (0..200).map(|n| json!(n.to_string())).collect::<Vec<_>>());
    let received: Vec<_> = alice.drain("chat:receive_message").iter().map(seq).collect();
    assert_eq!(received, (1..=200).collect::<Vec<_>>());
}

#[tokio::test]
async fn draining_waits_for_accepted_sends() {
    let server = Server::with(|config| config.rates.enabled = false).await;
    let alice = server.joined("alice", "lobby").await;
    for n in 0..50 {
        alice
            .emit(
                "chat:send_message",
                &json!({ "room": "lobby", "text": n.to_string() }),
            )
            .await
            .unwrap();
    }
    alice.next_event("chat:receive_message").await.unwrap();
    server.chat.drain().await;
    let seen = server.store.users(&["alice".to_owned()]).await.unwrap();
    assert_eq!(
        seen[0].last_seen,
        crate::fixture::START,
        "an online user is last seen at shutdown"
    );
}

#[tokio::test]
async fn a_status_is_announced_only_if_stored_and_never_guessed() {
    let (store, server) = on_flaky().await;
    let alice = server.joined("alice", "lobby").await;
    let bob = server.joined("bob", "lobby").await;
    alice.next_event("presence:online").await.unwrap();
    store.hooks.mode.store(1, Ordering::SeqCst);
    let away = json!({ "status": "away" });
    failed(bob.call("presence:set_status", &away).await, "unavailable");
    ok(alice.call("chat:get_history", &json!("lobby")).await);
    assert!(alice.drain("presence:status").is_empty());

    // The server refuses a user of unknown visibility, who may be invisible.
    let auth =
        json!({ "token": roomful_testkit::token::with_claims(crate::fixture::SECRET, &claims("carol")) });
    // It closes the transport instead of refusing, since stock clients give up after a refusal. It then
    // accepts no connection for a while.
    let lost = server.try_connect(&auth).await.unwrap_err();
    assert!(matches!(lost, roomful_testkit::Error::Closed { .. }), "{lost}");
    store.hooks.mode.store(0, Ordering::SeqCst);
    let handshake = "/socket.io/?EIO=4&transport=polling";
    let status = async || {
        roomful_testkit::http::get(server.addr, handshake)
            .await
            .unwrap()
            .status
    };
    assert_eq!(status().await, 503);
    server.clock.advance(1_000);
    assert_eq!(status().await, 200);
    ok(bob.call("presence:set_status", &away).await);
    assert_eq!(
        alice.next_event("presence:status").await.unwrap()["status"],
        "away"
    );
    let carol = server.joined("carol", "lobby").await;
    assert_eq!(
        alice.next_event("presence:online").await.unwrap()["userId"],
        "carol"
    );
    settle(&carol).await;
}

#[tokio::test]
async fn a_connection_lost_during_a_store_failure_is_recoverable_afterwards() {
    let (store, server) = on_flaky().await;
    let alice = server.joined("alice", "lobby").await;
    for beats in [0, 2] {
        let bob = server.joined("bob", "lobby").await;
        store.hooks.mode.store(1, Ordering::SeqCst);
        let (claim, _) = lose(&server, bob).await;
        while store.hooks.untold.swap(0, Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        store.hooks.mode.store(0, Ordering::SeqCst);
        // Independent of whether the store has learnt of the loss.
        for _ in 0..beats {
            server.clock.advance(5_000);
            settle(&alice).await;
        }
        let missed = send(&alice, "lobby", "missed").await;
        let (bob, recovered) = come_back(&server, "bob", &claim).await;
        assert!(recovered);
        assert_eq!(
            seq(&bob.next_event("chat:receive_message").await.unwrap()),
            seq(&missed)
        );
    }
}

#[tokio::test]
async fn sends_fail_with_the_store_and_committed_ones_are_delivered_in_order() {
    let (store, server) = on_flaky().await;
    let alice = server.joined("alice", "lobby").await;
    let bob = server.joined("bob", "lobby").await;
    let message = |n: u64| json!({ "room": "lobby", "text": n.to_string(), "clientId": n.to_string() });
    ok(alice.call("chat:send_message", &message(1)).await);

    store.hooks.mode.store(1, Ordering::SeqCst);
    let error = failed(alice.call("chat:send_message", &message(2)).await, "unavailable");
    assert_eq!(error["retryable"], true);
    ok(bob.call("chat:get_history", &json!("lobby")).await);

    store.hooks.mode.store(2, Ordering::SeqCst);
    failed(alice.call("chat:send_message", &message(2)).await, "unavailable");

    store.hooks.mode.store(0, Ordering::SeqCst);
    assert_eq!(ok(bob.call("chat:send_message", &message(3)).await)["seq"], 3);
    let retried = ok(alice.call("chat:send_message", &message(2)).await);
    assert_eq!(
        (&retried["seq"], &retried["duplicate"]),
        (&json!(2), &json!(true))
    );
    settle(&bob).await;
    let received: Vec<_> = bob.drain("chat:receive_message").iter().map(seq).collect();
    assert_eq!(received, [1, 2, 3]);
}
