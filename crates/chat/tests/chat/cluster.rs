//! Several nodes in this process, on one store and one bus.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use roomful_bus::Hub;
use roomful_chat::{ChatConfig, ClusterConfig, Notify, clock::ManualClock};
use roomful_store::{NewNotification, NotificationPage, RoomChange, RoomKind, Sessions as _, Store};
use roomful_testkit::SioClient;
use serde_json::{Value, json};

use crate::{
    fixture::{START, Server, failed, new_store, ok, send, seqs, settle},
    order::Flaky,
    recovery::{come_back, lose, messages},
};

/// Nodes that share all there is to share.
struct Nodes {
    servers: Vec<Server>,
    clock: ManualClock,
    store: Arc<dyn Store>,
    hub: Hub,
    _data: tempfile::TempDir,
}

impl std::ops::Index<usize> for Nodes {
    type Output = Server;

    fn index(&self, at: usize) -> &Server {
        &self.servers[at]
    }
}

impl Nodes {
    /// So many nodes. Nothing is read from the store but what the bus has not told.
    async fn start(count: usize) -> Self {
        Self::with(count, Duration::from_hours(1), |_| ()).await
    }

    async fn with(count: usize, poll: Duration, change: impl Fn(&mut ChatConfig)) -> Self {
        let (store, data) = new_store();
        let (hub, clock) = (Hub::default(), ManualClock::at(START));
        let mut servers = Vec::new();
        for n in 0..count {
            let cluster = ClusterConfig {
                bus: hub.connect(),
                node: format!("node-{n}"),
                info: serde_json::Map::new(),
                lease: Duration::from_secs(15),
                poll,
            };
            let change = |config: &mut ChatConfig| {
                config.rates.enabled = false;
                change(config);
            };
            servers.push(Server::serve(Arc::clone(&store), clock.clone(), change, Some(cluster)).await);
        }
        Self {
            servers,
            clock,
            store,
            hub,
            _data: data,
        }
    }
}

