//! `roomful-socket` with the handler of every peer in a bare run: rooms, no tokens, no store.
//!
//! Run `cargo run --release -p roomful-bench --example fan_out -- 3000`, or, as a node of a cluster over
//! Redis, `… -- 3000 redis://127.0.0.1:6379`.

use std::{error::Error, sync::Arc, time::Duration};

use roomful_bus::Options;
use roomful_socket::{Event, HttpLimits, Payload, Socket, WebSocketServer, cluster::Cluster, serve};
use serde::Deserialize;
use tokio::net::TcpListener;

// The allocator of the `roomful` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Longer than any run, so that no node has to renew its lease.
const LEASE: Duration = Duration::from_hours(1);

#[derive(Deserialize)]
struct InRoom {
    room: String,
}

async fn join(socket: Socket, mut event: Event) {
    if let Ok(InRoom { room }) = event.arg(0) {
        socket.join(&room);
    }
    if let Some(ack) = event.take_ack() {
        let _ = ack.send(&serde_json::json!({ "ok": true }));
    }
}

async fn send(socket: Socket, event: Event) {
    let payload: &Payload = &event.payload;
    if let Ok(InRoom { room }) = event.arg(0) {
        let _ = socket
            .namespace()
            .to(&room)
            .emit_payload("chat:receive_message", payload);
    }
}

/// This node's membership in a cluster, announced to the others.
async fn node(redis: &str, port: u16) -> Result<Cluster, Box<dyn Error>> {
    let bus = roomful_bus::open(redis, Options::default())?;
    let cluster = Cluster::on_bus(
        &format!("127.0.0.1:{port}"),
        b"a secret of all nodes",
        Arc::clone(&bus),
    )?;
    let card = cluster.node_address();
    bus.heartbeat(card.tag.as_str(), card.to_bytes(), LEASE).await?;
    Ok(cluster)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let port = args.next().and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut builder = WebSocketServer::builder();
    if let Some(redis) = args.next() {
        builder = builder.cluster(node(&redis, port).await?);
    }
    let server = builder.build();
    server.of("/").on("chat:join", join).on("chat:send_message", send);
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    serve(
        listener,
        server.router(),
        HttpLimits::default(),
        std::future::pending(),
    )
    .await;
    Ok(())
}
