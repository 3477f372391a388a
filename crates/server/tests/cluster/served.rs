//! Tests of interest-based routing: a node gets the messages of rooms with local subscribers, and only
//! positions of others.

use roomful_testkit::http;

use crate::nodes::{Nodes, say};

/// The number of subscribed nodes per room channel, sorted.
async fn subscribers(nodes: &Nodes) -> Vec<u64> {
    let mut redis = nodes.redis.client().await.unwrap();
    let channels = redis.call(&["PUBSUB", "CHANNELS", "roomful:t:*:room:*"]).await;
    let channels = channels.unwrap();
    let channels = channels
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|name| name.as_str());
    let mut counts = Vec::new();
    for channel in channels {
        let count = redis.call(&["PUBSUB", "NUMSUB", channel]).await.unwrap();
        counts.push(count[1].as_u64().unwrap());
    }
    counts.sort_unstable();
    counts
}

/// The number of messages that a node has received from Redis.
async fn received(nodes: &Nodes, node: usize) -> u64 {
    let metrics = http::get(nodes[node].addr(), "/metrics").await.unwrap().text();
    let mut lines = metrics.lines();
    let count = lines.find_map(|line| line.strip_prefix("roomful_bus_received_total "));
    count.map_or(0, |count| count.trim().parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_nodes_with_subscribers_get_messages_and_the_others_get_positions() {
    const SAID: u64 = 100;
    let nodes = Nodes::start(3).await;
    let alice = nodes.joined(0, "alice", "red").await;
    let bob = nodes.joined(1, "bob", "red").await;
    let carol = nodes.joined(2, "carol", "blue").await;
    let dave = nodes.joined(0, "dave", "blue").await;
    // Once these messages have arrived, so have all earlier effects of the joins.
    say(&alice, "red", "first").await;
    bob.next_event("chat:receive_message").await.unwrap();
    say(&dave, "blue", "first").await;
    carol.next_event("chat:receive_message").await.unwrap();
    assert_eq!(
        subscribers(&nodes).await,
        [2, 2, 3],
        "red, blue, and the servers' own channel"
    );

    let before = [received(&nodes, 1).await, received(&nodes, 2).await];
    for n in 0..SAID {
        say(&alice, "red", &n.to_string()).await;
    }
    for _ in 0..SAID {
        bob.next_event("chat:receive_message").await.unwrap();
    }
    // Messages of one node arrive in order, so this is the last one to count.
    say(&dave, "blue", "last").await;
    carol.next_event("chat:receive_message").await.unwrap();

    let serving = received(&nodes, 1).await - before[0];
    let other = received(&nodes, 2).await - before[1];
    assert!(serving >= 2 * SAID, "{serving}: each message and its position");
    assert!(
        (SAID..SAID + 10).contains(&other),
        "{other}: each position, and dave's message"
    );
}
