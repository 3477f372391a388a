//! Namespaces and rooms across nodes.

use std::{collections::BTreeSet, time::Duration};

use roomful_bus::Hub;
use roomful_socket::{AckError, Binary, Broadcast, Payload, SocketId};
use roomful_testkit::{PATIENCE, session::End, sio::SioClient};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{faulty::Faulty, nodes::Node};

/// Longer than any step should take.
const LONG: Duration = Duration::from_mins(1);

async fn connect(node: &Node) -> SioClient {
    SioClient::connect(node.address, "/", &Value::Null).await.unwrap()
}

async fn member(node: &Node, room: &str) -> SioClient {
    let client = connect(node).await;
    assert_eq!(client.call("join", &json!(room)).await.unwrap(), json!("ok"));
    client
}

/// The `name` events that each client received before a mark that reaches all of them.
async fn seen<const N: usize>(from: &Node, clients: [&SioClient; N], name: &str) -> [Vec<Value>; N] {
    let mark = json!(rand::random::<u32>());
    from.server.of("/").emit("mark", &mark).unwrap();
    for client in clients {
        client
            .find_event(PATIENCE, "mark", |seen| *seen == mark)
            .await
            .unwrap();
    }
    clients.map(|client| client.drain(name))
}

fn ids<'a>(clients: impl IntoIterator<Item = &'a SioClient>) -> BTreeSet<String> {
    clients.into_iter().map(|client| client.id().to_owned()).collect()
}

#[tokio::test]
async fn a_room_broadcast_reaches_its_members_on_all_nodes_only() {
    let hub = Hub::default();
    let (a, b) = (Node::start(&hub).await, Node::start(&hub).await);
    let (one, two) = (member(&a, "red").await, member(&b, "red").await);
    let (three, out) = (member(&b, "blue").await, connect(&b).await);
    let all = [&one, &two, &three, &out];
    let namespace = a.server.of("/");

    assert_eq!(namespace.to("red").emit("x", &1).unwrap(), 1, "on this node");
    assert_eq!(
        seen(&a, all, "x").await,
        [vec![json!(1)], vec![json!(1)], vec![], vec![]]
    );

    // A member of both rooms gets the event once.
    two.call("join", &json!("blue")).await.unwrap();
    namespace.to("red").to("blue").emit("x", &2).unwrap();
    let two_only = || vec![json!(2)];
    assert_eq!(
        seen(&a, all, "x").await,
        [two_only(), two_only(), two_only(), vec![]]
    );

    namespace.except("blue").emit("x", &3).unwrap();
    assert_eq!(
        seen(&a, all, "x").await,
        [vec![json!(3)], vec![], vec![], vec![json!(3)]]
    );

    namespace.local().emit("x", &4).unwrap();
    namespace.to("red").local().emit("x", &5).unwrap();
    assert_eq!(
        seen(&a, all, "x").await,
        [vec![json!(4), json!(5)], vec![], vec![], vec![]]
    );

    // To one socket on any node.
    namespace.to(three.id()).emit("x", &6).unwrap();
    namespace.to(one.id()).emit("x", &7).unwrap();
    assert_eq!(
        seen(&a, all, "x").await,
        [vec![json!(7)], vec![], vec![json!(6)], vec![]]
    );

    // From a socket to the others.
    one.call("shout", &json!("red")).await.unwrap();
    assert_eq!(
        seen(&a, all, "shout").await,
        [vec![], vec![json!("red")], vec![], vec![]]
    );
}

#[tokio::test]
async fn binary_events_reach_polling_clients_of_other_nodes() {
    let hub = Hub::default();
    let (a, b) = (Node::start(&hub).await, Node::start(&hub).await);
    let client = connect(&b).await;
    let path = b.joined().await;
    let mut payload = Payload::one(&"two").unwrap();
    payload.push_binary(vec![1, 2, 3].into());
    a.server
        .of("/")
        .everybody()
        .emit_payload("both", &payload)
        .unwrap();
    let event = client
        .take(PATIENCE, "both", |event| event.name == "both")
        .await
        .unwrap();
    assert_eq!(
        (event.args[0].clone(), event.attachments[0].to_vec()),
        (json!("two"), vec![1, 2, 3])
    );
    let answer = roomful_testkit::http::get(b.address, &path).await.unwrap().text();
    assert!(answer.starts_with("451-[\"both\",\"two\""), "{answer}");
    assert!(answer.ends_with("bAQID"), "{answer}");
}

