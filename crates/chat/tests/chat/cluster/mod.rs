//! Several nodes in this process, on one store and one bus.

mod blocks;
mod departure;
mod erasure;
mod faulty;
mod notifications;
mod presence;
mod presence_once;
mod profiles;
mod recovery;
mod rooms;
mod unread;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use roomful_bus::{Bus, Hub};
use roomful_chat::{
    ChatConfig, ChatError, ClusterConfig,
    admin::{Connection, ConnectionFilter, ConnectionKey},
    clock::ManualClock,
};
use roomful_store::Store;
use roomful_testkit::SioClient;
use serde_json::{Value, json};

use crate::{
    fixture::{START, Server, new_store, ok, send, seqs},
    flaky::{FlakyStore, UNREADABLE, flaky_store},
};

/// A node's view of the cluster.
fn member(bus: Arc<dyn Bus>, number: usize, poll: Duration) -> ClusterConfig {
    ClusterConfig {
        bus,
        node: format!("node-{number}"),
        info: serde_json::Map::new(),
        lease: Duration::from_secs(15),
        poll,
    }
}

/// Everything that the nodes share.
pub(crate) struct Nodes {
    servers: Vec<Server>,
    pub(crate) clock: ManualClock,
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
    /// This many nodes, which read the store only for entries that the bus missed.
    pub(crate) async fn start(count: usize) -> Self {
        Self::with(count, Duration::from_hours(1), |_| ()).await
    }

