//! Clients of a session whose owner, or the node in between, has died.

use std::time::Duration;

use roomful_bus::Hub;
use roomful_socket::{Drain, Drained};
use roomful_testkit::{
    PATIENCE,
    http::{self, HttpClient},
    ws::{Frame, WsClient},
};
use tokio::time::Instant;

use crate::nodes::{Node, POLLING, Puppet, post, refusal};

/// Far below the deadline of a poll.
const QUICK: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_dead_owner_makes_its_sessions_unknown_at_once() {
    let hub = Hub::default();
    let (owner, other) = (Node::start(&hub).await, Node::start(&hub).await);
    let path = owner.joined().await;
    // The other node knows the owner and keeps a connection to it.
    assert_eq!(post(other.address, &path, "42[\"nothing\"]").await.text(), "ok");
    let mut parked = HttpClient::connect(other.address).await.unwrap();
    parked.send("GET", &path, &[], b"").await.unwrap();
    let started = Instant::now();
    let card = owner.die();
    assert_eq!(
        refusal(&parked.answer().await.unwrap()),
        (400, Some(1)),
        "a parked poll"
    );
    assert_eq!(refusal(&post(other.address, &path, "40").await), (400, Some(1)));
    // Its lease has not ended: the directory still lists it.
    let answer = http::get(other.address, &path).await.unwrap();
    assert_eq!(refusal(&answer), (400, Some(1)));
    other.bus.leave(card.tag.as_str(), Duration::ZERO).await.unwrap();
    let answer = http::get(other.address, &path).await.unwrap();
    assert_eq!(refusal(&answer), (400, Some(1)));
    assert!(started.elapsed() < QUICK, "{:?}", started.elapsed());
    // The client reconnects.
    other.joined().await;
}

#[tokio::test]
async fn a_tunnel_ends_with_the_owner() {
    let hub = Hub::default();
    let (owner, other) = (Node::start(&hub).await, Node::start(&hub).await);
    let path = owner.joined().await;
    let target = path.replace("transport=polling", "transport=websocket");
    let mut ws = WsClient::connect(other.address, &target, &[]).await.unwrap();
    ws.send_text("2probe").await.unwrap();
    assert_eq!(
        ws.recv_within(PATIENCE).await.unwrap(),
        Frame::Text("3probe".to_owned())
    );
    owner.die();
    assert_eq!(ws.recv_within(PATIENCE).await.unwrap(), Frame::Eof);
}

#[tokio::test]
async fn an_incomplete_response_of_the_owner_is_an_error() {
    let hub = Hub::default();
    let node = Node::start(&hub).await;
    let puppet = Puppet::list(&hub).await;
    for (sent, known) in [
        ("", true),
        ("no HTTP at all\r\n\r\n", true),
        (
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
            true,
        ),
        ("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", false),
    ] {
        let mut client = HttpClient::connect(node.address).await.unwrap();
        client.send("GET", &puppet.session(), &[], b"").await.unwrap();
        let (mut stream, _) = puppet.request().await;
        tokio::io::AsyncWriteExt::write_all(&mut stream, sent.as_bytes())
            .await
            .unwrap();
        drop(stream);
        match client.answer().await {
            Ok(answer) => assert!(
                known && refusal(&answer) == (400, Some(1)),
                "{sent:?}: {answer:?}"
            ),
            // An incomplete response also fails for the client.
            Err(error) => assert!(!known, "{sent:?}: {error}"),
        }
    }
}

/// Opens through `between` a parked poll, and an upgrade that is not complete.
async fn carried(owner: &Node, between: &Node) -> (HttpClient, WsClient) {
    let path = owner.joined().await;
    let mut parked = HttpClient::connect(between.address).await.unwrap();
    parked.send("GET", &path, &[], b"").await.unwrap();
    let target = owner
        .joined()
        .await
        .replace("transport=polling", "transport=websocket");
    let mut ws = WsClient::connect(between.address, &target, &[]).await.unwrap();
    ws.send_text("2probe").await.unwrap();
    assert_eq!(
        ws.recv_within(PATIENCE).await.unwrap(),
        Frame::Text("3probe".to_owned())
    );
    (parked, ws)
}

#[tokio::test]
async fn a_closing_node_ends_forwarded_requests() {
    let hub = Hub::default();
    let (owner, between) = (Node::start(&hub).await, Node::start(&hub).await);
    let (mut parked, mut ws) = carried(&owner, &between).await;
    between.server.close().await;
    assert_eq!(refusal(&parked.answer().await.unwrap()), (400, Some(1)));
    assert_eq!(ws.recv_within(PATIENCE).await.unwrap(), Frame::Eof);
}

#[tokio::test]
async fn a_draining_node_ends_tunnels_and_still_forwards_polls() {
    let hub = Hub::default();
    let (owner, between) = (Node::start(&hub).await, Node::start(&hub).await);
    let (mut parked, mut ws) = carried(&owner, &between).await;
    let drain = Drain::over(Duration::from_millis(100)).every(Duration::from_millis(10));
    assert_eq!(between.server.drain(drain).await, Drained { ended: 0, left: 0 });
    assert_eq!(ws.recv_within(PATIENCE).await.unwrap(), Frame::Eof);
    owner.server.of("/").emit("x", &1).unwrap();
    assert_eq!(parked.answer().await.unwrap().text(), "42[\"x\",1]");
}

#[tokio::test]
async fn a_new_node_is_found() {
    let hub = Hub::default();
    let node = Node::start(&hub).await;
    let unknown = format!("{POLLING}&sid=AAAAAAAA{}", "A".repeat(20));
    http::get(node.address, &unknown).await.unwrap();
    let newcomer = Node::start(&hub).await;
    let path = newcomer.joined().await;
    assert_eq!(post(node.address, &path, "42[\"echo\",1]").await.text(), "ok");
}
