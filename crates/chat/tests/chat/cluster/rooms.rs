//! Rooms that are left, or deleted, over nodes.

use std::{sync::atomic::Ordering, time::Duration};

use roomful_store::{RoomChange, RoomKind};
use serde_json::json;

use super::{Nodes, is_closed, strangers, strangers_on_flaky};
use crate::fixture::{START, failed, ok, send, settle};

#[tokio::test]
async fn who_leaves_or_is_sent_away_on_one_node_is_gone_from_all() {
    let nodes = Nodes::start(2).await;
    let alice = nodes[0].joined("alice", "lobby").await;
    let tablet = nodes[1].joined("alice", "lobby").await;
    let bob = nodes[1].joined("bob", "lobby").await;
    ok(alice.call("chat:leave", &json!("lobby")).await);
    assert_eq!(
        bob.next_event("chat:member_left").await.unwrap()["userId"],
        "alice"
    );
    // The tablet is out, too, as soon as its node has heard of it.
    loop {
        let typing = tablet.call("chat:typing_start", &json!("lobby")).await.unwrap();
        if typing["ok"] == false {
            break;
        }
    }
    send(&bob, "lobby", "nobody else hears this").await;
    settle(&tablet).await;
    assert!(tablet.drain("chat:receive_message").is_empty());

    nodes[0].chat.disconnect_user("alice").await.unwrap();
    is_closed(&tablet).await;
    let revoked = nodes[0].chat.revoke_user("bob").await.unwrap();
    assert!(revoked.before > START);
    is_closed(&bob).await;
}

#[tokio::test]
async fn who_came_after_they_were_sent_away_stays() {
    let (here, there, _data) = strangers(Duration::from_hours(1)).await;
    let alice = there.joined("alice", "lobby").await;
    let before = there.connect("bob").await;
    here.chat.disconnect_user("bob").await.unwrap();
    // The other node has not heard of it yet, and comes to it with what Alice says.
    let after = there.connect("bob").await;
    send(&alice, "lobby", "hello").await;
    is_closed(&before).await;
    settle(&after).await;
}

#[tokio::test]
async fn a_room_that_is_deleted_on_one_node_is_gone_from_all() {
    let nodes = Nodes::start(2).await;
    let alice = nodes[0].joined("alice", "lobby").await;
    let bob = nodes[1].joined("bob", "lobby").await;
    nodes[0].chat.delete_room("lobby").await.unwrap();
    for client in [&alice, &bob] {
        assert_eq!(
            client.next_event("chat:room_deleted").await.unwrap()["room"],
            "lobby"
        );
    }
    let change = RoomChange {
        kind: Some(RoomKind::Private),
        history: None,
    };
    nodes[0].chat.put_room("lobby", change).await.unwrap();
    failed(
        bob.call("chat:send_message", &json!({ "room": "lobby", "text": "?" }))
            .await,
        "forbidden",
    );
    let rooms = nodes[1].chat.rooms(None, 10).await.unwrap();
    assert_eq!(
        rooms.iter().map(|room| &*room.name).collect::<Vec<_>>(),
        ["lobby"]
    );
}

#[tokio::test]
async fn a_room_is_deleted_on_all_nodes_or_on_none() {
    let (here, there, store, _data) = strangers_on_flaky(Duration::from_millis(50)).await;
    for (mode, name) in [(1, "stays"), (2, "goes")] {
        let clients = [here.joined("alice", name).await, there.joined("bob", name).await];
        store.mode.store(mode, Ordering::SeqCst);
        let failed = here.chat.delete_room(name).await;
        assert!(failed.is_err(), "{failed:?}");
        store.mode.store(0, Ordering::SeqCst);
        if mode == 1 {
            // It was not done, and can be done again.
            for client in &clients {
                send(client, name, "still here").await;
            }
            here.chat.delete_room(name).await.unwrap();
        }
        for client in &clients {
            client.next_event("chat:room_deleted").await.unwrap();
            let ask = json!({ "room": name });
            assert_eq!(ok(client.call("chat:join", &ask).await)["head"], 0);
        }
    }
}
