//! Leaving and deleting rooms across nodes.

use std::{sync::atomic::Ordering, time::Duration};

use roomful_chat::admin::Impose;
use roomful_store::{Role, RoomChange, RoomKind, SanctionKind};
use roomful_testkit::token;
use serde_json::{Value, json};

use super::{Nodes, is_closed, isolated_nodes, isolated_nodes_on_flaky};
use crate::fixture::{SECRET, START, claims, failed, ok, send, settle};

#[tokio::test]
async fn leaving_or_removing_on_one_node_takes_effect_on_all() {
    let nodes = Nodes::start(2).await;
    let alice = nodes[0].joined("alice", "lobby").await;
    let tablet = nodes[1].joined("alice", "lobby").await;
    let bob = nodes[1].joined("bob", "lobby").await;
    ok(alice.call("chat:leave", &json!("lobby")).await);
    assert_eq!(
        bob.next_event("chat:member_left").await.unwrap()["userId"],
        "alice"
    );
    // The tablet is out as well, as soon as its node applies the entry.
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
async fn a_later_connection_survives_an_earlier_disconnect_order() {
    let (here, there, _data) = isolated_nodes(Duration::from_hours(1)).await;
    let alice = there.joined("alice", "lobby").await;
    let before = there.connect("bob").await;
    here.chat.disconnect_user("bob").await.unwrap();
    // The other node has not applied it yet. Alice's message brings it there.
    let after = there.connect("bob").await;
    send(&alice, "lobby", "hello").await;
    is_closed(&before).await;
    settle(&after).await;
}

#[tokio::test]
async fn deleting_a_room_on_one_node_takes_effect_on_all() {
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
    nodes[0].chat.put_room("lobby", change, None).await.unwrap();
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
async fn a_room_is_deleted_on_all_nodes_or_none() {
    let (here, there, store, _data) = isolated_nodes_on_flaky(Duration::from_millis(50)).await;
    for (mode, name) in [(1, "stays"), (2, "goes")] {
        let clients = [here.joined("alice", name).await, there.joined("bob", name).await];
        store.hooks.mode.store(mode, Ordering::SeqCst);
        let failed = here.chat.delete_room(name).await;
        assert!(failed.is_err(), "{failed:?}");
        store.hooks.mode.store(0, Ordering::SeqCst);
        if mode == 1 {
            // The failed deletion can be repeated.
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

#[tokio::test]
async fn a_user_learns_of_added_and_removed_rooms_on_every_node() {
    let nodes = Nodes::start(2).await;
    let (here, there) = (nodes[0].connect("bob").await, nodes[1].connect("bob").await);
    let mallory = nodes[1].joined("mallory", "dm").await;
    let private = RoomChange {
        kind: Some(RoomKind::Private),
        history: None,
    };
    let members = Some(vec!["alice".to_owned(), "bob".to_owned()]);
    nodes[0].chat.put_room("dm", private, members).await.unwrap();
    for client in [&here, &there] {
        assert_eq!(client.next_event("chat:room_added").await.unwrap()["room"], "dm");
    }
    let removed = mallory.next_event("chat:room_removed").await.unwrap();
    assert_eq!(removed, json!({ "room": "dm", "reason": "removed" }));
    failed(mallory.call("chat:get_history", &json!("dm")).await, "forbidden");

    ok(there.call("chat:join", &json!("dm")).await);
    ok(there.call("chat:leave", &json!("dm")).await);
    nodes[0].chat.put_member("dm", "bob", None).await.unwrap();
    nodes[1].chat.delete_room("dm").await.unwrap();
    for client in [&here, &there] {
        for reason in ["left", "deleted"] {
            let removed = client.next_event("chat:room_removed").await.unwrap();
            assert_eq!(removed, json!({ "room": "dm", "reason": reason }));
        }
    }
}

#[tokio::test]
async fn a_token_in_use_on_another_node_does_not_survive_a_revocation_by_its_date() {
    let nodes = Nodes::start(2).await;
    let now = START / 1000;
    let claims = json!({ "sub": "bob", "exp": now + 3_600, "iat": now + 9 });
    let bob = nodes[1].connect_with(&claims).await;
    let revoked = nodes[0].chat.revoke_user("bob").await.unwrap();
    assert_eq!(revoked.before, (now + 1) * 1000);
    is_closed(&bob).await;
    // The other node has the token in use, so it moves the revocation behind its date.
    while nodes.store.revoked("bob").await.unwrap() != Some((now + 10) * 1000) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_ban_on_one_node_takes_effect_on_all() {
    let nodes = Nodes::start(2).await;
    let alice = nodes[0].joined("alice", "lobby").await;
    let bob = nodes[1].joined("bob", "lobby").await;
    nodes[0]
        .chat
        .put_member("lobby", "alice", Some(Role::Moderator))
        .await
        .unwrap();
    let ban = json!({ "room": "lobby", "action": "ban", "userId": "bob" });
    ok(alice.call("chat:moderate", &ban).await);
    // The store refuses the message, whether or not the other node has applied the ban.
    let message = json!({ "room": "lobby", "text": "?" });
    failed(bob.call("chat:send_message", &message).await, "banned");
    let removed = bob.next_event("chat:room_removed").await.unwrap();
    assert_eq!(removed, json!({ "room": "lobby", "reason": "banned" }));
    assert_eq!(bob.next_event("chat:moderation").await.unwrap()["action"], "ban");
    failed(bob.call("chat:join", &json!("lobby")).await, "banned");

    let carol = nodes[1].joined("carol", "lobby").await;
    let everywhere = Impose {
        room: None,
        user_id: "carol".into(),
        kind: SanctionKind::Ban,
        until: None,
        reason: None,
        actor: "key:test".into(),
    };
    nodes[0].chat.impose(everywhere).await.unwrap();
    assert_eq!(carol.next_event("session:ended").await.unwrap()["code"], "banned");
    is_closed(&carol).await;
    let token = token::with_claims(SECRET, &claims("carol"));
    for node in 0..2 {
        let refused = nodes[node].try_connect(&json!({ "token": token })).await;
        assert!(refused.is_err(), "node {node}");
    }
}

#[tokio::test]
async fn a_new_role_reaches_all_devices_of_the_user_and_those_that_return() {
    let nodes = Nodes::start(2).await;
    let alice = nodes[1].joined("alice", "lobby").await;
    let phone = nodes[0].joined("bob", "lobby").await;
    let tablet = nodes[1].connect("bob").await;
    let put = |role| nodes[0].chat.put_member("lobby", "bob", Some(role));
    for (role, name) in [(Role::Moderator, "moderator"), (Role::Member, "member")] {
        put(role).await.unwrap();
        // The same again is no change.
        put(role).await.unwrap();
        for device in [&phone, &tablet] {
            let state = device.next_event("chat:room_state").await.unwrap();
            assert_eq!((&state["room"], &state["role"]), (&json!("lobby"), &json!(name)));
        }
    }
    send(&alice, "lobby", "hi").await;
    phone.next_event("chat:receive_message").await.unwrap();
    for client in [&alice, &phone, &tablet] {
        settle(client).await;
        assert_eq!(client.drain("chat:room_state"), [] as [Value; 0]);
    }
}

#[tokio::test]
async fn a_removed_member_writes_nothing_on_a_node_that_has_not_heard_of_it() {
    let (here, there, _data) = isolated_nodes(Duration::from_hours(1)).await;
    let bob = there.joined("bob", "lobby").await;
    send(&bob, "lobby", "hi").await;
    here.chat.remove_member("lobby", "bob").await.unwrap();
    let message = json!({ "room": "lobby", "text": "still here" });
    failed(bob.call("chat:send_message", &message).await, "forbidden");
    let reaction = json!({ "room": "lobby", "seq": 1, "emoji": "+" });
    failed(bob.call("chat:react", &reaction).await, "forbidden");
    let delete = json!({ "room": "lobby", "seq": 1 });
    failed(bob.call("chat:delete_message", &delete).await, "forbidden");
}
