//! Joining, sending, reading history, retrying, marking as read, leaving.

use futures_util::future::join_all;
use roomful_chat::{ErrorCode, RoomPattern};
use roomful_store::{Options, Retention, Role, RoomChange, RoomKind};
use roomful_testkit::SioClient;
use serde_json::{Value, json};

use crate::fixture::{START, Server, claims, failed, ok, send, seqs, settle};

async fn join(client: &SioClient, payload: Value) -> Value {
    ok(client.call("chat:join", &payload).await)
}

#[tokio::test]
async fn a_message_reaches_all_subscribers_including_the_sender() {
    let server = Server::start().await;
    let alice = server.joined("alice", "lobby").await;
    let bob = server.joined("bob", "lobby").await;
    let carol = server.joined("carol", "elsewhere").await;
    let payload = json!({
        "room": "lobby", "text": "hi <b>", "clientId": "c1", "mentions": ["bob", "bob"],
        "metadata": { "colour": "red", "n": [1, 2.5, null] }, "unknown": true,
    });
    let sent = ok(alice.call("chat:send_message", &payload).await);
    let id = sent["id"].as_str().unwrap();
    assert_eq!(
        sent,
        json!({ "id": id, "room": "lobby", "seq": 1, "at": START, "duplicate": false })
    );
    let expected = json!({
        "id": id, "room": "lobby", "seq": 1,
        "userId": "alice", "name": "The alice", "at": START, "clientId": "c1",
        "text": "hi <b>", "mentions": ["bob"], "metadata": { "colour": "red", "n": [1, 2.5, null] },
    });
    assert_eq!(alice.next_event("chat:receive_message").await.unwrap(), expected);
    assert_eq!(bob.next_event("chat:receive_message").await.unwrap(), expected);
    let reply = json!({ "room": "lobby", "text": "hello", "replyTo": 1 });
    ok(bob.call("chat:send_message", &reply).await);
    let received = alice.next_event("chat:receive_message").await.unwrap();
    assert_eq!((&received["replyTo"], &received["seq"]), (&json!(1), &json!(2)));
    assert!(received.get("clientId").is_none() && received.get("metadata").is_none());
    let history = ok(carol.call("chat:join", &json!("lobby")).await);
    assert_eq!(history["messages"][0], expected);
    settle(&carol).await;
    assert!(carol.drain("chat:receive_message").is_empty());
}

#[tokio::test]
async fn a_retry_gets_the_first_ack_and_a_different_body_conflicts() {
    let server = Server::start().await;
    let alice = server.joined("alice", "lobby").await;
    let bob = server.joined("bob", "lobby").await;
    let message = |text: &str| json!({ "room": "lobby", "text": text, "clientId": "c1" });
    let first = ok(alice.call("chat:send_message", &message("hi")).await);
    server.clock.advance(1_000);
    let again = ok(alice.call("chat:send_message", &message("hi")).await);
    assert_eq!(again["duplicate"], true);
    for field in ["id", "seq", "at"] {
        assert_eq!(again[field], first[field]);
    }
    let error = failed(alice.call("chat:send_message", &message("ho")).await, "conflict");
    assert_eq!(error["retryable"], false);
    let of_bob = ok(bob.call("chat:send_message", &message("hi")).await);
    assert_eq!((&of_bob["seq"], &of_bob["duplicate"]), (&json!(2), &json!(false)));
    settle(&bob).await;
    assert_eq!(bob.drain("chat:receive_message").len(), 2);
}

#[tokio::test]
async fn a_retry_may_list_the_mentions_in_another_order() {
    let server = Server::start().await;
    let alice = server.joined("alice", "lobby").await;
    let message =
        |mentions: Value| json!({ "room": "lobby", "text": "hi", "clientId": "c1", "mentions": mentions });
    ok(alice
        .call("chat:send_message", &message(json!(["carol", "bob"])))
        .await);
    let again = ok(alice
        .call("chat:send_message", &message(json!(["bob", "carol", "bob"])))
        .await);
    assert_eq!(again["duplicate"], true);
    failed(
        alice.call("chat:send_message", &message(json!(["bob"]))).await,
        "conflict",
    );
}

