//! Tests of a cluster on Redis Cluster and on Redis with Sentinel.

use roomful_testkit::{
    RedisCluster,
    sentinel::{MASTER, Watched},
};
use serde_json::json;

use crate::nodes::{Nodes, known_to, ok, say, seq};

/// Checks that two nodes see each other's heartbeat, presence and messages. `round` makes the user names
/// unique.
async fn meet<R>(nodes: &Nodes<R>, round: &str) {
    for node in 0..2 {
        while known_to(&nodes[node]).await != ["node-0", "node-1"] {}
    }
    let [alice, bob] = ["alice", "bob"].map(|name| format!("{name}-{round}"));
    let at_first = nodes.joined(0, &alice, "lobby").await;
    let at_second = nodes.joined(1, &bob, "lobby").await;
    // Presence uses only the bus. Messages would also arrive through the store, but later.
    let came = at_first.next_event("presence:online").await.unwrap();
    assert_eq!(came["userId"], bob.as_str());
    let asked = json!({ "users": [&alice] });
    let known = ok(at_second.call("presence:subscribe", &asked).await.unwrap());
    assert_eq!(known["users"][0]["status"], "online", "{known}");
    for (from, name) in [(&at_first, &alice), (&at_second, &bob)] {
        let said = say(from, "lobby", &format!("by {name}")).await;
        for client in [&at_first, &at_second] {
            let received = client.next_event("chat:receive_message").await.unwrap();
            assert_eq!(seq(&received), seq(&said));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_work_on_a_redis_cluster() {
    let redis = RedisCluster::start(3, &[]).await.unwrap();
    let url = format!("redis+cluster://{}", redis.nodes()[0].addr());
    let nodes = Nodes::start_on(2, redis, &url).await;
    meet(&nodes, "once").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_work_on_a_sentinels_master_and_after_its_failover() {
    let redis = Watched::start("pw").await.unwrap();
    let url = format!("redis+sentinel://:pw@{}/{MASTER}", redis.sentinel.addr());
    let mut nodes = Nodes::start_on(2, redis, &url).await;
    meet(&nodes, "before").await;
    nodes.redis.master.kill9().await.unwrap();
    nodes.redis.wait_failover().await.unwrap();
    // The old master is gone, so a ready node has a lease on the new one.
    while !nodes.is_ready(0).await || !nodes.is_ready(1).await {}
    meet(&nodes, "after").await;
}
