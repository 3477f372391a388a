//! Connection state recovery: complete, or not at all.

use std::sync::Arc;

use roomful_store::{Options, Retention, Role};
use roomful_testkit::{SioClient, token};
use serde_json::{Value, json};

use crate::{
    fixture::{SECRET, START, Server, claims, ok, send, seqs, settle},
    moderation::moderate,
};

/// The private id and offset that a reconnecting client presents.
fn auth(claims: &Value, claim: &Value) -> Value {
    let mut auth = json!({ "token": token::with_claims(SECRET, claims) });
    if let (Value::Object(auth), Value::Object(claim)) = (&mut auth, claim.clone()) {
        auth.extend(claim);
    }
    auth
}

/// Reconnects with a token of `user`. Returns whether the session was recovered.
pub(crate) async fn come_back(server: &Server, user: &str, claim: &Value) -> (SioClient, bool) {
    come_back_with(server, &claims(user), claim).await
}

async fn come_back_with(server: &Server, claims: &Value, claim: &Value) -> (SioClient, bool) {
    let client = server.try_connect(&auth(claims, claim)).await.unwrap();
    let session = client.next_event("session").await.unwrap();
    assert_eq!(session["sessionId"], client.id());
    let recovered = session["recovered"].as_bool().unwrap();
    (client, recovered)
}

/// Cuts the connection and waits until the server has recorded it.
pub(crate) async fn lose(server: &Server, client: SioClient) -> (Value, String) {
    let before = server.chat.stats().connections;
    client.cut().await;
    let (claim, id) = (client.claim(), client.id().to_owned());
    assert_ne!(claim, Value::Null, "a client with a session event can recover");
    while server.chat.stats().connections >= before {
        tokio::task::yield_now().await;
    }
    (claim, id)
}

pub(crate) fn messages(client: &SioClient) -> Vec<(String, u64)> {
    let messages = client.drain("chat:receive_message").into_iter();
    messages
        .map(|message| {
            let room = message["room"].as_str().unwrap().to_owned();
            (room, message["seq"].as_u64().unwrap())
        })
        .collect()
}

fn at(room: &str, seqs: impl IntoIterator<Item = u64>) -> Vec<(String, u64)> {
    seqs.into_iter().map(|seq| (room.to_owned(), seq)).collect()
}

#[tokio::test]
async fn missed_events_come_once_and_in_order_across_rooms() {
    let server = Server::start().await;
    let alice = server.joined("alice", "a").await;
    ok(alice.call("chat:join", &json!("b")).await);
    let bob = server.joined("bob", "b").await;
    ok(bob.call("chat:join", &json!("a")).await);
    send(&alice, "a", "seen").await;
    bob.next_event("chat:receive_message").await.unwrap();
    let (claim, id) = lose(&server, bob).await;
    for n in 0..6 {
        send(&alice, if n % 2 == 0 { "a" } else { "b" }, "missed").await;
    }
    let (bob, recovered) = come_back(&server, "bob", &claim).await;
    assert!(recovered);
    assert_eq!(bob.id(), id, "the session keeps its public id");
    send(&alice, "b", "live").await;
    let received = bob.find_event(roomful_testkit::PATIENCE, "chat:receive_message", |m| {
        m["text"] == "live"
    });
    assert_eq!(received.await.unwrap()["seq"], 4);
    let expected = [("a", 2), ("b", 1), ("a", 3), ("b", 2), ("a", 4), ("b", 3)];
    assert_eq!(messages(&bob), expected.map(|(room, seq)| (room.to_owned(), seq)));
    // A second recovery works from the new offset.
    let (claim, _) = lose(&server, bob).await;
    send(&alice, "a", "missed again").await;
    let (bob, recovered) = come_back(&server, "bob", &claim).await;
    assert!(recovered);
    settle(&bob).await;
    assert_eq!(messages(&bob), at("a", [5]));
}