#[tokio::test]
async fn every_part_of_a_message_is_bounded() {
    let server = Server::start().await;
    let alice = server.joined("alice", "lobby").await;
    let with = |key: &str, value: Value| {
        let mut message = json!({ "room": "lobby", "text": "hi" });
        message[key] = value;
        message
    };
    for (message, code) in [
        (
            with("text", json!("x".repeat(16 * 1024 + 1))),
            "payload_too_large",
        ),
        (
            with("metadata", json!({ "x": "y".repeat(4 * 1024) })),
            "payload_too_large",
        ),
        (with("text", json!("")), "invalid_request"),
        (with("text", json!(7)), "invalid_request"),
        (with("text", Value::Null), "invalid_request"),
        (with("clientId", json!("")), "invalid_request"),
        (with("clientId", json!("x".repeat(65))), "invalid_request"),
        (with("clientId", json!(7)), "invalid_request"),
        (with("replyTo", json!(1)), "invalid_request"),
        (with("replyTo", json!(0)), "invalid_request"),
        (with("mentions", json!("bob")), "invalid_request"),
        (
            with(
                "mentions",
                json!((0..51).map(|n| n.to_string()).collect::<Vec<_>>()),
            ),
            "invalid_request",
        ),
        (with("metadata", json!([1])), "invalid_request"),
        (with("room", json!("elsewhere")), "forbidden"),
    ] {
        server.clock.advance(1_000);
        failed(alice.call("chat:send_message", &message).await, code);
    }
    let largest = with("text", json!("x".repeat(16 * 1024)));
    assert_eq!(
        ok(alice.call("chat:send_message", &largest).await)["seq"],
        1,
        "refused sends take no seq"
    );
}

#[tokio::test]
async fn history_pages_go_backwards_and_forwards() {
    let server = Server::with(|config| config.rates.enabled = false).await;
    let alice = server.joined("alice", "lobby").await;
    for n in 1..=260 {
        send(&alice, "lobby", &n.to_string()).await;
    }
    let page = async |payload: Value| {
        let page = ok(alice.call("chat:get_history", &payload).await);
        assert!(page["epoch"].as_str().is_some_and(|epoch| !epoch.is_empty()));
        (seqs(&page["messages"]), page["more"].as_bool().unwrap())
    };
    assert_eq!(page(json!("lobby")).await, ((211..=260).collect(), true));
    assert_eq!(
        page(json!({ "room": "lobby", "before": 3 })).await,
        (vec![1, 2], false)
    );
    assert_eq!(
        page(json!({ "room": "lobby", "before": 11, "limit": 2 })).await,
        (vec![9, 10], true)
    );
    assert_eq!(
        page(json!({ "room": "lobby", "after": 257 })).await,
        (vec![258, 259, 260], false)
    );
    assert_eq!(
        page(json!({ "room": "lobby", "after": 0, "limit": 2 })).await,
        (vec![1, 2], true)
    );
    assert_eq!(
        page(json!({ "room": "lobby", "after": 9_999 })).await,
        (vec![], false)
    );
    assert_eq!(
        page(json!({ "room": "lobby", "limit": 1_000_000 })).await,
        ((61..=260).collect(), true)
    );
    assert_eq!(page(json!({ "room": "lobby", "limit": 0 })).await, (vec![], true));
    let bob = server.connect("bob").await;
    for room in ["lobby", "no such room"] {
        failed(bob.call("chat:get_history", &json!(room)).await, "forbidden");
    }
}