#[tokio::test]
async fn nodes_receive_only_topics_of_their_rooms() {
    let hub = Hub::default();
    let buses = [
        Faulty::connect(&hub, 0),
        Faulty::connect(&hub, 0),
        Faulty::connect(&hub, 0),
    ];
    let [a, b, c] = [
        Node::start_on(buses[0].clone(), |builder| builder, |cluster| cluster).await,
        Node::start_on(buses[1].clone(), |builder| builder, |cluster| cluster).await,
        Node::start_on(buses[2].clone(), |builder| builder, |cluster| cluster).await,
    ];
    let (two, three) = (member(&b, "red").await, member(&c, "blue").await);
    for n in 0..10 {
        a.server.of("/").to("red").emit("x", &n).unwrap();
    }
    assert_eq!(seen(&a, [&two, &three], "x").await[0].len(), 10);
    let reached = |at: usize, room: &str| {
        let topics = buses[at].reached();
        topics.iter().filter(|topic| topic.ends_with(room)).count()
    };
    assert_eq!((reached(1, ":red"), reached(2, ":red")), (10, 0));
    assert_eq!(reached(2, ":blue"), 0);

    // The subscription ends some time after the last member has left.
    two.call("leave", &json!("red")).await.unwrap();
    assert!(buses[1].subscribed(":red"), "not at once: it may come back");
    tokio::time::timeout(
        LONG,
        buses[1].wait_for_topics(|topics| !topics.iter().any(|t| t.ends_with(":red"))),
    )
    .await
    .unwrap();
    // And starts again with the next member.
    two.call("join", &json!("red")).await.unwrap();
    a.server.of("/").to("red").emit("x", &10).unwrap();
    assert_eq!(two.next_event("x").await.unwrap(), json!(10));
}

/// Answers `ask` with its own id, if asked.
fn answering(client: SioClient) -> tokio::task::JoinHandle<SioClient> {
    tokio::spawn(async move {
        let event = client
            .take(LONG, "ask", |event| event.name == "ask")
            .await
            .unwrap();
        let id = event.ack.unwrap();
        assert!(
            i32::try_from(id).is_ok(),
            "the C++, Java and Rust clients cannot read {id}"
        );
        client.ack(id, &json!(client.id())).await.unwrap();
        client
    })
}

async fn ask(broadcast: Broadcast) -> Vec<(SocketId, Result<Value, AckError>)> {
    broadcast.emit_with_ack("ask", &1).await.unwrap()
}

#[tokio::test]
async fn acks_of_all_nodes_are_collected() {
    let hub = Hub::default();
    let [a, b, c] = [
        Node::start(&hub).await,
        Node::start(&hub).await,
        Node::start(&hub).await,
    ];
    let mut clients = Vec::new();
    for node in [&a, &b, &b, &c] {
        clients.push(answering(member(node, "red").await));
    }
    let out = connect(&b).await;
    let started = Instant::now();
    let outcomes = ask(a.server.of("/").to("red").timeout(LONG)).await;
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "no call waits for a time-out"
    );
    assert_eq!(outcomes.len(), 4);
    let answered: BTreeSet<_> = outcomes
        .iter()
        .map(|(id, outcome)| {
            assert_eq!(*outcome, Ok(json!(id.as_str())));
            id.as_str().to_owned()
        })
        .collect();
    let mut members = Vec::new();
    for client in clients {
        members.push(client.await.unwrap());
    }
    assert_eq!(answered, ids(&members));
    assert_eq!(out.drain("ask"), Vec::<Value>::new());

    // Clients that do not answer in time, on either node.
    let outcomes = ask(a.server.of("/").to("red").timeout(Duration::from_millis(500))).await;
    assert_eq!(outcomes.len(), 4);
    assert!(
        outcomes
            .iter()
            .all(|(_, outcome)| *outcome == Err(AckError::Timeout))
    );
    // An empty room.
    assert!(ask(a.server.of("/").to("none").timeout(LONG)).await.is_empty());
}

#[tokio::test]
async fn acks_do_not_wait_for_lost_clients_or_nodes() {
    let hub = Hub::default();
    let [a, b, c] = [
        Node::start(&hub).await,
        Node::start(&hub).await,
        Node::start(&hub).await,
    ];
    // One node has died, another will.
    let gone = Node::start(&hub).await;
    a.bus.leave(gone.card.tag.as_str(), Duration::ZERO).await.unwrap();
    gone.die_on_bus().await;
    let leaving = member(&b, "red").await;
    let dying = member(&c, "red").await;
    let started = Instant::now();
    let namespace = a.server.of("/");
    let asking = tokio::spawn(ask(namespace.to("red").timeout(LONG)));
    leaving
        .take(PATIENCE, "ask", |event| event.name == "ask")
        .await
        .unwrap();
    dying
        .take(PATIENCE, "ask", |event| event.name == "ask")
        .await
        .unwrap();
    let lost = ids([&leaving, &dying]);
    leaving.cut().await;
    a.bus.leave(c.card.tag.as_str(), Duration::ZERO).await.unwrap();
    c.die_on_bus().await;
    let outcomes = asking.await.unwrap();
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "{:?}",
        started.elapsed()
    );
    let reported: BTreeSet<_> = outcomes
        .iter()
        .map(|(id, outcome)| {
            assert_eq!(*outcome, Err(AckError::Disconnected), "{id}");
            id.as_str().to_owned()
        })
        .collect();
    assert_eq!(reported, lost);
}

