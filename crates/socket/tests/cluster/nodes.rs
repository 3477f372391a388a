//! Cluster nodes, each with its own runtime, so that one can die with all its connections.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use roomful_bus::{Bus, Hub};
use roomful_socket::{
    Builder, Event, HttpLimits, Socket, WebSocketServer,
    cluster::{Cluster, ForwardLimits, NodeAddress},
    serve,
};
use roomful_testkit::{
    PATIENCE,
    http::{self, Answer},
};
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};

pub(crate) const SECRET: &[u8] = b"what only the nodes know";
pub(crate) const POLLING: &str = "/socket.io/?EIO=4&transport=polling";
/// Longer than any test.
pub(crate) const LEASE: Duration = Duration::from_hours(1);

pub(crate) struct Node {
    pub(crate) address: SocketAddr,
    pub(crate) server: WebSocketServer,
    pub(crate) card: NodeAddress,
    pub(crate) bus: Arc<dyn Bus>,
    runtime: Option<Runtime>,
}

impl Node {
    pub(crate) async fn start(hub: &Hub) -> Node {
        Self::start_with(hub, |builder| builder, |cluster| cluster).await
    }

    pub(crate) async fn start_with(
        hub: &Hub,
        build: impl FnOnce(Builder) -> Builder,
        join: impl FnOnce(Cluster) -> Cluster,
    ) -> Node {
        Self::start_on(hub.connect(), build, join).await
    }

    pub(crate) async fn start_on(
        bus: Arc<dyn Bus>,
        build: impl FnOnce(Builder) -> Builder,
        join: impl FnOnce(Cluster) -> Cluster,
    ) -> Node {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime
            .spawn(TcpListener::bind("127.0.0.1:0"))
            .await
            .unwrap()
            .unwrap();
        let address = listener.local_addr().unwrap();
        let cluster = join(Cluster::on_bus(&address.to_string(), SECRET, bus.clone()).unwrap());
        let card = cluster.node_address().clone();
        bus.heartbeat(card.tag.as_str(), card.to_bytes(), LEASE)
            .await
            .unwrap();
        let guard = runtime.enter();
        let server = build(WebSocketServer::builder()).cluster(cluster).build();
        drop(guard);
        echo(&server);
        let router = server.router();
        runtime.spawn(serve(
            listener,
            router,
            HttpLimits::default(),
            std::future::pending(),
        ));
        Node {
            address,
            server,
            card,
            bus,
            runtime: Some(runtime),
        }
    }

    /// Kills the node as `kill -9` does: its connections end without notice. The membership may still list
    /// it.
    pub(crate) fn die(mut self) -> NodeAddress {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        self.card.clone()
    }

    /// Cuts the node from the bus. Its connections and its lease continue.
    pub(crate) async fn die_on_bus(&self) {
        self.bus.close().await;
    }

    /// Opens a polling session on this node. Returns its path.
    pub(crate) async fn open(&self) -> String {
        let answer = http::get(self.address, POLLING).await.unwrap();
        let open: serde_json::Value = serde_json::from_str(&answer.text()[1..]).unwrap();
        format!("{POLLING}&sid={}", open["sid"].as_str().unwrap())
    }

    /// Like [`Node::open`], and joins the namespace.
    pub(crate) async fn joined(&self) -> String {
        let path = self.open().await;
        assert_eq!(post(self.address, &path, "40").await.text(), "ok");
        let answer = http::get(self.address, &path).await.unwrap().text();
        assert!(answer.starts_with("40{\"sid\":"), "{answer}");
        path
    }

    pub(crate) async fn wait_for_sessions(&self, count: usize) {
        while self.server.connections() != count {
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A listener in place of a node, controlled by the test.
pub(crate) struct Puppet {
    pub(crate) card: NodeAddress,
    listener: TcpListener,
}

impl Puppet {
    /// Adds one to the membership.
    pub(crate) async fn list(hub: &Hub) -> Puppet {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let advertise = listener.local_addr().unwrap().to_string();
        let bus = hub.connect();
        let card = Cluster::on_bus(&advertise, SECRET, bus.clone())
            .unwrap()
            .node_address()
            .clone();
        bus.heartbeat(card.tag.as_str(), card.to_bytes(), LEASE)
            .await
            .unwrap();
        Puppet { card, listener }
    }

    /// The path of one of its own sessions.
    pub(crate) fn session(&self) -> String {
        format!("{POLLING}&sid={}{}", self.card.tag, "A".repeat(20))
    }

    /// A forwarded request: its stream and its head.
    pub(crate) async fn request(&self) -> (TcpStream, String) {
        let accepted = tokio::time::timeout(PATIENCE, self.listener.accept()).await;
        let (mut stream, _) = accepted.unwrap().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            assert!(stream.read_buf(&mut head).await.unwrap() > 0);
        }
        (stream, String::from_utf8(head).unwrap())
    }
}

fn echo(server: &WebSocketServer) {
    server
        .of("/")
        .on("echo", |socket: Socket, event: Event| async move {
            socket.emit_payload("echo", &event.payload).unwrap();
        })
        .on("join", |socket: Socket, mut event: Event| async move {
            socket.join(&event.arg::<String>(0).unwrap());
            event.take_ack().unwrap().send("ok").unwrap();
        })
        .on("leave", |socket: Socket, mut event: Event| async move {
            socket.leave(&event.arg::<String>(0).unwrap());
            event.take_ack().unwrap().send("ok").unwrap();
        })
        .on("shout", |socket: Socket, mut event: Event| async move {
            let room: String = event.arg(0).unwrap();
            socket.to(&room).emit("shout", &room).unwrap();
            event.take_ack().unwrap().send("ok").unwrap();
        });
}

/// Limits requests to one peer.
pub(crate) fn at_most(count: usize) -> ForwardLimits {
    let mut limits = ForwardLimits::default();
    limits.max_per_peer = count;
    limits
}

pub(crate) async fn post(address: SocketAddr, path: &str, body: &str) -> Answer {
    http::request(
        address,
        "POST",
        path,
        &[("content-type", "text/plain;charset=UTF-8")],
        body.as_bytes(),
    )
    .await
    .unwrap()
}

/// The status and the Engine.IO code of an error response.
pub(crate) fn refusal(answer: &Answer) -> (u16, Option<u64>) {
    (answer.status, answer.json()["code"].as_u64())
}