#[tokio::test]
async fn a_join_returns_the_rooms_state_and_resumes_from_since() {
    let server = Server::start().await;
    let alice = server.joined("alice", "lobby").await;
    for n in 1..=5 {
        send(&alice, "lobby", &n.to_string()).await;
    }
    let bob = server.connect("bob").await;
    let fresh = join(&bob, json!("lobby")).await;
    assert_eq!(seqs(&fresh["messages"]), [1, 2, 3, 4, 5]);
    let epoch = fresh["epoch"].clone();
    let rest: Vec<_> = [
        "room",
        "head",
        "more",
        "reset",
        "readSeq",
        "deliveredSeq",
        "unread",
        "online",
    ]
    .map(|key| fresh[key].clone())
    .into();
    assert_eq!(json!(rest), json!(["lobby", 5, false, false, 0, 0, 5, 2]));

    let table = [
        (json!({ "since": 3 }), vec![4, 5], false, false),
        (json!({ "since": 3, "epoch": epoch }), vec![4, 5], false, false),
        (json!({ "since": 5, "epoch": epoch }), vec![], false, false),
        (json!({ "since": 0, "limit": 2 }), vec![1, 2], true, false),
        (
            json!({ "since": 3, "epoch": "another" }),
            vec![1, 2, 3, 4, 5],
            false,
            true,
        ),
        (json!({ "since": 6 }), vec![1, 2, 3, 4, 5], false, true),
        (json!({ "limit": 2 }), vec![4, 5], true, false),
        (json!({ "limit": 0 }), vec![], true, false),
    ];
    for (mut payload, expected, more, reset) in table {
        payload["room"] = json!("lobby");
        let joined = join(&bob, payload.clone()).await;
        assert_eq!(seqs(&joined["messages"]), expected, "{payload}");
        assert_eq!(
            (&joined["more"], &joined["reset"]),
            (&json!(more), &json!(reset)),
            "{payload}"
        );
    }
    send(&alice, "lobby", "once").await;
    settle(&bob).await;
    assert_eq!(
        bob.drain("chat:receive_message").len(),
        1,
        "a second join causes no duplicate events"
    );
}

#[tokio::test]
async fn retries_are_recognised_after_their_messages_were_removed() {
    let data = tempfile::tempdir().unwrap();
    let keep_fifty = Options {
        retention: Retention {
            max_entries: 50,
            ..Retention::default()
        },
        ..Options::default()
    };
    let url = format!("sqlite:{}", data.path().join("chat.db").display());
    let store = roomful_store::open(&url, keep_fifty).unwrap();
    let server = Server::on(store, data, |config| config.rates.enabled = false).await;
    let alice = server.joined("alice", "lobby").await;
    let bob = server.joined("bob", "lobby").await;
    let requests = [
        (
            "chat:send_message",
            json!({ "room": "lobby", "clientId": "m", "text": "once" }),
        ),
        (
            "chat:edit_message",
            json!({ "room": "lobby", "clientId": "e", "seq": 1, "text": "twice" }),
        ),
        (
            "chat:react",
            json!({ "room": "lobby", "clientId": "r", "seq": 1, "emoji": "+" }),
        ),
        (
            "chat:delete_message",
            json!({ "room": "lobby", "clientId": "d", "seq": 1 }),
        ),
    ];
    let mut first = Vec::new();
    for (event, request) in &requests {
        first.push(ok(alice.call(event, request).await));
    }
    // 60 others remove them from sight, the rest from the disk.
    for (count, head) in [(60, 64), (100, 165)] {
        for n in 0..count {
            send(&bob, "lobby", &n.to_string()).await;
        }
        for ((event, request), first) in requests.iter().zip(&first) {
            let mut expected = first.clone();
            expected["duplicate"] = json!(true);
            assert_eq!(ok(alice.call(event, request).await), expected, "{event}");
        }
        let next = send(&bob, "lobby", "next").await;
        assert_eq!(next["seq"], head + 1, "nothing was stored");
    }
    // Only a retry may name a removed message, or one that is not there yet.
    for seq in [1, 200] {
        let edit = json!({ "room": "lobby", "clientId": "new", "seq": seq, "text": "hi" });
        failed(alice.call("chat:edit_message", &edit).await, "not_found");
    }
}

#[tokio::test]
async fn a_since_older_than_retention_answers_reset() {
    let server = Server::start().await;
    let alice = server.joined("alice", "lobby").await;
    for n in 1..=5 {
        send(&alice, "lobby", &n.to_string()).await;
    }
    let kept = Retention {
        max_entries: 2,
        ..Default::default()
    };
    server.store.trim(kept, START).await.unwrap();
    let behind = join(&alice, json!({ "room": "lobby", "since": 1 })).await;
    assert_eq!(
        (seqs(&behind["messages"]), &behind["reset"]),
        (vec![4, 5], &json!(true))
    );
    let just_in_time = join(&alice, json!({ "room": "lobby", "since": 3 })).await;
    assert_eq!(
        (seqs(&just_in_time["messages"]), &just_in_time["reset"]),
        (vec![4, 5], &json!(false))
    );
}

