//! Catching up: inbox, sync, and unread updates for rooms without a subscription.

use std::sync::Arc;

use roomful_store::Retention;
use roomful_testkit::SioClient;
use serde_json::{Value, json};

use crate::fixture::{START, Server, claims, failed, ok, send, seqs, settle};

async fn inbox(client: &SioClient, payload: Value) -> Value {
    ok(client.call("chat:inbox", &payload).await)
}

async fn sync(client: &SioClient, rooms: Value) -> Value {
    ok(client.call("chat:sync", &json!({ "rooms": rooms })).await)["rooms"].clone()
}

fn names(inbox: &Value) -> Vec<&str> {
    let rooms = inbox["rooms"].as_array().unwrap();
    rooms.iter().map(|room| room["room"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_inbox_lists_every_room_with_last_message_and_unread_count() {
    let server = Server::start().await;
    let alice = server.joined("alice", "one").await;
    let bob = server.joined("bob", "one").await;
    ok(alice.call("chat:join", &json!("two")).await);
    ok(bob.call("chat:join", &json!("two")).await);
    ok(bob.call("chat:join", &json!("empty")).await);
    server.clock.advance(1);
    let mention = json!({ "room": "two", "text": "bob!", "mentions": ["bob", "carol"] });
    ok(alice.call("chat:send_message", &mention).await);
    ok(alice.call("chat:send_message", &mention).await);
    server.clock.advance(1);
    send(&alice, "one", "hi").await;
    send(&bob, "one", "hi").await;
    let edit = json!({ "room": "one", "seq": 2, "text": "hello" });
    ok(bob.call("chat:edit_message", &edit).await);
    ok(bob
        .call("chat:message_read", &json!({ "room": "two", "seq": 1 }))
        .await);

    let whole = inbox(&bob, json!({})).await;
    assert_eq!(names(&whole), ["one", "two", "empty"]);
    assert!(whole.get("next").is_none());
    let line = |room: &Value| {
        let keys = ["head", "unread", "mentions", "readSeq", "deliveredSeq"];
        json!(keys.map(|key| room[key].clone()))
    };
    assert_eq!(line(&whole["rooms"][0]), json!([3, 1, 0, 0, 0]));
    assert_eq!(line(&whole["rooms"][1]), json!([2, 1, 1, 1, 1]));
    assert_eq!(line(&whole["rooms"][2]), json!([0, 0, 0, 0, 0]));
    assert_eq!(whole["rooms"][2]["lastMessage"], Value::Null);
    let last = &whole["rooms"][0]["lastMessage"];
    assert_eq!(
        (&last["seq"], &last["text"], &last["editedAt"]),
        (&json!(2), &json!("hello"), &json!(START + 2))
    );
    let history = ok(bob.call("chat:get_history", &json!("one")).await);
    assert_eq!(
        *last, history["messages"][1],
        "inbox and history show the same message"
    );

    let first = inbox(&bob, json!({ "limit": 2 })).await;
    assert_eq!(names(&first), ["one", "two"]);
    let rest = inbox(&bob, json!({ "limit": 2, "after": first["next"] })).await;
    assert_eq!((names(&rest), rest.get("next")), (vec!["empty"], None));
    for after in [json!("1"), json!("x.y"), json!(7), json!("")] {
        let answer = bob.call("chat:inbox", &json!({ "after": after })).await;
        failed(answer, "invalid_request");
    }
    // A narrower token shows fewer rooms.
    let mut narrow = claims("bob");
    narrow["rooms"] = json!(["t*"]);
    let narrow = server.connect_with(&narrow).await;
    assert_eq!(names(&inbox(&narrow, json!({})).await), ["two"]);
    let stranger = server.connect("carol").await;
    assert_eq!(inbox(&stranger, json!({})).await, json!({ "rooms": [] }));
}

#[tokio::test]
async fn a_sync_catches_up_and_subscribes_every_room() {
    let server = Server::start().await;
    let alice = server.joined("alice", "one").await;
    ok(alice.call("chat:join", &json!("two")).await);
    ok(alice.call("chat:join", &json!("alices own")).await);
    let bob = server.joined("bob", "one").await;
    let epoch = ok(bob.call("chat:join", &json!("two")).await)["epoch"].clone();
    for n in 1..=3 {
        send(&alice, "one", &n.to_string()).await;
        send(&alice, "two", &n.to_string()).await;
    }
    ok(alice
        .call("chat:react", &json!({ "room": "two", "seq": 1, "emoji": "+1" }))
        .await);
    drop(bob);

    let bob = server.connect("bob").await;
    let synced = sync(
        &bob,
        json!([
            { "room": "two", "epoch": epoch, "since": 2 },
            { "room": "alices own", "epoch": "x", "since": 0 },
            { "room": "no such room", "epoch": "x", "since": 0 },
            { "room": "one", "epoch": "another", "since": 2 },
        ]),
    )
    .await;
    let two = &synced[0];
    assert_eq!((seqs(&two["messages"]), &two["head"]), (vec![3], &json!(4)));
    assert_eq!((&two["more"], &two["reset"]), (&json!(false), &json!(false)));
    assert_eq!(two["changes"][0]["logSeq"], 4);
    for refused in [&synced[1], &synced[2]] {
        assert_eq!(refused["error"]["code"], "forbidden", "{refused}");
        assert!(refused.get("messages").is_none());
    }
    let one = &synced[3];
    assert_eq!(
        (seqs(&one["messages"]), &one["reset"]),
        (vec![1, 2, 3], &json!(true))
    );

    send(&alice, "one", "live").await;
    send(&alice, "two", "live").await;
    send(&alice, "alices own", "not for bob").await;
    settle(&bob).await;
    let rooms: Vec<_> = bob
        .drain("chat:receive_message")
        .iter()
        .map(|m| m["room"].clone())
        .collect();
    assert_eq!(json!(rooms), json!(["one", "two"]));
    // A second sync on a live socket repeats nothing.
    sync(&bob, json!([{ "room": "one", "since": 4 }])).await;
    send(&alice, "one", "once").await;
    settle(&bob).await;
    assert_eq!(bob.drain("chat:receive_message").len(), 1);
    let online = ok(alice.call("chat:get_online_users", &json!("one")).await);
    assert_eq!(online["users"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_sync_reports_every_gap() {
    let server = Server::with(|config| {
        config.rates.enabled = false;
        config.sync_bytes = 600;
        config.limits.rooms_per_sync = 3;
    })
    .await;
    let alice = server.joined("alice", "one").await;
    let epoch = |joined: &Value| joined["epoch"].clone();
    let one = epoch(&ok(alice.call("chat:join", &json!("one")).await));
    let two = epoch(&ok(alice.call("chat:join", &json!("two")).await));
    for n in 1..=5 {
        send(&alice, "one", &n.to_string()).await;
        send(&alice, "two", &n.to_string()).await;
    }
    // The first room fills the answer, so the second one says `more`.
    let ask = json!([
        { "room": "one", "epoch": one, "since": 2 },
        { "room": "two", "epoch": two, "since": 2 },
    ]);
    let synced = sync(&alice, ask).await;
    assert_eq!(
        (seqs(&synced[0]["messages"]), &synced[0]["more"]),
        (vec![3, 4, 5], &json!(false))
    );
    assert_eq!(
        (seqs(&synced[1]["messages"]), &synced[1]["more"]),
        (vec![], &json!(true))
    );
    assert_eq!(
        (&synced[1]["reset"], &synced[1]["head"]),
        (&json!(false), &json!(5))
    );

    let kept = Retention {
        max_entries: 2,
        ..Retention::default()
    };
    server.store.trim(kept, START).await.unwrap();
    for (since, expected, reset) in [
        (2, vec![4, 5], true),
        (3, vec![4, 5], false),
        (9, vec![4, 5], true),
    ] {
        let synced = sync(&alice, json!([{ "room": "one", "epoch": one, "since": since }])).await;
        assert_eq!(
            (seqs(&synced[0]["messages"]), &synced[0]["reset"]),
            (expected, &json!(reset))
        );
    }
    let room = |n: u32| json!({ "room": n.to_string(), "since": 0 });
    for rooms in [
        json!([room(1), room(2), room(3), room(4)]),
        json!([room(1), room(1)]),
        json!([7]),
        json!("one"),
    ] {
        failed(
            alice.call("chat:sync", &json!({ "rooms": rooms })).await,
            "invalid_request",
        );
    }
    assert_eq!(sync(&alice, json!([])).await, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_during_a_burst_has_no_gap_and_no_duplicate() {
    let server = Arc::new(Server::with(|config| config.rates.enabled = false).await);
    let reader = server.joined("reader", "a").await;
    ok(reader.call("chat:join", &json!("b")).await);
    let mut senders = Vec::new();
    for room in ["a", "b"] {
        let sender = server.joined(&format!("sender-{room}"), room).await;
        senders.push(tokio::spawn(async move {
            for n in 0..150 {
                send(&sender, room, &n.to_string()).await;
            }
        }));
    }
    let mut known = [0u64, 0];
    while known != [150, 150] {
        let ask = json!([{ "room": "a", "since": known[0] }, { "room": "b", "since": known[1] }]);
        let synced = sync(&reader, ask).await;
        for (known, room) in known.iter_mut().zip(synced.as_array().unwrap()) {
            let head = room["head"].as_u64().unwrap();
            assert!(
                seqs(&room["messages"]).into_iter().eq(*known + 1..=head),
                "{room}"
            );
            *known = head;
        }
    }
    for sender in senders {
        sender.await.unwrap();
    }
    settle(&reader).await;
    let received = reader.drain("chat:receive_message");
    for room in ["a", "b"] {
        let messages = received.iter().filter(|message| message["room"] == room);
        let seqs = messages.map(|message| message["seq"].as_u64().unwrap());
        assert!(seqs.eq(1..=150), "live events stay live, without duplicates");
    }
}

#[tokio::test]
async fn unsubscribed_sockets_get_unread_updates() {
    let server = Server::with(|config| config.rates.enabled = false).await;
    let alice = server.joined("alice", "lobby").await;
    let desk = server.joined("bob", "lobby").await;
    let phone = server.connect("bob").await;
    let mut narrow = claims("bob");
    narrow["rooms"] = json!(["elsewhere"]);
    let narrow = server.connect_with(&narrow).await;
    let mention = json!({ "room": "lobby", "text": "bob!", "mentions": ["bob"] });
    ok(alice.call("chat:send_message", &mention).await);
    send(&alice, "lobby", "2").await;
    send(&desk, "lobby", "3").await;
    settle(&phone).await;
    assert!(
        phone.drain("chat:unread").is_empty(),
        "updates within the interval are merged"
    );
    server.clock.advance(1_000);
    // Counts, head, the seq of the last message, and the cause.
    let next = async || {
        let event = phone.next_event("chat:unread").await.unwrap();
        assert_eq!(event["room"], "lobby");
        let (counts, last) = (
            [&event["unread"], &event["mentions"], &event["head"]],
            &event["lastMessage"],
        );
        json!([counts, last["seq"], last["deleted"], event["cause"]])
    };
    assert_eq!(next().await, json!([[2, 1, 3], 3, null, "sent"]));
    ok(desk
        .call("chat:message_read", &json!({ "room": "lobby", "seq": 1 }))
        .await);
    // This update comes at once.
    assert_eq!(next().await, json!([[1, 0, 3], 3, null, "read"]));
    ok(alice
        .call("chat:delete_message", &json!({ "room": "lobby", "seq": 2 }))
        .await);
    server.clock.advance(1_000);
    assert_eq!(next().await, json!([[0, 0, 4], 3, null, "sent"]));
    // An edit changes no count, so no update follows.
    ok(alice
        .call("chat:react", &json!({ "room": "lobby", "seq": 1, "emoji": "+1" }))
        .await);
    server.clock.advance(1_000);
    send(&alice, "lobby", "6").await;
    server.clock.advance(1_000);
    assert_eq!(next().await, json!([[1, 0, 6], 6, null, "message"]));
    for client in [&phone, &alice, &desk, &narrow] {
        settle(client).await;
        assert!(client.drain("chat:unread").is_empty());
    }
}

#[tokio::test]
async fn a_user_in_many_rooms_is_online_and_gets_unread_updates_in_all_of_them() {
    let server = Server::start().await;
    let alice = server.joined("alice", "room-0").await;
    for i in 0..250 {
        let room = format!("room-{i}");
        server
            .chat
            .put_room(&room, roomful_store::RoomChange::default(), None)
            .await
            .unwrap();
        server.chat.put_member(&room, "bob", None).await.unwrap();
    }
    let bob = server.connect("bob").await;
    settle(&bob).await;
    let online = ok(alice.call("chat:get_online_users", &json!("room-0")).await);
    assert_eq!(
        online["users"].as_array().unwrap().len(),
        2,
        "the oldest room counts"
    );
    send(&alice, "room-0", "hello").await;
    server.clock.advance(1_000);
    let unread = bob.next_event("chat:unread").await.unwrap();
    assert_eq!(unread["room"], "room-0");
    assert_eq!(unread["unread"], 1);
}
