//! Long-polling through any node.

use roomful_bus::Hub;
use roomful_testkit::{
    http::{self, HttpClient},
    ws::WsClient,
};

use tokio::io::AsyncReadExt;

use crate::{
    balancer,
    nodes::{Node, POLLING, Puppet, at_most, post, refusal},
};

#[tokio::test]
async fn each_request_of_a_session_may_reach_another_node() {
    let hub = Hub::default();
    let nodes = [
        Node::start(&hub).await,
        Node::start(&hub).await,
        Node::start(&hub).await,
    ];
    let address = balancer::start(nodes.iter().map(|node| node.address).collect()).await;
    for _ in 0..4 {
        let answer = http::get(address, POLLING).await.unwrap();
        let open: serde_json::Value = serde_json::from_str(&answer.text()[1..]).unwrap();
        let path = format!("{POLLING}&sid={}", open["sid"].as_str().unwrap());
        assert_eq!(post(address, &path, "40").await.text(), "ok");
        let answer = http::get(address, &path).await.unwrap().text();
        assert!(answer.starts_with("40{\"sid\":"), "{answer}");
        let body = "42[\"echo\",1]\u{1e}451-[\"echo\",{\"_placeholder\":true,\"num\":0}]\u{1e}bAQIDBA==";
        for _ in 0..4 {
            assert_eq!(post(address, &path, body).await.text(), "ok");
            let mut received = String::new();
            while received.len() < body.len() {
                if !received.is_empty() {
                    received.push('\u{1e}');
                }
                let answer = http::get(address, &path).await.unwrap();
                assert_eq!(answer.header("cache-control"), Some("no-store"));
                received.push_str(&answer.text());
            }
            assert_eq!(received, body);
        }
    }
    let sessions: Vec<_> = nodes.iter().map(|node| node.server.connections()).collect();
    assert_eq!(sessions.iter().sum::<usize>(), 4, "{sessions:?}");
    assert!(sessions.iter().all(|&count| count > 0), "{sessions:?}");
}

#[tokio::test]
async fn forwarding_keeps_large_answers_and_refuses_large_bodies() {
    let hub = Hub::default();
    let owner = Node::start_with(&hub, |builder| builder.max_payload(100_000), |cluster| cluster).await;
    let other = Node::start(&hub).await;
    let path = owner.joined().await;
    let event = format!("42[\"echo\",\"{}\"]", "x".repeat(90_000));
    assert_eq!(post(other.address, &path, &event).await.text(), "ok");
    assert_eq!(http::get(other.address, &path).await.unwrap().text(), event);
    let answer = post(other.address, &path, &"x".repeat(100_001)).await;
    assert_eq!((answer.status, answer.body.len()), (413, 0));
    owner.wait_for_sessions(0).await;
}

#[tokio::test]
async fn a_second_poll_at_another_node_ends_the_session() {
    let hub = Hub::default();
    let (owner, other) = (Node::start(&hub).await, Node::start(&hub).await);
    let path = owner.joined().await;
    let mut poll = HttpClient::connect(other.address).await.unwrap();
    poll.send("GET", &path, &[], b"").await.unwrap();
    // The first is parked there. A second one is refused and ends the session, as without forwarding.
    let mut second = HttpClient::connect(other.address).await.unwrap();
    second.send("GET", &path, &[], b"").await.unwrap();
    let (first, second) = (poll.answer().await.unwrap(), second.answer().await.unwrap());
    let mut statuses = [first.status, second.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400]);
    owner.wait_for_sessions(0).await;
}

#[tokio::test]
async fn an_aborted_poll_is_aborted_at_the_owner() {
    let hub = Hub::default();
    let node = Node::start(&hub).await;
    let puppet = Puppet::list(&hub).await;
    let mut poll = HttpClient::connect(node.address).await.unwrap();
    poll.send("GET", &puppet.session(), &[], b"").await.unwrap();
    let (mut stream, _) = puppet.request().await;
    poll.abort();
    // Closed or reset: the owner treats both as an aborted poll.
    assert!(matches!(stream.read(&mut [0]).await, Ok(0) | Err(_)));
}

#[tokio::test]
async fn requests_to_one_peer_are_limited() {
    let hub = Hub::default();
    let owner = Node::start(&hub).await;
    let other = Node::start_with(&hub, |builder| builder, |cluster| cluster.bounds(at_most(1))).await;
    let (first, second) = (owner.joined().await, owner.joined().await);
    let target = first.replace("transport=polling", "transport=websocket");
    let tunnel = WsClient::connect(other.address, &target, &[]).await.unwrap();
    let answer = post(other.address, &second, "42[\"nothing\"]").await;
    assert_eq!(refusal(&answer), (503, Some(4)));
    tunnel.abort();
    // Its slot is free once the tunnel has noticed.
    while post(other.address, &second, "42[\"nothing\"]").await.text() != "ok" {}
}