#[tokio::test]
async fn a_read_mark_only_grows_and_is_announced_once() {
    let server = Server::start().await;
    let alice = server.joined("alice", "lobby").await;
    let bob = server.joined("bob", "lobby").await;
    let bobs_phone = server.joined("bob", "lobby").await;
    for n in 1..=3 {
        send(&alice, "lobby", &n.to_string()).await;
    }
    let read = async |seq: u64| {
        ok(bob
            .call("chat:message_read", &json!({ "room": "lobby", "seq": seq }))
            .await)
    };
    assert_eq!(
        read(2).await,
        json!({ "room": "lobby", "readSeq": 2, "unread": 1, "mentions": 0 })
    );
    assert_eq!(
        read(1).await,
        json!({ "room": "lobby", "readSeq": 2, "unread": 1, "mentions": 0 })
    );
    assert_eq!(read(2).await["readSeq"], 2);
    let told = json!({ "room": "lobby", "userId": "bob", "seq": 2, "at": START });
    assert_eq!(alice.next_event("chat:message_read").await.unwrap(), told);
    assert_eq!(bobs_phone.next_event("chat:message_read").await.unwrap(), told);
    assert_eq!(
        read(99).await,
        json!({ "room": "lobby", "readSeq": 3, "unread": 0, "mentions": 0 }),
        "limited to the head"
    );
    assert_eq!(alice.next_event("chat:message_read").await.unwrap()["seq"], 3);
    settle(&alice).await;
    settle(&bob).await;
    assert!(alice.drain("chat:message_read").is_empty());
    assert!(
        bob.drain("chat:message_read").is_empty(),
        "the reader's own socket gets only the ack"
    );
    let joined = join(&bob, json!("lobby")).await;
    assert_eq!((&joined["readSeq"], &joined["unread"]), (&json!(3), &json!(0)));
    let mallory = server.connect("mallory").await;
    failed(
        mallory
            .call("chat:message_read", &json!({ "room": "lobby", "seq": 1 }))
            .await,
        "forbidden",
    );
}

/// Several devices of one user set marks at the same time. Others must get the marks in the order of their
/// commits.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn announced_marks_never_decrease_under_concurrent_updates() {
    const MESSAGES: u64 = 600;
    let server = Server::with(|config| config.rates.enabled = false).await;
    let alice = server.joined("alice", "lobby").await;
    let sends = (1..=MESSAGES).map(async |n| send(&alice, "lobby", &n.to_string()).await);
    join_all(sends).await;
    let mut devices = Vec::new();
    for _ in 0..8 {
        devices.push(server.joined("bob", "lobby").await);
    }
    for event in ["chat:message_delivered", "chat:message_read"] {
        let marks = (1..=MESSAGES)
            .zip(devices.iter().cycle())
            .map(async |(seq, device)| {
                ok(device.call(event, &json!({ "room": "lobby", "seq": seq })).await);
            });
        join_all(marks).await;
        settle(&alice).await;
        let told = seqs(&Value::from(alice.drain(event)));
        assert!(told.is_sorted_by(|a, b| a < b), "{event}: {told:?}");
        assert_eq!(told.last(), Some(&MESSAGES), "{event}");
    }
}

