//! What reaches a node over Redis: what is said in rooms that it serves, and of all others only that something was said.

use roomful_testkit::http;

use crate::nodes::{Nodes, say};

/// How many nodes hear each room's channel, the fewest first.
async fn heard(nodes: &Nodes) -> Vec<u64> {
    let mut redis = nodes.redis.client().await.unwrap();
    let channels = redis.call(&["PUBSUB", "CHANNELS", "roomful:t:*:room:*"]).await;
    let channels = channels.unwrap();
    let channels = channels
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|name| name.as_str());
    let mut heard = Vec::new();
    for channel in channels {
        let count = redis.call(&["PUBSUB", "NUMSUB", channel]).await.unwrap();
        heard.push(count[1].as_u64().unwrap());
    }
    heard.sort_unstable();
    heard
}

/// Messages that a node has had from Redis so far.
async fn received(nodes: &Nodes, node: usize) -> u64 {
    let metrics = http::get(nodes[node].addr(), "/metrics").await.unwrap().text();
    let mut lines = metrics.lines();
    let count = lines.find_map(|line| line.strip_prefix("roomful_bus_received_total "));
    count.map_or(0, |count| count.trim().parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_in_a_room_goes_to_nodes_that_serve_it_and_the_others_hear_of_places_alone() {
    const SAID: u64 = 100;
    let nodes = Nodes::start(3).await;
    let alice = nodes.joined(0, "alice", "red").await;
    let bob = nodes.joined(1, "bob", "red").await;
    let carol = nodes.joined(2, "carol", "blue").await;
    let dave = nodes.joined(0, "dave", "blue").await;
    // Until what was said last before is heard everywhere, so is what joining has caused.
    say(&alice, "red", "first").await;
    bob.next_event("chat:receive_message").await.unwrap();
    say(&dave, "blue", "first").await;
    carol.next_event("chat:receive_message").await.unwrap();
    assert_eq!(heard(&nodes).await, [2, 2, 3], "red, blue, and the servers' own");

    let before = [received(&nodes, 1).await, received(&nodes, 2).await];
    for n in 0..SAID {
        say(&alice, "red", &n.to_string()).await;
    }
    for _ in 0..SAID {
        bob.next_event("chat:receive_message").await.unwrap();
    }
    // What one node says comes in its order, so this is the last that there is to count.
    say(&dave, "blue", "last").await;
    carol.next_event("chat:receive_message").await.unwrap();

    let serving = received(&nodes, 1).await - before[0];
    let other = received(&nodes, 2).await - before[1];
    assert!(serving >= 2 * SAID, "{serving}: each message, and its place");
    assert!(
        (SAID..SAID + 10).contains(&other),
        "{other}: each place, and dave's"
    );
}
