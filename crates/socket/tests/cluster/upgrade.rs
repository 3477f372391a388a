//! Upgrades to WebSocket through any node by a tunnel to the session's owner, and WebSocket without an
//! upgrade, which needs no tunnel.

use roomful_bus::Hub;
use roomful_testkit::{
    PATIENCE,
    http::{self, HttpClient},
    sio::SioClient,
    ws::{Frame, WsClient},
};
use serde_json::{Value, json};

use crate::{
    balancer,
    nodes::{Node, post},
};

async fn text(ws: &mut WsClient) -> String {
    match ws.recv_within(PATIENCE).await.unwrap() {
        Frame::Text(text) => text,
        other => panic!("{other:?}"),
    }
}

/// Upgrades a session through `at` while its poll is parked at `parked_at`.
async fn upgraded(path: &str, at: &Node, parked_at: &Node) -> WsClient {
    let mut poll = HttpClient::connect(parked_at.address).await.unwrap();
    poll.send("GET", path, &[], b"").await.unwrap();
    let target = path.replace("transport=polling", "transport=websocket");
    let mut ws = WsClient::connect(at.address, &target, &[]).await.unwrap();
    ws.send_text("2probe").await.unwrap();
    assert_eq!(text(&mut ws).await, "3probe");
    assert_eq!(poll.answer().await.unwrap().text(), "6");
    ws.send_text("5").await.unwrap();
    ws
}

#[tokio::test]
async fn a_tunnel_carries_both_directions() {
    let hub = Hub::default();
    let nodes = [
        Node::start(&hub).await,
        Node::start(&hub).await,
        Node::start(&hub).await,
    ];
    let [owner, second, third] = &nodes;
    let path = owner.joined().await;
    let mut ws = upgraded(&path, second, third).await;
    for size in [1, 1000, 500_000] {
        let event = format!("42[\"echo\",\"{}\"]", "x".repeat(size));
        // Concurrently: the echoes must not wait until everything is sent.
        ws.send_text(&event).await.unwrap();
        assert_eq!(text(&mut ws).await, event);
    }
    assert_eq!(owner.server.connections(), 1);
    ws.send_close(Some(1000)).await.unwrap();
    assert_eq!(ws.recv_close(PATIENCE).await.unwrap(), Some(1000));
    owner.wait_for_sessions(0).await;
}

#[tokio::test]
async fn an_end_of_one_side_ends_the_tunnel() {
    let hub = Hub::default();
    let (owner, other) = (Node::start(&hub).await, Node::start(&hub).await);
    let ws = upgraded(&owner.joined().await, &other, &other).await;
    owner.wait_for_sessions(1).await;
    ws.abort();
    owner.wait_for_sessions(0).await;

    let mut ws = upgraded(&owner.joined().await, &other, &other).await;
    ws.send_text("42[\"echo\",1]").await.unwrap();
    assert_eq!(text(&mut ws).await, "42[\"echo\",1]");
    let server = owner.server.clone();
    let closing = tokio::spawn(async move { server.close().await });
    assert_eq!(text(&mut ws).await, "2", "the final ping");
    ws.send_text("3").await.unwrap();
    assert_eq!(ws.recv_within(PATIENCE).await.unwrap(), Frame::Eof);
    drop(ws);
    closing.await.unwrap();
}

#[tokio::test]
async fn a_slow_consumer_behind_a_tunnel_is_closed() {
    let hub = Hub::default();
    let owner = Node::start_with(&hub, |builder| builder.outbox(64 * 1024, 64), |cluster| cluster).await;
    let other = Node::start(&hub).await;
    let ws = upgraded(&owner.joined().await, &other, &other).await;
    let filler = "x".repeat(16 * 1024);
    while owner.server.connections() > 0 {
        owner.server.of("/").emit("filler", &filler).unwrap();
        tokio::task::yield_now().await;
    }
    drop(ws);
}

#[tokio::test]
async fn a_refused_upgrade_is_refused_through_another_node() {
    let hub = Hub::default();
    let owner = Node::start_with(&hub, |builder| builder.allow_upgrades(false), |cluster| cluster).await;
    let other = Node::start(&hub).await;
    let path = owner.joined().await;
    let target = path.replace("transport=polling", "transport=websocket");
    let error = WsClient::connect(other.address, &target, &[]).await.unwrap_err();
    assert!(error.to_string().contains("400"), "{error}");
    // The session continues with polling.
    assert_eq!(post(other.address, &path, "42[\"echo\",1]").await.text(), "ok");
    assert_eq!(
        http::get(other.address, &path).await.unwrap().text(),
        "42[\"echo\",1]"
    );
}

#[tokio::test]
async fn websocket_without_polling_needs_no_other_node() {
    let hub = Hub::default();
    let nodes = [Node::start(&hub).await, Node::start(&hub).await];
    let address = balancer::start(nodes.iter().map(|node| node.address).collect()).await;
    let mut clients = Vec::new();
    for n in 0..4 {
        let client = SioClient::connect(address, "/", &Value::Null).await.unwrap();
        client.emit("echo", &json!(n)).await.unwrap();
        assert_eq!(client.next_event("echo").await.unwrap(), json!(n));
        clients.push(client);
    }
    assert_eq!(nodes[0].server.connections(), 2);
    assert_eq!(nodes[1].server.connections(), 2);
}