#[tokio::test]
async fn leaving_unsubscribes_all_devices() {
    let server = Server::start().await;
    let alice = server.joined("alice", "lobby").await;
    let bob = server.joined("bob", "lobby").await;
    assert_eq!(
        alice.next_event("chat:member_joined").await.unwrap(),
        json!({ "room": "lobby", "userId": "bob" })
    );
    let bobs_phone = server.joined("bob", "lobby").await;
    assert_eq!(
        ok(bob.call("chat:leave", &json!("lobby")).await),
        json!({ "room": "lobby" })
    );
    let left = json!({ "room": "lobby", "userId": "bob" });
    assert_eq!(alice.next_event("chat:member_left").await.unwrap(), left);
    assert_eq!(bobs_phone.next_event("chat:member_left").await.unwrap(), left);
    send(&alice, "lobby", "without bob").await;
    settle(&bobs_phone).await;
    assert!(bobs_phone.drain("chat:receive_message").is_empty());
    failed(
        bobs_phone
            .call("chat:send_message", &json!({ "room": "lobby", "text": "?" }))
            .await,
        "forbidden",
    );
    ok(bob.call("chat:leave", &json!("lobby")).await);
    ok(bob.call("chat:leave", &json!("no such room")).await);
    settle(&alice).await;
    assert!(
        alice.drain("chat:member_joined").is_empty(),
        "a second device causes no second event"
    );
    assert!(
        alice.drain("chat:member_left").is_empty(),
        "leaving without membership causes no event"
    );
}

#[tokio::test]
async fn token_room_patterns_restrict_rooms() {
    let server = Server::start().await;
    let mut narrow = claims("alice");
    narrow["rooms"] = json!(["room-*", "dm:alice:*"]);
    let alice = server.connect_with(&narrow).await;
    ok(alice.call("chat:join", &json!("room-1")).await);
    ok(alice.call("chat:join", &json!("dm:alice:bob")).await);
    for event in [
        "chat:join",
        "chat:leave",
        "chat:get_history",
        "chat:get_online_users",
        "chat:typing_start",
    ] {
        failed(alice.call(event, &json!("lobby")).await, "forbidden");
    }
}

#[tokio::test]
async fn a_setting_forbids_creating_rooms_by_joining() {
    let server = Server::with(|config| config.create_rooms = false).await;
    server.store.open_room("lobby", true, START).await.unwrap();
    let alice = server.connect("alice").await;
    ok(alice.call("chat:join", &json!("lobby")).await);
    failed(alice.call("chat:join", &json!("new")).await, "forbidden");
}

#[tokio::test]
async fn a_member_may_send_without_a_subscription() {
    let server = Server::start().await;
    let alice = server.joined("alice", "lobby").await;
    let phone = server.connect("alice").await;
    send(&phone, "lobby", "from the phone").await;
    assert_eq!(
        alice.next_event("chat:receive_message").await.unwrap()["text"],
        "from the phone"
    );
    settle(&phone).await;
    assert!(phone.drain("chat:receive_message").is_empty());
}