#[tokio::test]
async fn recovery_replays_mutations_but_nothing_ephemeral() {
    let server = Server::start().await;
    let alice = server.joined("alice", "a").await;
    let bob = server.joined("bob", "a").await;
    send(&alice, "a", "one").await;
    bob.next_event("chat:receive_message").await.unwrap();
    let (claim, _) = lose(&server, bob).await;
    ok(alice
        .call(
            "chat:edit_message",
            &json!({ "room": "a", "seq": 1, "text": "uno" }),
        )
        .await);
    ok(alice
        .call("chat:react", &json!({ "room": "a", "seq": 1, "emoji": "+1" }))
        .await);
    ok(alice
        .call("chat:message_read", &json!({ "room": "a", "seq": 1 }))
        .await);
    ok(alice.call("chat:typing_start", &json!("a")).await);
    let (bob, recovered) = come_back(&server, "bob", &claim).await;
    assert!(recovered);
    settle(&bob).await;
    assert_eq!(bob.drain("chat:message_edited")[0]["text"], "uno");
    assert_eq!(bob.drain("chat:reaction")[0]["emoji"], "+1");
    assert!(bob.drain("chat:message_read").is_empty());
    // The current state comes again.
    assert_eq!(
        bob.drain("chat:typing_start"),
        [json!({ "room": "a", "userId": "alice" })]
    );
    let online = bob.drain("chat:online_users");
    assert_eq!(online[0]["users"].as_array().unwrap().len(), 2, "{online:?}");
}

#[tokio::test]
async fn a_client_without_any_event_can_recover() {
    let server = Server::start().await;
    let bob = server.connect("bob").await;
    let (claim, id) = lose(&server, bob).await;
    let (bob, recovered) = come_back(&server, "bob", &claim).await;
    assert!(recovered);
    assert_eq!(bob.id(), id);
    // No event since the join: entries after the ack are missed ones, those in it are not.
    let alice = server.joined("alice", "a").await;
    send(&alice, "a", "in the answer").await;
    let joined = ok(bob.call("chat:join", &json!("a")).await);
    assert_eq!(seqs(&joined["messages"]), [1]);
    let (claim, _) = lose(&server, bob).await;
    send(&alice, "a", "missed").await;
    let (bob, recovered) = come_back(&server, "bob", &claim).await;
    assert!(recovered);
    settle(&bob).await;
    assert_eq!(messages(&bob), at("a", [2]));
}

#[tokio::test]
async fn a_session_recovers_only_for_its_own_user() {
    let server = Server::start().await;
    let alice = server.joined("alice", "a").await;
    let bob = server.joined("bob", "a").await;
    let (claim, id) = lose(&server, bob).await;
    send(&alice, "a", "for bob").await;
    let (eve, recovered) = come_back(&server, "eve", &claim).await;
    assert!(!recovered);
    assert_ne!(eve.id(), id);
    settle(&eve).await;
    assert!(messages(&eve).is_empty());
    // Nor does bob himself with a token that is invalid or does not allow the room.
    let expired = json!({ "sub": "bob", "exp": START / 1000 - 1 });
    assert!(server.try_connect(&auth(&expired, &claim)).await.is_err());
    let (bob, recovered) = come_back(&server, "bob", &claim).await;
    assert!(recovered, "others' attempts leave his session intact");
    let (claim, _) = lose(&server, bob).await;
    let narrow = json!({ "sub": "bob", "exp": START / 1000 + 60, "rooms": ["b"] });
    let (bob, recovered) = come_back_with(&server, &narrow, &claim).await;
    assert!(!recovered);
    settle(&bob).await;
    assert!(messages(&bob).is_empty());
    let (_, recovered) = come_back(&server, "bob", &claim).await;
    assert!(!recovered, "a failed recovery ends the session");
}