#[tokio::test]
async fn a_lost_node_does_not_block_operations_on_all_nodes() {
    let hub = Hub::default();
    let [a, b, gone] = [
        Node::start(&hub).await,
        Node::start(&hub).await,
        Node::start(&hub).await,
    ];
    a.bus.leave(gone.card.tag.as_str(), Duration::ZERO).await.unwrap();
    gone.die_on_bus().await;
    let (here, there) = (member(&a, "red").await, member(&b, "red").await);
    let started = Instant::now();
    let namespace = a.server.of("/");
    namespace.to("red").join("blue");
    let listed = namespace.to("blue").timeout(LONG).fetch_sockets().await.unwrap();
    let listed: BTreeSet<_> = listed
        .iter()
        .map(|socket| socket.id().as_str().to_owned())
        .collect();
    assert_eq!(listed, ids([&here, &there]));
    namespace.to("blue").disconnect(true);
    for client in [&here, &there] {
        assert_eq!(client.wait_end(PATIENCE).await.unwrap(), End::Disconnected);
    }
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn a_silent_node_delays_a_call_by_its_time_out() {
    let hub = Hub::default();
    let (a, b) = (Node::start(&hub).await, Node::start(&hub).await);
    let here = answering(connect(&a).await);
    b.die_on_bus().await;
    let outcomes = ask(a.server.of("/").everybody().timeout(Duration::from_millis(600))).await;
    assert_eq!(outcomes.len(), 1, "{outcomes:?}");
    assert!(outcomes[0].1.is_ok());
    here.await.unwrap();
    let everybody = a.server.of("/").everybody().timeout(Duration::from_millis(600));
    assert_eq!(
        everybody.fetch_sockets().await.err(),
        Some(roomful_socket::FetchError::TimedOut)
    );
}

#[tokio::test]
async fn remote_sockets_are_listed_and_reached() {
    let hub = Hub::default();
    let (a, b) = (Node::start(&hub).await, Node::start(&hub).await);
    let (one, two, three) = (
        member(&a, "red").await,
        member(&b, "red").await,
        connect(&b).await,
    );
    let all = a.server.of("/").fetch_sockets().await.unwrap();
    let listed: BTreeSet<_> = all.iter().map(|socket| socket.id().as_str().to_owned()).collect();
    assert_eq!(listed, ids([&one, &two, &three]));
    let red = a.server.of("/").to("red").fetch_sockets().await.unwrap();
    assert_eq!(red.len(), 2);
    let remote = red
        .iter()
        .find(|socket| socket.id().as_str() == two.id())
        .unwrap();
    assert_eq!(remote.node(), Some(b.card.tag));
    assert_eq!(remote.rooms(), ["red"]);
    assert!(remote.address().is_loopback());
    assert_eq!(remote.header("upgrade"), Some("websocket"));
    assert!(
        remote.query().contains("transport=websocket"),
        "{}",
        remote.query()
    );

    let clients = [&one, &two, &three];
    remote.emit("x", &1).unwrap();
    assert_eq!(seen(&a, clients, "x").await, [vec![], vec![json!(1)], vec![]]);
    remote.join("blue");
    remote.leave("red");
    a.server.of("/").to("blue").emit("x", &2).unwrap();
    a.server.of("/").to("red").emit("x", &3).unwrap();
    assert_eq!(
        seen(&a, clients, "x").await,
        [vec![json!(3)], vec![json!(2)], vec![]]
    );
    remote.disconnect(false);
    assert_eq!(two.wait_end(PATIENCE).await.unwrap(), End::Disconnected);
    assert!(three.end().is_none());
}

#[tokio::test]
async fn broadcasts_join_leave_and_disconnect_on_all_nodes() {
    let hub = Hub::default();
    let (a, b) = (Node::start(&hub).await, Node::start(&hub).await);
    let (one, two, three) = (
        member(&a, "red").await,
        member(&b, "red").await,
        connect(&b).await,
    );
    let clients = [&one, &two, &three];
    let namespace = a.server.of("/");
    namespace.to("red").join("blue");
    namespace.to("blue").emit("x", &1).unwrap();
    assert_eq!(
        seen(&a, clients, "x").await,
        [vec![json!(1)], vec![json!(1)], vec![]]
    );
    namespace.everybody().leave("red");
    namespace.to("red").emit("x", &2).unwrap();
    assert_eq!(seen(&a, clients, "x").await, [const { Vec::<Value>::new() }; 3]);
    namespace.to("blue").local().disconnect(true);
    assert_eq!(one.wait_end(PATIENCE).await.unwrap(), End::Disconnected);
    assert!(two.end().is_none());
    namespace.to("blue").disconnect(true);
    assert_eq!(two.wait_end(PATIENCE).await.unwrap(), End::Disconnected);
    assert!(three.end().is_none());
}

#[tokio::test]
async fn a_lossy_bus_loses_deliveries_only() {
    let hub = Hub::default();
    let [a, b] = [
        Node::start_on(Faulty::connect(&hub, 30), |builder| builder, |cluster| cluster).await,
        Node::start_on(Faulty::connect(&hub, 30), |builder| builder, |cluster| cluster).await,
    ];
    let (one, two) = (member(&a, "red").await, member(&b, "red").await);
    let namespace = a.server.of("/");
    for n in 0..200 {
        namespace.to("red").emit("x", &n).unwrap();
    }
    // The node's own sockets lose nothing.
    one.find_event(PATIENCE, "x", |n| *n == json!(199)).await.unwrap();
    assert_eq!(one.drain("x").len(), 199);
    // Lists are requested repeatedly until they arrive.
    for _ in 0..10 {
        assert_eq!(namespace.fetch_sockets().await.unwrap().len(), 2);
    }
    let got = two.drain("x").len();
    assert!((100..200).contains(&got), "{got}");
    // A client that did not get the event, or whose answer was lost, times out.
    let asked = (0..10).map(|_| ask(namespace.to("red").timeout(Duration::from_secs(4))));
    for outcomes in futures_util::future::join_all(asked).await {
        assert!(outcomes.len() == 2, "{outcomes:?}");
        assert!(
            outcomes
                .iter()
                .all(|(_, outcome)| *outcome == Err(AckError::Timeout))
        );
    }
    // A repeated action arrives at some point.
    while two.end().is_none() {
        namespace.to(two.id()).disconnect(false);
        tokio::task::yield_now().await;
    }
    assert!(one.end().is_none());
}

#[tokio::test]
async fn malformed_bus_messages_are_ignored() {
    let hub = Hub::default();
    let node = Node::start(&hub).await;
    let client = member(&node, "red").await;
    let stranger = hub.connect();
    let topics = [
        format!("node:{}", node.card.tag),
        "namespace:/".to_owned(),
        "room:1:/:red".to_owned(),
    ];
    for topic in &topics {
        for message in [
            &b""[..],
            b"\0\0\0\x02{}",
            b"\xff\xff\xff\xff",
            b"{\"from\":1}",
            &[0; 1000],
        ] {
            stranger.publish(topic, message.to_vec().into());
        }
    }
    client.emit("echo", &json!(1)).await.unwrap();
    assert_eq!(client.next_event("echo").await.unwrap(), json!(1));
}

#[tokio::test]
async fn server_side_events_reach_all_other_nodes() {
    let hub = Hub::default();
    let [a, b, c] = [
        Node::start(&hub).await,
        Node::start(&hub).await,
        Node::start(&hub).await,
    ];
    let (events, mut received) = tokio::sync::mpsc::channel(8);
    for (name, node) in [("a", &a), ("b", &b), ("c", &c)] {
        let events = events.clone();
        node.server.of("/").on_server_side("reload", move |event| {
            let args: (String, Binary) = event.payload.to_args().unwrap();
            events.try_send((name, event.from, args)).unwrap();
        });
    }
    let args = ("rules".to_owned(), Binary::from(vec![1, 2]));
    let payload = Payload::args(&args).unwrap();
    // The bus keeps the order, so an event that comes back to its own node would be the first one here.
    for (sender, others) in [(&a, ["b", "c"]), (&b, ["a", "c"])] {
        sender.server.of("/").server_side_emit_payload("reload", &payload);
        let mut reached = Vec::new();
        for _ in others {
            let (name, from, received) = received.recv().await.unwrap();
            assert_eq!((from, &received), (sender.card.tag, &args));
            reached.push(name);
        }
        reached.sort_unstable();
        assert_eq!(reached, others);
    }
    assert!(received.try_recv().is_err());
}