#[tokio::test]
async fn a_room_leaves_memory_with_its_last_subscriber() {
    let server = Server::start().await;
    let alice = server.joined("alice", "one").await;
    ok(alice.call("chat:join", &json!("two")).await);
    assert_eq!(server.chat.stats().rooms, 2);
    ok(alice.call("chat:leave", &json!("one")).await);
    assert_eq!(server.chat.stats().rooms, 1);
    let bob = server.joined("bob", "three").await;
    let watched = ok(bob
        .call("presence:subscribe", &json!({ "users": ["alice"] }))
        .await);
    assert_eq!(watched["users"][0]["status"], "online");
    alice.abort().await;
    // A disconnect ends presence last.
    while server.chat.stats().connections > 1 {
        tokio::task::yield_now().await;
    }
    while server.chat.stats().rooms > 1 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn metadata_reaches_readers_as_written() {
    let server = Server::start().await;
    let alice = server.joined("alice", "lobby").await;
    let metadata = r#"{"z":1.0,"a":{"y":[2,1],"b":12345678901234567890}}"#;
    let text = format!(r#"42["chat:send_message",{{"metadata":{metadata},"room":"lobby","text":"hi"}}]"#);
    alice.send_text(text).await.unwrap();
    alice.next_event("chat:receive_message").await.unwrap();
    let page = server.chat.history("lobby", None, None, None).await.unwrap();
    assert!(page.get().contains(metadata), "{}", page.get());
}

#[tokio::test]
async fn a_join_never_creates_a_reserved_room() {
    let server = Server::with(|config| config.reserved_rooms = [RoomPattern::new("dm:*")].into()).await;
    let alice = server.connect("alice").await;
    let reserved = failed(alice.call("chat:join", &json!("dm:alice:bob")).await, "forbidden");
    let private = RoomChange {
        kind: Some(RoomKind::Private),
        history: None,
    };
    server
        .chat
        .put_room("dm:carol:dave", private, None)
        .await
        .unwrap();
    let private = failed(
        alice.call("chat:join", &json!("dm:carol:dave")).await,
        "forbidden",
    );
    assert_eq!(reserved, private);
    server
        .chat
        .put_room("dm:alice:bob", RoomChange::default(), None)
        .await
        .unwrap();
    ok(alice.call("chat:join", &json!("dm:alice:bob")).await);
    ok(alice.call("chat:join", &json!("lobby")).await);
}

#[tokio::test]
async fn a_setting_lets_newcomers_start_with_nothing_unread() {
    for (start_read, unread) in [(false, 2), (true, 0)] {
        let server = Server::with(|config| config.newcomers_start_read = start_read).await;
        let alice = server.joined("alice", "lobby").await;
        for text in ["one", "two"] {
            send(&alice, "lobby", text).await;
        }
        let bob = server.connect("bob").await;
        let joined = ok(bob.call("chat:join", &json!("lobby")).await);
        assert_eq!(
            (&joined["unread"], &joined["readSeq"]),
            (&json!(unread), &json!(2 - unread))
        );
        ok(bob.call("chat:leave", &json!("lobby")).await);
        send(&alice, "lobby", "three").await;
        let joined = ok(bob.call("chat:join", &json!("lobby")).await);
        assert_eq!(
            joined["unread"],
            unread + 1,
            "a returning member finds the old mark"
        );
        server.chat.put_member("lobby", "carol", None).await.unwrap();
        let carol = server.connect("carol").await;
        let inbox = ok(carol.call("chat:inbox", &json!({})).await);
        assert_eq!(inbox["rooms"][0]["unread"], if start_read { 0 } else { 3 });
    }
}

#[tokio::test]
async fn a_user_may_be_a_member_of_a_limited_number_of_rooms() {
    let server = Server::with(|config| config.rooms_per_user = 2).await;
    let alice = server.joined("alice", "one").await;
    server.chat.put_member("one", "bob", None).await.unwrap();
    ok(alice.call("chat:join", &json!("two")).await);
    let error = failed(alice.call("chat:join", &json!("three")).await, "quota_exceeded");
    assert!(error["message"].as_str().unwrap().contains("2 rooms"), "{error}");
    ok(alice.call("chat:join", &json!("one")).await);
    ok(alice.call("chat:leave", &json!("two")).await);
    ok(alice.call("chat:join", &json!("three")).await);
    server.chat.put_member("three", "bob", None).await.unwrap();
    let offline = server.chat.put_member("four", "bob", None).await;
    assert!(offline.is_err());
    let private = RoomChange {
        kind: Some(RoomKind::Private),
        history: None,
    };
    server.chat.put_room("club", private, None).await.unwrap();
    failed(alice.call("chat:join", &json!("club")).await, "forbidden");
    let full = server.chat.put_member("club", "bob", None).await.unwrap_err();
    assert_eq!(full.code(), ErrorCode::QuotaExceeded);
}

#[tokio::test]
async fn pages_say_what_lies_around_them() {
    let server = Server::start().await;
    let alice = server.joined("alice", "lobby").await;
    for i in 1..=10 {
        send(&alice, "lobby", &format!("{i}")).await;
    }
    let bounds = |page: &Value| {
        let flag = |name: &str| page[name].as_bool().unwrap();
        (
            flag("more"),
            flag("moreBefore"),
            flag("moreAfter"),
            page["upTo"].as_u64().unwrap(),
        )
    };
    let history = async |ask: Value| bounds(&ok(alice.call("chat:get_history", &ask).await));
    assert_eq!(
        history(json!({ "room": "lobby" })).await,
        (false, false, false, 10)
    );
    assert_eq!(
        history(json!({ "room": "lobby", "limit": 3 })).await,
        (true, true, false, 10)
    );
    assert_eq!(
        history(json!({ "room": "lobby", "before": 4 })).await,
        (false, false, true, 3)
    );
    assert_eq!(
        history(json!({ "room": "lobby", "before": 8, "limit": 2 })).await,
        (true, true, true, 7)
    );
    assert_eq!(
        history(json!({ "room": "lobby", "after": 0, "limit": 4 })).await,
        (true, false, true, 4)
    );
    assert_eq!(
        history(json!({ "room": "lobby", "after": 4, "limit": 4 })).await,
        (true, true, true, 8)
    );
    assert_eq!(
        history(json!({ "room": "lobby", "after": 8 })).await,
        (false, true, false, 10)
    );
    assert_eq!(
        history(json!({ "room": "lobby", "after": 10 })).await,
        (false, true, false, 10)
    );
    let joined = join(&alice, json!({ "room": "lobby", "since": 3, "limit": 2 })).await;
    assert_eq!(bounds(&joined), (true, true, true, 5));
    let rooms = json!({ "rooms": [{ "room": "lobby", "since": 7, "epoch": joined["epoch"] }] });
    let synced = ok(alice.call("chat:sync", &rooms).await);
    assert_eq!(bounds(&synced["rooms"][0]), (false, true, false, 10));
}

#[tokio::test]
async fn an_unsubscribed_socket_stays_a_member_and_gets_unread_updates() {
    let server = Server::start().await;
    let alice = server.joined("alice", "lobby").await;
    let bob = server.joined("bob", "lobby").await;
    let phone = server.joined("bob", "lobby").await;
    ok(bob.call("chat:typing_start", &json!("lobby")).await);
    assert_eq!(
        ok(bob.call("chat:unsubscribe", &json!("lobby")).await),
        json!({ "room": "lobby" })
    );
    ok(bob.call("chat:unsubscribe", &json!("lobby")).await);
    assert_eq!(
        alice.next_event("chat:typing_stop").await.unwrap()["userId"],
        "bob"
    );
    send(&alice, "lobby", "hello").await;
    assert_eq!(phone.next_event("chat:receive_message").await.unwrap()["seq"], 1);
    server.clock.advance(1_000);
    assert_eq!(bob.next_event("chat:unread").await.unwrap()["unread"], 1);
    assert!(bob.drain("chat:receive_message").is_empty());
    assert!(alice.drain("chat:member_left").is_empty());
    send(&bob, "lobby", "still a member").await;
    failed(bob.call("chat:unsubscribe", &json!("nowhere")).await, "forbidden");
}

#[tokio::test]
async fn members_are_listed_in_pages_with_marks_roles_and_statuses() {
    let server = Server::start().await;
    let alice = server.joined("alice", "lobby").await;
    let bob = server.joined("bob", "lobby").await;
    send(&alice, "lobby", "hello").await;
    ok(bob
        .call("chat:message_read", &json!({ "room": "lobby", "seq": 1 }))
        .await);
    ok(bob
        .call("presence:set_status", &json!({ "status": "away" }))
        .await);
    server
        .chat
        .put_member("lobby", "carol", Some(Role::Moderator))
        .await
        .unwrap();
    let page = ok(alice
        .call("chat:get_members", &json!({ "room": "lobby", "limit": 2 }))
        .await);
    assert_eq!(page["members"][0]["userId"], "alice");
    assert_eq!(page["members"][0]["status"], "online");
    assert_eq!(page["members"][1]["readSeq"], 1);
    assert_eq!(page["members"][1]["status"], "away");
    assert_eq!(page["next"], "bob");
    let ask = json!({ "room": "lobby", "after": page["next"] });
    let page = ok(alice.call("chat:get_members", &ask).await);
    assert_eq!(page["members"][0]["role"], "moderator");
    assert_eq!(
        (&page["members"][0]["status"], &page["next"]),
        (&json!("offline"), &Value::Null)
    );
    let stranger = server.connect("mallory").await;
    failed(
        stranger.call("chat:get_members", &json!("lobby")).await,
        "forbidden",
    );
}