#[tokio::test]
async fn the_private_id_reaches_only_its_own_client() {
    let server = Server::start().await;
    let alice = server.joined("alice", "a").await;
    let bob = server.joined("bob", "a").await;
    let pid = bob.welcome()["pid"].as_str().unwrap().to_owned();
    send(&bob, "a", "hello").await;
    ok(bob.call("chat:typing_start", &json!("a")).await);
    ok(bob
        .call("chat:message_read", &json!({ "room": "a", "seq": 1 }))
        .await);
    let (claim, _) = lose(&server, bob).await;
    let (bob, recovered) = come_back(&server, "bob", &claim).await;
    assert!(recovered);
    ok(bob.call("chat:leave", &json!("a")).await);
    let known = format!("{:?}", server.chat.user("bob").await.unwrap());
    let online = ok(alice.call("chat:get_online_users", &json!("a")).await).to_string();
    settle(&alice).await;
    let mut told = Vec::new();
    for name in [
        "chat:receive_message",
        "chat:typing_start",
        "chat:typing_stop",
        "chat:message_read",
        "chat:member_joined",
        "chat:member_left",
        "chat:online_users",
        "presence:online",
    ] {
        told.extend(alice.drain(name));
    }
    assert!(told.len() >= 4, "{told:?}");
    for text in [known, online, json!(told).to_string()] {
        assert!(!text.contains(&pid), "{text}");
    }
}

#[tokio::test]
async fn recovery_closes_a_half_open_connection() {
    let server = Server::start().await;
    let alice = server.joined("alice", "a").await;
    let half_open = server.joined("bob", "a").await;
    let claim = half_open.claim();
    send(&alice, "a", "on the way").await;
    let (bob, recovered) = come_back(&server, "bob", &claim).await;
    assert!(recovered);
    assert_eq!(bob.id(), half_open.id());
    half_open.wait_end(roomful_testkit::PATIENCE).await.unwrap();
    send(&alice, "a", "live").await;
    bob.find_event(roomful_testkit::PATIENCE, "chat:receive_message", |m| {
        m["seq"] == 2
    })
    .await
    .unwrap();
    assert_eq!(messages(&bob), at("a", [1]));
    // The expiry of its token still closes the new connection.
    server.clock.advance(3_600_000 + 5_001);
    assert_eq!(bob.next_event("error").await.unwrap()["code"], "token_expired");
}

#[tokio::test]
async fn a_session_ends_with_the_window_or_a_deliberate_close() {
    let server = Server::start().await;
    let bob = server.joined("bob", "a").await;
    let (claim, _) = lose(&server, bob).await;
    server.clock.advance(120_001);
    let (bob, recovered) = come_back(&server, "bob", &claim).await;
    assert!(!recovered, "the window has passed");
    let claim = bob.claim();
    bob.close().await.unwrap();
    let (bob, recovered) = come_back(&server, "bob", &claim).await;
    assert!(!recovered, "the client closed on purpose");
    let claim = bob.claim();
    server.chat.disconnect_user("bob").await.unwrap();
    bob.wait_end(roomful_testkit::PATIENCE).await.unwrap();
    let (_, recovered) = come_back(&server, "bob", &claim).await;
    assert!(!recovered, "the server closed on purpose");
}

#[tokio::test]
async fn disconnect_user_ends_recoverable_sessions() {
    let server = Server::start().await;
    let bob = server.joined("bob", "a").await;
    let (claim, _) = lose(&server, bob).await;
    assert_eq!(server.chat.disconnect_user("bob").await.unwrap(), 0);
    let (_, recovered) = come_back(&server, "bob", &claim).await;
    assert!(!recovered);
}

#[tokio::test]
async fn a_deleted_room_does_not_prevent_recovery() {
    let server = Server::start().await;
    let alice = server.joined("alice", "b").await;
    let bob = server.joined("bob", "a").await;
    ok(bob.call("chat:join", &json!("b")).await);
    server.chat.delete_room("a").await.unwrap();
    bob.next_event("chat:room_deleted").await.unwrap();
    let (claim, _) = lose(&server, bob).await;
    send(&alice, "b", "missed").await;
    let (bob, recovered) = come_back(&server, "bob", &claim).await;
    assert!(recovered);
    settle(&bob).await;
    assert_eq!(messages(&bob), at("b", [1]));
}