fn seq(message: &Value) -> u64 {
    message["seq"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_on_one_node_is_heard_on_all_in_one_order() {
    const EACH: u64 = 100;
    let nodes = Nodes::start(3).await;
    let mut clients = Vec::new();
    for n in 0..3 {
        clients.push(Arc::new(nodes[n].joined(&format!("user-{n}"), "lobby").await));
    }
    let mut senders = Vec::new();
    for client in &clients {
        let client = Arc::clone(client);
        senders.push(tokio::spawn(async move {
            for n in 0..EACH {
                send(&client, "lobby", &n.to_string()).await;
            }
        }));
    }
    for sender in senders {
        sender.await.unwrap();
    }
    let mut heard = Vec::new();
    for client in &clients {
        let mut log = Vec::new();
        for _ in 0..3 * EACH {
            log.push(client.next_event("chat:receive_message").await.unwrap());
        }
        assert!(log.iter().map(seq).eq(1..=3 * EACH));
        heard.push(log);
    }
    assert_eq!(heard[0], heard[1]);
    assert_eq!(heard[0], heard[2]);
}

/// Two nodes on one store that hear nothing of each other: their buses are of different hubs.
async fn strangers(poll: Duration) -> (Server, Server, tempfile::TempDir) {
    let (here, there, _, data) = strangers_on_flaky(poll).await;
    (here, there, data)
}

/// The same, with the store that they are on.
async fn strangers_on_flaky(poll: Duration) -> (Server, Server, Arc<Flaky>, tempfile::TempDir) {
    let (store, data) = Flaky::open();
    let clock = ManualClock::at(START);
    let node = |n: usize| {
        let cluster = ClusterConfig {
            bus: Hub::default().connect(),
            node: format!("node-{n}"),
            info: serde_json::Map::new(),
            lease: Duration::from_secs(15),
            poll,
        };
        let store: Arc<dyn Store> = store.clone();
        Server::serve(store, clock.clone(), |_| (), Some(cluster))
    };
    (node(0).await, node(1).await, store.clone(), data)
}

#[tokio::test]
async fn of_what_cannot_be_read_back_no_more_is_passed_over_than_that() {
    let (here, there, store, _data) = strangers_on_flaky(Duration::from_millis(50)).await;
    let carol = here.joined("carol", "a").await;
    ok(carol.call("chat:join", &json!("b")).await);
    let (alice, bob) = (there.joined("alice", "a").await, there.joined("bob", "b").await);
    let dave = there.connect("dave").await;
    let next = store.read_position().await.unwrap().pos + 1;
    store.unreadable.store(next, Ordering::SeqCst);
    send(&carol, "a", "can't be read").await;
    send(&carol, "b", "can be read").await;
    here.chat.disconnect_user("dave").await.unwrap();
    let message = bob.next_event("chat:receive_message").await.unwrap();
    assert_eq!(message["text"], "can be read");
    is_closed(&dave).await;
    // Whoever is in the room whose entry it is has to come back.
    is_closed(&alice).await;
    send(&carol, "b", "more").await;
    bob.next_event("chat:receive_message").await.unwrap();
}

#[tokio::test]
async fn what_the_bus_lost_is_found_in_the_store() {
    let (here, there, _data) = strangers(Duration::from_millis(50)).await;
    let (alice, bob) = (
        here.joined("alice", "lobby").await,
        there.joined("bob", "lobby").await,
    );
    for n in 1..=3 {
        assert_eq!(seq(&send(&alice, "lobby", "from here").await), 2 * n - 1);
        // Bob's message comes after Alice's, which his node has not heard of.
        assert_eq!(seq(&send(&bob, "lobby", "from there").await), 2 * n);
    }
    for client in [&alice, &bob] {
        for n in 1..=6 {
            let message = client.next_event("chat:receive_message").await.unwrap();
            assert_eq!(seq(&message), n);
        }
    }
}

#[tokio::test]
async fn who_has_seen_more_than_a_node_has_come_to_goes_on_there() {
    let (here, there, _data) = strangers(Duration::from_hours(1)).await;
    let alice = here.joined("alice", "lobby").await;
    // The room is in the other node's memory, which hears of nothing that is said here.
    let _bob = there.joined("bob", "lobby").await;
    for n in 1..=3 {
        assert_eq!(seq(&send(&alice, "lobby", "said").await), n);
    }
    let carol = there.connect("carol").await;
    let joined = ok(carol.call("chat:join", &json!({ "room": "lobby" })).await);
    let since = |since: u64| json!({ "room": "lobby", "since": since, "epoch": joined["epoch"] });
    assert_eq!(joined["head"], 0, "it is behind");
    let again = ok(carol.call("chat:join", &since(3)).await);
    assert_eq!((&again["head"], &again["reset"]), (&json!(3), &json!(false)));
    send(&alice, "lobby", "more").await;
    let sync = ok(carol.call("chat:sync", &json!({ "rooms": [since(4)] })).await);
    let lobby = &sync["rooms"][0];
    assert_eq!((&lobby["head"], &lobby["reset"]), (&json!(4), &json!(false)));
    send(&alice, "lobby", "answer me").await;
    let reply = json!({ "room": "lobby", "text": "well", "replyTo": 5 });
    assert_eq!(seq(&ok(carol.call("chat:send_message", &reply).await)), 6);
    let beyond = ok(carol.call("chat:join", &since(99)).await);
    assert_eq!((&beyond["head"], &beyond["reset"]), (&json!(6), &json!(true)));
}

#[tokio::test]
async fn who_joins_elsewhere_finds_all_and_misses_nothing() {
    let nodes = Nodes::start(2).await;
    let alice = nodes[0].joined("alice", "lobby").await;
    for n in 0..20 {
        send(&alice, "lobby", &n.to_string()).await;
        let bob = nodes[1].connect(&format!("bob-{n}")).await;
        let joined = ok(bob.call("chat:join", &json!({ "room": "lobby" })).await);
        assert_eq!(seqs(&joined["messages"]).last(), joined["head"].as_u64().as_ref());
        let next = seq(&send(&bob, "lobby", "hello").await);
        let mut last = joined["head"].as_u64().unwrap();
        while last < next {
            let message = bob.next_event("chat:receive_message").await.unwrap();
            assert_eq!(seq(&message), last + 1);
            last += 1;
        }
    }
}

#[tokio::test]
async fn marks_and_typing_and_changes_are_seen_on_other_nodes() {
    let nodes = Nodes::start(2).await;
    let (alice, bob) = (
        nodes[0].joined("alice", "lobby").await,
        nodes[1].joined("bob", "lobby").await,
    );
    let sent = send(&alice, "lobby", "one").await;
    assert_eq!(
        bob.next_event("chat:receive_message").await.unwrap()["id"],
        sent["id"]
    );
    ok(bob
        .call("chat:message_read", &json!({ "room": "lobby", "seq": 1 }))
        .await);
    let read = alice.next_event("chat:message_read").await.unwrap();
    assert_eq!((&read["userId"], &read["seq"]), (&json!("bob"), &json!(1)));
    ok(bob.call("chat:typing_start", &json!("lobby")).await);
    assert_eq!(
        alice.next_event("chat:typing_start").await.unwrap()["userId"],
        "bob"
    );
    ok(bob.call("chat:typing_stop", &json!("lobby")).await);
    assert_eq!(
        alice.next_event("chat:typing_stop").await.unwrap()["userId"],
        "bob"
    );
    // Typing ends by itself also where nobody could say that it has.
    ok(bob.call("chat:typing_start", &json!("lobby")).await);
    nodes.clock.advance(3_000);
    assert_eq!(
        alice.next_event("chat:typing_start").await.unwrap()["userId"],
        "bob"
    );
    nodes.clock.advance(6_000);
    assert_eq!(
        alice.next_event("chat:typing_stop").await.unwrap()["userId"],
        "bob"
    );
    let edit = json!({ "room": "lobby", "seq": 1, "text": "two" });
    ok(alice.call("chat:edit_message", &edit).await);
    assert_eq!(
        bob.next_event("chat:message_edited").await.unwrap()["text"],
        "two"
    );
    ok(bob
        .call("chat:react", &json!({ "room": "lobby", "seq": 1, "emoji": "+" }))
        .await);
    assert_eq!(alice.next_event("chat:reaction").await.unwrap()["userId"], "bob");
}

/// The client's connection is over.
async fn is_closed(client: &SioClient) {
    client.wait_end(Duration::from_secs(10)).await.unwrap();
}

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

#[tokio::test]
async fn a_notification_whose_node_died_is_told_when_it_is_posted_again() {
    let nodes = Nodes::start(2).await;
    let (phone, tablet) = (nodes[0].connect("bob").await, nodes[1].connect("bob").await);
    // What a node writes that then dies: in the store, and nobody was told.
    nodes[0].chat.notify(greeting("alice", None)).await.unwrap();
    let page = NotificationPage {
        limit: 1,
        before: None,
        unread_only: false,
    };
    let example = nodes.store.notifications("alice", page).await.unwrap().unwrap();
    let written = NewNotification {
        id: "untold".into(),
        users: vec!["bob".into()],
        body: example.notifications[0].body.clone(),
        at: START,
    };
    nodes.store.notify(written).await.unwrap();
    for again in 0..2 {
        let posted = nodes[0]
            .chat
            .notify(greeting("bob", Some("untold")))
            .await
            .unwrap();
        assert!(posted.duplicate);
        for device in [&phone, &tablet] {
            if again == 0 {
                let notice = device.next_event("notification:receive").await.unwrap();
                assert_eq!(notice["id"], "untold");
            } else {
                settle(device).await;
                assert!(device.drain("notification:receive").is_empty(), "once");
            }
        }
    }
}

fn greeting(user: &str, id: Option<&str>) -> Notify {
    Notify {
        user_ids: vec![user.into()],
        kind: "greeting".into(),
        title: "Hello".into(),
        body: "you".into(),
        data: None,
        id: id.map(Into::into),
    }
}

#[tokio::test]
async fn notifications_and_counts_reach_a_user_wherever_they_are() {
    let nodes = Nodes::start(2).await;
    let (phone, tablet) = (nodes[0].connect("alice").await, nodes[1].connect("alice").await);
    let posted = nodes[0].chat.notify(greeting("alice", None)).await.unwrap();
    for device in [&phone, &tablet] {
        let notice = device.next_event("notification:receive").await.unwrap();
        assert_eq!(notice["id"], posted.id.as_str());
    }
    ok(phone.call("notification:read", &json!({ "all": true })).await);
    assert_eq!(
        tablet.next_event("notification:unread").await.unwrap()["unread"],
        0
    );

    // Alice is a member on the one node, and somebody speaks on the other.
    ok(phone.call("chat:join", &json!("lobby")).await);
    let bob = nodes[1].joined("bob", "lobby").await;
    send(&bob, "lobby", "hello").await;
    phone.next_event("chat:receive_message").await.unwrap();
    nodes.clock.advance(1_000);
    ok(phone
        .call("chat:message_read", &json!({ "room": "lobby", "seq": 1 }))
        .await);
    loop {
        let unread = tablet.next_event("chat:unread").await.unwrap();
        if unread["unread"] == 0 {
            break;
        }
    }
    assert_eq!(nodes.store.rooms(Some("\u{1f}"), 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_client_comes_back_on_any_node_and_finds_all_it_missed() {
    let nodes = Nodes::start(3).await;
    // Every node has begun before: a node's first session tells the store what was lost with the process before it.
    for n in 0..3 {
        nodes[n].connect("starter").await;
    }
    let alice = nodes[0].joined("alice", "a").await;
    ok(alice.call("chat:join", &json!("b")).await);
    let bob = nodes[1].joined("bob", "a").await;
    ok(bob.call("chat:join", &json!("b")).await);
    let mut seen = 0;
    let (mut bob, mut at) = (bob, 1);
    for round in 0..6 {
        send(&alice, "a", "seen").await;
        send(&alice, "b", "seen").await;
        for _ in 0..2 {
            bob.next_event("chat:receive_message").await.unwrap();
        }
        seen += 1;
        let next = (at + 1) % 3;
        let (claim, old) = if round % 2 == 0 {
            let (claim, _) = lose(&nodes[at], bob).await;
            (claim, None)
        } else {
            // The old connection believes that it lives.
            (bob.claim(), Some(bob))
        };
        send(&alice, "b", "missed").await;
        send(&alice, "a", "missed").await;
        let recovered;
        (bob, recovered) = come_back(&nodes[next], "bob", &claim).await;
        assert!(recovered, "round {round}");
        seen += 1;
        let mut got = messages(&bob);
        while got.len() < 2 {
            let message = bob.next_event("chat:receive_message").await.unwrap();
            got.push((message["room"].as_str().unwrap().to_owned(), seq(&message)));
        }
        assert_eq!(got, [("b".to_owned(), seen), ("a".to_owned(), seen)]);
        if let Some(old) = old {
            is_closed(&old).await;
        }
        at = next;
    }
}

#[tokio::test]
async fn a_session_misses_nothing_in_a_room_whose_newest_the_node_has_not_come_to() {
    let (here, there, _data) = strangers(Duration::from_hours(1)).await;
    for node in [&here, &there] {
        node.connect("starter").await;
    }
    let alice = here.joined("alice", "lobby").await;
    let bob = here.joined("bob", "lobby").await;
    send(&alice, "lobby", "seen").await;
    bob.next_event("chat:receive_message").await.unwrap();
    let (claim, _) = lose(&here, bob).await;
    // What Carol says brings the other node up to here, and no further.
    let carol = there.joined("carol", "den").await;
    send(&carol, "den", "one").await;
    send(&alice, "lobby", "missed").await;
    let (bob, recovered) = come_back(&there, "bob", &claim).await;
    assert!(recovered);
    send(&alice, "lobby", "later").await;
    send(&carol, "den", "two").await;
    let mut got = messages(&bob);
    while got.len() < 2 {
        let message = bob.next_event("chat:receive_message").await.unwrap();
        got.push((message["room"].as_str().unwrap().to_owned(), seq(&message)));
    }
    assert_eq!(got, [("lobby".to_owned(), 2), ("lobby".to_owned(), 3)]);
}

/// The ids in a list of users.
fn ids(users: &Value) -> Vec<String> {
    let users = users["users"].as_array().unwrap().iter();
    let mut ids: Vec<_> = users
        .map(|user| user["userId"].as_str().unwrap().to_owned())
        .collect();
    ids.sort();
    ids
}

/// Who is online in the lobby, as this client is told.
async fn online(client: &SioClient) -> Vec<String> {
    ids(&ok(client.call("chat:get_online_users", &json!("lobby")).await))
}

#[tokio::test]
async fn who_is_online_is_known_on_all_nodes() {
    let nodes = Nodes::start(2).await;
    let alice = nodes[0].joined("alice", "lobby").await;
    let bob = nodes[1].joined("bob", "lobby").await;
    assert_eq!(
        alice.next_event("presence:online").await.unwrap()["userId"],
        "bob"
    );
    assert_eq!(online(&alice).await, ["alice", "bob"]);
    assert_eq!(online(&bob).await, ["alice", "bob"]);
    let carol = nodes[1].connect("carol").await;
    let joined = ok(carol.call("chat:join", &json!("lobby")).await);
    assert_eq!(joined["online"], 3);
    assert_eq!(
        alice.next_event("presence:online").await.unwrap()["userId"],
        "carol"
    );

    // Bob shows as something else, and then as nothing.
    ok(bob
        .call(
            "presence:set_status",
            &json!({ "status": "busy", "text": "lunch" }),
        )
        .await);
    let status = alice.next_event("presence:status").await.unwrap();
    assert_eq!(
        (&status["userId"], &status["text"]),
        (&json!("bob"), &json!("lunch"))
    );
    ok(bob
        .call("presence:set_status", &json!({ "status": "invisible" }))
        .await);
    assert_eq!(
        alice.next_event("presence:offline").await.unwrap()["userId"],
        "bob"
    );
    assert_eq!(online(&alice).await, ["alice", "carol"]);

    // Carol moves to the other node: nobody is told anything.
    carol.cut().await;
    let carol = nodes[0].joined("carol", "lobby").await;
    nodes.clock.advance(6_000);
    while nodes[1].chat.stats().users > 1 {
        tokio::task::yield_now().await;
    }
    ok(bob
        .call("presence:set_status", &json!({ "status": "away" }))
        .await);
    assert_eq!(
        alice.next_event("presence:online").await.unwrap()["userId"],
        "bob"
    );
    assert!(
        alice.drain("presence:offline").is_empty(),
        "Carol was there all the while"
    );
    carol.cut().await;
    while nodes[0].chat.stats().connections > 1 {
        tokio::task::yield_now().await;
    }
    nodes.clock.advance(6_000);
    for client in [&alice, &bob] {
        assert_eq!(
            client.next_event("presence:offline").await.unwrap()["userId"],
            "carol"
        );
    }
}

#[tokio::test]
async fn a_user_is_followed_over_nodes_and_devices() {
    let nodes = Nodes::start(3).await;
    let alice = nodes[0].connect("alice").await;
    let states = ok(alice
        .call("presence:subscribe", &json!({ "users": ["bob"] }))
        .await);
    assert_eq!(states["users"][0]["status"], "offline");
    let phone = nodes[1].connect("bob").await;
    assert_eq!(
        alice.next_event("presence:online").await.unwrap()["userId"],
        "bob"
    );
    let tablet = nodes[2].connect("bob").await;
    let known = nodes[0].chat.user("bob").await.unwrap();
    assert_eq!(known.devices.len(), 2);
    ok(phone
        .call("presence:set_status", &json!({ "status": "busy" }))
        .await);
    assert_eq!(
        alice.next_event("presence:status").await.unwrap()["status"],
        "busy"
    );
    assert_eq!(
        tablet.next_event("presence:status").await.unwrap()["status"],
        "busy"
    );
    phone.cut().await;
    while nodes[1].chat.stats().connections > 0 {
        tokio::task::yield_now().await;
    }
    nodes.clock.advance(6_000);
    while nodes[1].chat.stats().users > 0 {
        tokio::task::yield_now().await;
    }
    while nodes[0].chat.user("bob").await.unwrap().devices.len() > 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(nodes[0].chat.disconnect_user("bob").await.unwrap(), 1);
    is_closed(&tablet).await;
    while nodes[2].chat.stats().connections > 0 {
        tokio::task::yield_now().await;
    }
    nodes.clock.advance(6_000);
    assert_eq!(
        alice.next_event("presence:offline").await.unwrap()["userId"],
        "bob"
    );
    let events = alice.drain("presence:online");
    assert!(events.is_empty(), "{events:?}");
}

#[tokio::test]
async fn users_of_a_dead_node_do_not_stay() {
    let nodes = Nodes::start(1).await;
    let alice = nodes[0].joined("alice", "lobby").await;
    // A follower who shares no room.
    let bob = nodes[0].connect("bob").await;
    for follower in [&alice, &bob] {
        ok(follower
            .call("presence:subscribe", &json!({ "users": ["zoe"] }))
            .await);
    }
    let room = nodes
        .store
        .open_room("lobby", false, START)
        .await
        .unwrap()
        .unwrap()
        .id;
    // A node that gives one sign of life, and no other.
    let dying = nodes.hub.connect();
    let ttl = Duration::from_millis(500);
    dying.beat("dying", Bytes::new(), ttl).await.unwrap();
    let shown = json!({ "name": null, "status": "online", "text": null });
    let zoe = json!({ "shown": shown, "hidden_since": null, "devices": [] });
    let crowd = json!({ "count": 1, "users": [["zoe", shown]] });
    dying
        .put("dying", "user:zoe", zoe.to_string().into())
        .await
        .unwrap();
    dying
        .put("dying", &format!("room:{room}"), crowd.to_string().into())
        .await
        .unwrap();
    dying.publish("user:zoe", "\"Presence\"".into());
    dying.publish(&format!("room:{room}"), "\"Crowd\"".into());
    for follower in [&alice, &bob] {
        let online = follower.next_event("presence:online").await.unwrap();
        assert_eq!(online["userId"], "zoe");
    }
    // The next look after its lease has ended takes its users out, and whoever follows them is told then.
    let soon = Duration::from_secs(3);
    for follower in [&alice, &bob] {
        let is_zoe = |event: &Value| event["userId"] == "zoe";
        follower
            .find_event(soon, "presence:offline", is_zoe)
            .await
            .unwrap();
    }
    assert_eq!(online(&alice).await, ["alice"]);
    while !dying.sweep(1).await.unwrap().is_empty() {}
}
