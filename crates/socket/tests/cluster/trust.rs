//! Requests that a node trusts, and the addresses to which it forwards.

use std::sync::Arc;

use crate::nodes::{LEASE, Node, POLLING, Puppet, SECRET, post, refusal};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use roomful_bus::Hub;
use roomful_socket::cluster::{Cluster, ClusterError, MembershipDirectory, NodeAddress, NodeTag};
use roomful_testkit::{
    http::{self, HttpClient},
    ws::WsClient,
};

const FORWARDED: &str = "x-roomful-forwarded";

fn tag(path: &str) -> NodeTag {
    NodeTag::parse(&path[path.find("sid=").unwrap() + 4..][..8]).unwrap()
}

#[tokio::test]
async fn a_session_id_starts_with_the_tag_of_its_node() {
    let hub = Hub::default();
    let node = Node::start(&hub).await;
    let path = node.open().await;
    assert_eq!(tag(&path), node.card.tag);
    let sid = path.split("sid=").nth(1).unwrap();
    assert_eq!(sid.len(), 8 + 20, "120 secret bits behind the tag");
}

#[tokio::test]
async fn invented_session_ids_are_unknown() {
    let hub = Hub::default();
    let (node, other) = (Node::start(&hub).await, Node::start(&hub).await);
    let secret = "A".repeat(20);
    let sids = [
        format!("{}{secret}", node.card.tag),
        format!("{}{secret}", other.card.tag),
        format!("AAAAAAAA{secret}"),
        secret.clone(),
        format!("{}", other.card.tag),
        format!("{}{secret}A", other.card.tag),
        "127.0.0.1:1/AAAAAAAAAAAAAAAAAAAA".to_owned(),
        "__proto__".to_owned(),
    ];
    for sid in sids {
        let path = format!("{POLLING}&sid={sid}");
        let answer = http::get(node.address, &path).await.unwrap();
        assert_eq!(refusal(&answer), (400, Some(1)), "{sid}");
        let answer = post(node.address, &path, "40").await;
        assert_eq!(refusal(&answer), (400, Some(1)), "{sid}");
        let path = path.replace("polling", "websocket");
        assert!(
            WsClient::connect(node.address, &path, &[]).await.is_err(),
            "{sid}"
        );
    }
}

#[tokio::test]
async fn an_invalid_signature_is_forbidden() {
    let hub = Hub::default();
    let (owner, other) = (Node::start(&hub).await, Node::start(&hub).await);
    let path = owner.joined().await;
    for value in ["", "192.0.2.1", "192.0.2.1 AAAA", "what only the nodes know"] {
        for node in [&owner, &other] {
            for path in [&path[..], POLLING] {
                let answer = http::request(node.address, "GET", path, &[(FORWARDED, value)], b"")
                    .await
                    .unwrap();
                assert_eq!(refusal(&answer), (403, Some(4)), "{value:?} {path}");
            }
        }
    }
    // The session still works.
    assert_eq!(post(other.address, &path, "42[\"echo\",1]").await.text(), "ok");
}

#[tokio::test]
async fn a_signature_with_another_secret_is_forbidden() {
    let hub = Hub::default();
    let owner = Node::start(&hub).await;
    let stranger = Node::start_with(
        &hub,
        |builder| builder,
        |cluster| {
            let directory = Arc::new(MembershipDirectory::new(hub.connect()));
            Cluster::new(
                &cluster.node_address().advertise,
                b"a secret of no other node",
                directory,
            )
            .unwrap()
        },
    )
    .await;
    let path = owner.joined().await;
    assert_eq!(
        refusal(&post(stranger.address, &path, "42[\"echo\",1]").await),
        (403, Some(4))
    );
}