    async fn with(count: usize, poll: Duration, change: impl Fn(&mut ChatConfig)) -> Self {
        let (store, data) = new_store();
        let (hub, clock) = (Hub::default(), ManualClock::at(START));
        let mut servers = Vec::new();
        for n in 0..count {
            let cluster = member(hub.connect(), n, poll);
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
async fn messages_reach_all_nodes_in_one_order() {
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

#[tokio::test]
async fn the_history_has_the_figures_of_all_nodes() {
    let nodes = Nodes::start(2).await;
    let history = || nodes[0].chat.stats_history();
    nodes.clock.advance(15_000);
    while history().is_empty() {
        tokio::task::yield_now().await;
    }
    let others = history()[0].others.clone().unwrap();
    let names: Vec<_> = others.iter().map(|other| other.node.as_str()).collect();
    assert_eq!(names, ["node-1"]);
}

#[tokio::test]
async fn the_connections_of_all_nodes_are_one_list() {
    let nodes = Nodes::start(3).await;
    let mut clients = Vec::new();
    for (node, user) in [(2, "carol"), (0, "alice"), (1, "bob"), (0, "bob")] {
        clients.push(nodes[node].joined(user, "lobby").await);
    }
    let list = async |filter: ConnectionFilter, after: Option<ConnectionKey>, limit: usize| {
        let page = nodes[1].chat.connections(&filter, after, limit).await.unwrap();
        assert_eq!(page.missing_nodes, Vec::<String>::new());
        page.connections
    };
    let names = |connections: &[Connection]| {
        let named = connections
            .iter()
            .map(|one| format!("{} {}", one.node, one.user_id));
        named.collect::<Vec<_>>()
    };
    let all = list(ConnectionFilter::default(), None, 9).await;
    assert_eq!(
        names(&all),
        ["node-0 alice", "node-0 bob", "node-1 bob", "node-2 carol"]
    );
    let key = |at: usize| {
        let Connection { node, serial, .. } = all[at].clone();
        Some(ConnectionKey { node, serial })
    };
    for after in 0..4 {
        let rest = list(ConnectionFilter::default(), key(after), 2).await;
        let expected: Vec<_> = all.iter().skip(after + 1).take(2).cloned().collect();
        assert_eq!(rest, expected, "after {after}");
    }
    let of_bob = ConnectionFilter {
        user: Some("bob".to_owned()),
        ..ConnectionFilter::default()
    };
    assert_eq!(names(&list(of_bob, None, 9).await), ["node-0 bob", "node-1 bob"]);
    let of_node = |node: &str| ConnectionFilter {
        node: Some(node.to_owned()),
        ..ConnectionFilter::default()
    };
    assert_eq!(names(&list(of_node("node-2"), None, 9).await), ["node-2 carol"]);
    let unknown = nodes[0].chat.connections(&of_node("node-9"), None, 9).await;
    assert!(matches!(unknown, Err(ChatError::NotFound(_))), "{unknown:?}");
}

#[tokio::test]
async fn a_node_that_does_not_answer_is_named() {
    let nodes = Nodes::start(1).await;
    let silent = nodes.hub.connect();
    let info = json!({ "node": "silent" }).to_string();
    let lease = Duration::from_secs(15);
    silent.heartbeat("silent/1", info.into(), lease).await.unwrap();
    let _alice = nodes[0].joined("alice", "lobby").await;
    let all = ConnectionFilter::default();
    let page = nodes[0].chat.connections(&all, None, 9).await.unwrap();
    assert_eq!(page.connections.len(), 1);
    assert_eq!(page.missing_nodes, ["silent"]);
}

/// Two nodes on one store that do not receive each other's messages: their buses belong to different hubs.
async fn isolated_nodes(poll: Duration) -> (Server, Server, tempfile::TempDir) {
    let (here, there, _, data) = isolated_nodes_on_flaky(poll).await;
    (here, there, data)
}

/// The same, with their store.
async fn isolated_nodes_on_flaky(poll: Duration) -> (Server, Server, Arc<FlakyStore>, tempfile::TempDir) {
    let (store, data) = flaky_store();
    let clock = ManualClock::at(START);
    let node = |n: usize| {
        let cluster = member(Hub::default().connect(), n, poll);
        let store: Arc<dyn Store> = store.clone();
        Server::serve(store, clock.clone(), |_| (), Some(cluster))
    };
    (node(0).await, node(1).await, store.clone(), data)
}

#[tokio::test]
async fn only_the_unreadable_entry_is_skipped() {
    let (here, there, store, _data) = isolated_nodes_on_flaky(Duration::from_millis(50)).await;
    let carol = here.joined("carol", "a").await;
    ok(carol.call("chat:join", &json!("b")).await);
    let (alice, bob) = (there.joined("alice", "a").await, there.joined("bob", "b").await);
    let dave = there.connect("dave").await;
    store.hooks.unreadable.store(true, Ordering::SeqCst);
    send(&carol, "a", UNREADABLE).await;
    send(&carol, "b", "readable").await;
    here.chat.disconnect_user("dave").await.unwrap();
    let message = bob.next_event("chat:receive_message").await.unwrap();
    assert_eq!(message["text"], "readable");
    is_closed(&dave).await;
    // Clients in the unreadable entry's room must reconnect.
    is_closed(&alice).await;
    send(&carol, "b", "more").await;
    bob.next_event("chat:receive_message").await.unwrap();
}

#[tokio::test]
async fn messages_lost_by_the_bus_are_read_from_the_store() {
    let (here, there, _data) = isolated_nodes(Duration::from_millis(50)).await;
    let (alice, bob) = (
        here.joined("alice", "lobby").await,
        there.joined("bob", "lobby").await,
    );
    for n in 1..=3 {
        assert_eq!(seq(&send(&alice, "lobby", "from here").await), 2 * n - 1);
        // Bob's message comes after Alice's, which his node has not received.
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
async fn a_client_ahead_of_its_new_node_continues_there() {
    let (here, there, _data) = isolated_nodes(Duration::from_hours(1)).await;
    let alice = here.joined("alice", "lobby").await;
    // The other node has the room in memory, and receives none of its messages.
    let _bob = there.joined("bob", "lobby").await;
    for n in 1..=3 {
        assert_eq!(seq(&send(&alice, "lobby", "said").await), n);
    }
    let carol = there.connect("carol").await;
    let joined = ok(carol.call("chat:join", &json!({ "room": "lobby" })).await);
    let since = |since: u64| json!({ "room": "lobby", "since": since, "epoch": joined["epoch"] });
    assert_eq!(joined["head"], 0, "the node lags behind");
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
async fn a_join_on_another_node_has_no_gap() {
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
async fn marks_typing_and_mutations_reach_other_nodes() {
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
    // Typing also expires where no stop could arrive.
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

/// Waits for the end of the client's connection.
async fn is_closed(client: &SioClient) {
    client.wait_end(Duration::from_secs(10)).await.unwrap();
}