#[tokio::test]
async fn a_room_left_meanwhile_is_not_recovered() {
    let server = Server::start().await;
    let alice = server.joined("alice", "a").await;
    let phone = server.joined("bob", "a").await;
    ok(phone.call("chat:join", &json!("b")).await);
    // Left on another device while connected: the phone's session knows it.
    let tablet = server.connect("bob").await;
    ok(tablet.call("chat:leave", &json!("a")).await);
    let (claim, _) = lose(&server, phone).await;
    send(&alice, "a", "not for bob").await;
    let (phone, recovered) = come_back(&server, "bob", &claim).await;
    assert!(recovered);
    settle(&phone).await;
    assert!(messages(&phone).is_empty());
    // Left while the phone is offline: the server cannot tell what the phone should have got.
    let (claim, _) = lose(&server, phone).await;
    ok(tablet.call("chat:leave", &json!("b")).await);
    let (_, recovered) = come_back(&server, "bob", &claim).await;
    assert!(!recovered);
}

#[tokio::test]
async fn foreign_offsets_are_refused() {
    let server = Server::start().await;
    let bob = server.joined("bob", "a").await;
    let (claim, _) = lose(&server, bob).await;
    for offset in ["", "x", "deadbeef.1", "1", "__proto__"] {
        let claim = json!({ "pid": claim["pid"], "offset": offset });
        let (_, recovered) = come_back(&server, "bob", &claim).await;
        assert!(!recovered, "{offset:?}");
    }
    let ahead = format!("{}9", claim["offset"].as_str().unwrap());
    let (_, recovered) = come_back(&server, "bob", &json!({ "pid": claim["pid"], "offset": ahead })).await;
    assert!(!recovered);
    for pid in ["", "AAAAAAAAAAAAAAAAAAAA", "constructor"] {
        let (_, recovered) =
            come_back(&server, "bob", &json!({ "pid": pid, "offset": claim["offset"] })).await;
        assert!(!recovered, "{pid:?}");
    }
    let (_, recovered) = come_back(&server, "bob", &claim).await;
    assert!(recovered, "wrong offsets leave the session intact");
}

#[tokio::test]
async fn missing_more_than_the_limit_or_retention_starts_a_new_session() {
    let server = Server::with(|config| config.recovery.max_events = 3).await;
    let alice = server.joined("alice", "a").await;
    let bob = server.joined("bob", "a").await;
    let (claim, _) = lose(&server, bob).await;
    for n in 0..4 {
        send(&alice, "a", &n.to_string()).await;
    }
    let (bob, recovered) = come_back(&server, "bob", &claim).await;
    assert!(!recovered);
    let synced = ok(bob
        .call("chat:sync", &json!({ "rooms": [{ "room": "a", "since": 0 }] }))
        .await);
    assert_eq!(seqs(&synced["rooms"][0]["messages"]), [1, 2, 3, 4]);

    let data = tempfile::tempdir().unwrap();
    let keep_two = Options {
        retention: Retention {
            max_entries: 2,
            ..Retention::default()
        },
        ..Options::default()
    };
    let url = format!("sqlite:{}", data.path().join("chat.db").display());
    let server = Server::on(roomful_store::open(&url, keep_two).unwrap(), data, |_| ()).await;
    let alice = server.joined("alice", "a").await;
    let bob = server.joined("bob", "a").await;
    let (claim, _) = lose(&server, bob).await;
    for n in 0..3 {
        send(&alice, "a", &n.to_string()).await;
    }
    let (_, recovered) = come_back(&server, "bob", &claim).await;
    assert!(!recovered, "retention removed one of three");
}

#[tokio::test]
async fn a_session_survives_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", data.path().join("chat.db").display());
    let store = roomful_store::open(&url, Options::default()).unwrap();
    let server = Server::on(Arc::clone(&store), tempfile::tempdir().unwrap(), |_| ()).await;
    let alice = server.joined("alice", "a").await;
    let bob = server.joined("bob", "a").await;
    ok(alice.call("chat:join", &json!("b")).await);
    send(&alice, "a", "missed").await;
    bob.next_event("chat:receive_message").await.unwrap();
    let claim = bob.claim();
    send(&alice, "a", "missed").await;
    // No clean shutdown: the store goes as it is.
    store.close().await;
    drop((alice, bob, server));

    let store = roomful_store::open(&url, Options::default()).unwrap();
    let server = Server::on(store, data, |_| ()).await;
    let (bob, recovered) = come_back(&server, "bob", &claim).await;
    assert!(recovered);
    settle(&bob).await;
    assert_eq!(messages(&bob), at("a", [2]));
}