#[tokio::test]
async fn a_forwarded_request_is_not_forwarded_again() {
    let hub = Hub::default();
    let first = Node::start(&hub).await;
    let recorder = DebuggingRecorder::new();
    let recording = metrics::set_default_local_recorder(&recorder);
    let second = Node::start(&hub).await;
    drop(recording);
    // A node has left, another one has started at its address, and the directory still lists the old one.
    let gone = Puppet::list(&hub).await.card;
    let old = NodeAddress {
        tag: gone.tag,
        advertise: second.address.to_string(),
    };
    first
        .bus
        .heartbeat(gone.tag.as_str(), old.to_bytes(), LEASE)
        .await
        .unwrap();
    let path = format!("{POLLING}&sid={}{}", gone.tag, "A".repeat(20));
    let answer = http::get(first.address, &path).await.unwrap();
    assert_eq!(refusal(&answer), (400, Some(1)));
    let figures = recorder.snapshotter().snapshot().into_vec();
    let misdirected = figures
        .into_iter()
        .find(|(key, ..)| key.key().name() == "roomful_forward_misdirected_total");
    assert!(matches!(misdirected, Some((.., DebugValue::Counter(1)))));
}

#[tokio::test]
async fn the_owner_gets_a_signed_request_without_hop_by_hop_headers() {
    let hub = Hub::default();
    let node = Node::start(&hub).await;
    let puppet = Puppet::list(&hub).await;
    let mut client = HttpClient::connect(node.address).await.unwrap();
    let headers = [
        ("connection", "keep-alive, x-mine"),
        ("x-mine", "1"),
        ("cookie", "a=b"),
        ("origin", &format!("http://{}", node.address)),
    ];
    client
        .send("GET", &puppet.session(), &headers, b"")
        .await
        .unwrap();
    let (mut stream, head) = puppet.request().await;
    let head = head.to_ascii_lowercase();
    assert!(head.contains(&format!("{FORWARDED}: 127.0.0.1 ")), "{head}");
    assert!(
        head.contains("cookie: a=b") && head.contains(&format!("host: {}", puppet.card.advertise)),
        "{head}"
    );
    assert!(!head.contains("x-mine") && !head.contains("origin"), "{head}");
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-type: text/plain\r\n\r\nhi";
    tokio::io::AsyncWriteExt::write_all(&mut stream, answer)
        .await
        .unwrap();
    let answer = client.answer().await.unwrap();
    assert_eq!(answer.text(), "hi");
    let origins = answer
        .headers
        .iter()
        .filter(|(name, _)| name == "access-control-allow-origin");
    assert_eq!(origins.count(), 1, "{:?}", answer.headers);
}

#[tokio::test]
async fn the_first_node_checks_the_origin() {
    let hub = Hub::default();
    let only = "https://app.example";
    let strict = Node::start_with(&hub, |builder| builder.cors([only]), |cluster| cluster).await;
    let other = Node::start_with(&hub, |builder| builder.cors([only]), |cluster| cluster).await;
    let path = strict.joined().await;
    let get = |origin: &'static str| {
        let (path, address) = (path.clone(), other.address);
        async move {
            let headers = [("origin", origin), ("content-type", "text/plain")];
            http::request(address, "POST", &path, &headers, b"42[\"echo\",1]")
                .await
                .unwrap()
        }
    };
    assert_eq!(refusal(&get("https://evil.example").await), (403, Some(4)));
    let answer = get(only).await;
    assert_eq!(answer.text(), "ok");
    let origins: Vec<_> = answer
        .headers
        .iter()
        .filter(|(name, _)| name == "access-control-allow-origin")
        .collect();
    assert_eq!(origins.len(), 1, "{origins:?}");
}

#[test]
fn a_cluster_requires_a_secret_and_an_address() {
    let directory = || Arc::new(MembershipDirectory::new(Hub::default().connect()));
    assert_eq!(
        Cluster::new("a:1", b"short", directory()).err(),
        Some(ClusterError::Secret)
    );
    assert!(matches!(
        Cluster::new("http://a:1/", SECRET, directory()).err(),
        Some(ClusterError::Advertise(_))
    ));
}