#[tokio::test]
async fn after_a_restored_backup_clients_reset() {
    let data = tempfile::tempdir().unwrap();
    let (database, backup) = (data.path().join("chat.db"), data.path().join("backup.db"));
    let url = format!("sqlite:{}", database.display());
    let open = || roomful_store::open(&url, Options::default()).unwrap();
    let folder = || tempfile::tempdir().unwrap();
    let server = Server::on(open(), folder(), |_| ()).await;
    let alice = server.joined("alice", "a").await;
    for _ in 0..3 {
        send(&alice, "a", "before the backup").await;
    }
    server.store.close().await;
    drop((alice, server));
    std::fs::copy(&database, &backup).unwrap();

    let server = Server::on(open(), folder(), |_| ()).await;
    let alice = server.joined("alice", "a").await;
    let bob = server.joined("bob", "a").await;
    for _ in 0..3 {
        send(&alice, "a", "after the backup").await;
    }
    settle(&bob).await;
    let claim = bob.claim();
    let known = ok(bob
        .call("chat:sync", &json!({ "rooms": [{ "room": "a", "since": 0 }] }))
        .await);
    let (epoch, head) = (&known["rooms"][0]["epoch"], &known["rooms"][0]["head"]);
    assert_eq!(*head, 6);
    server.store.close().await;
    drop((alice, bob, server));
    std::fs::copy(&backup, &database).unwrap();

    let server = Server::on(open(), data, |_| ()).await;
    let alice = server.joined("alice", "a").await;
    for _ in 0..5 {
        send(&alice, "a", "after the restore").await;
    }
    let (bob, recovered) = come_back(&server, "bob", &claim).await;
    assert!(!recovered);
    let join = json!({ "room": "a", "epoch": epoch, "since": head });
    assert_eq!(ok(bob.call("chat:join", &join).await)["reset"], true);
    let synced = ok(bob.call("chat:sync", &json!({ "rooms": [join] })).await);
    let room = &synced["rooms"][0];
    assert_eq!((&room["reset"], &room["head"]), (&json!(true), &json!(8)));
    assert_ne!(room["epoch"], *epoch);
    assert_eq!(seqs(&room["messages"]), [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[tokio::test]
async fn recovery_can_be_turned_off() {
    let server = Server::with(|config| config.recovery.window_ms = 0).await;
    let bob = server.joined("bob", "a").await;
    assert_eq!(bob.welcome()["pid"], Value::Null);
    send(&bob, "a", "hello").await;
    let message = bob.take(roomful_testkit::PATIENCE, "a message", |event| {
        event.name == "chat:receive_message"
    });
    assert_eq!(message.await.unwrap().args.len(), 1);
}

#[tokio::test]
async fn only_durable_events_carry_offsets() {
    let server = Server::start().await;
    let alice = server.joined("alice", "a").await;
    let bob = server.joined("bob", "a").await;
    ok(alice.call("chat:typing_start", &json!("a")).await);
    send(&alice, "a", "hello").await;
    ok(alice
        .call("chat:message_read", &json!({ "room": "a", "seq": 1 }))
        .await);
    for (name, args) in [
        ("chat:typing_start", 1),
        ("chat:receive_message", 2),
        ("chat:message_read", 1),
    ] {
        let event = bob
            .take(roomful_testkit::PATIENCE, name, |event| event.name == name)
            .await
            .unwrap();
        assert_eq!(event.args.len(), args, "{name}");
    }
}

#[tokio::test]
async fn clients_without_recovery_get_no_offsets() {
    let server = Server::start().await;
    let alice = server.joined("alice", "a").await;
    // Some clients can send only strings in `auth`.
    for (recovery, recovers) in [
        (json!("true"), true),
        (json!("false"), false),
        (json!(false), false),
    ] {
        let auth = auth(&claims("carol"), &json!({ "recovery": recovery }));
        let carol = server.try_connect(&auth).await.unwrap();
        assert_eq!(carol.welcome()["pid"].is_string(), recovers, "{recovery}");
    }
    let auth = auth(&claims("bob"), &json!({ "recovery": false }));
    let bob = server.try_connect(&auth).await.unwrap();
    ok(bob.call("chat:join", &json!("a")).await);
    send(&alice, "a", "hello").await;
    for name in ["session", "chat:receive_message"] {
        let event = bob
            .take(roomful_testkit::PATIENCE, name, |event| event.name == name)
            .await
            .unwrap();
        assert_eq!(event.args.len(), 1, "{name}");
    }
    settle(&alice).await;
    assert_ne!(alice.claim(), Value::Null, "other clients get a private id");
}

/// Many clients in many rooms lose their connections at random moments during sends. Each must see every room
/// dense, and all rooms in one order, across its connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cuts_at_random_moments_lose_and_repeat_nothing() {
    const ROOMS: [&str; 3] = ["a", "b", "c"];
    let server = Arc::new(Server::with(|config| config.rates.enabled = false).await);
    let mut senders = Vec::new();
    for n in 0..3 {
        let sender = server.connect(&format!("sender-{n}")).await;
        for room in ROOMS {
            ok(sender.call("chat:join", &json!(room)).await);
        }
        senders.push(tokio::spawn(async move {
            for n in 0..150 {
                send(&sender, ROOMS[n % 3], &n.to_string()).await;
            }
        }));
    }
    let mut readers = Vec::new();
    for n in 0..6 {
        let server = Arc::clone(&server);
        readers.push(tokio::spawn(async move {
            let user = format!("reader-{n}");
            let mut reader = server.connect(&user).await;
            let mut next = std::collections::HashMap::new();
            for round in 0..12 {
                // Rooms are joined one by one, between the cuts.
                if let Some(room) = ROOMS.get(round / 2).filter(|_| round % 2 == 0) {
                    let joined = ok(reader.call("chat:join", &json!(room)).await);
                    next.insert(room.to_string(), joined["head"].as_u64().unwrap() + 1);
                }
                if n % 2 == 0 {
                    settle(&reader).await;
                }
                reader.cut().await;
                check(&reader, &mut next);
                let claim = reader.claim();
                let (again, recovered) = come_back(&server, &user, &claim).await;
                assert!(recovered, "{user}, round {round}");
                reader = again;
                check(&reader, &mut next);
            }
            (reader, next)
        }));
    }
    for sender in senders {
        sender.await.unwrap();
    }
    for reader in readers {
        let (reader, mut next) = reader.await.unwrap();
        settle(&reader).await;
        check(&reader, &mut next);
        assert!(next.values().all(|next| *next == 151), "{next:?}");
    }
}

fn check(reader: &SioClient, next: &mut std::collections::HashMap<String, u64>) {
    for (room, seq) in messages(reader) {
        if let Some(expected) = next.get_mut(&room) {
            assert_eq!(seq, *expected, "in {room}");
            *expected += 1;
        }
    }
}

#[tokio::test]
async fn a_recovered_session_learns_what_it_may_do_after_acts_that_it_missed() {
    let server = Server::start().await;
    let mona = server.joined("mona", "lobby").await;
    server
        .chat
        .put_member("lobby", "mona", Some(Role::Moderator))
        .await
        .unwrap();
    let bob = server.joined("bob", "lobby").await;
    let (claim, _) = lose(&server, bob).await;
    ok(moderate(&mona, "freeze", json!({})).await);
    ok(moderate(&mona, "mute", json!({ "userId": "bob" })).await);
    let (bob, recovered) = come_back(&server, "bob", &claim).await;
    assert!(recovered);
    let state = bob.next_event("chat:room_state").await.unwrap();
    let restricted = json!({
        "room": "lobby", "role": "member", "frozen": true, "slowMode": 0, "retryAfterMs": 0, "muted": {},
    });
    assert_eq!(state, restricted);
    settle(&bob).await;

    // An event after these acts carries an offset behind them, so a second recovery has nothing to tell.
    ok(moderate(&mona, "unfreeze", json!({})).await);
    send(&mona, "lobby", "seen").await;
    bob.next_event("chat:receive_message").await.unwrap();
    let (claim, _) = lose(&server, bob).await;
    let (bob, _) = come_back(&server, "bob", &claim).await;
    settle(&bob).await;
    assert!(bob.drain("chat:room_state").is_empty());
}
