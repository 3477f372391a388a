//! Several servers as one, over Redis: rooms span all nodes, and any node serves any session.
//!
//! Start it once per node, each with its own address, behind any load balancer:
//! `cargo run -p roomful-socket --features redis --example cluster_redis -- 127.0.0.1:3001 redis://127.0.0.1`

use std::{error::Error, sync::Arc, time::Duration};

use roomful_bus::{Bus, Options};
use roomful_socket::{Event, Socket, WebSocketServer, cluster::Cluster};
use tokio::net::TcpListener;

/// How long the others wait for a node that does not report.
const LEASE: Duration = Duration::from_secs(15);

/// Tells the other nodes that this one is alive, until the process ends.
async fn stay_member(bus: Arc<dyn Bus>, cluster: Cluster) {
    let node = cluster.node_address();
    loop {
        if let Err(error) = bus.heartbeat(node.tag.as_str(), node.to_bytes(), LEASE).await {
            tracing::warn!(%error, "failed to renew the lease, retrying");
        }
        tokio::time::sleep(LEASE / 5).await;
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let mut args = std::env::args().skip(1);
    let address = args.next().unwrap_or_else(|| "127.0.0.1:3001".to_owned());
    let redis = args.next().unwrap_or_else(|| "redis://127.0.0.1:6379".to_owned());
    let listener = TcpListener::bind(&address).await?;
    // The address at which the other nodes reach this one.
    let advertised = listener.local_addr()?.to_string();

    let bus = roomful_bus::open(&redis, Options::default())?;
    let cluster = Cluster::on_bus(&advertised, b"a secret that all nodes share", bus.clone())?;
    let server = WebSocketServer::builder().cluster(cluster.clone()).build();
    server
        .of("/")
        .on_connect(|socket: Socket| async move {
            socket.join("lobby");
        })
        .on("say", |socket: Socket, event: Event| async move {
            // Reaches the lobby on all nodes.
            let _ = socket
                .namespace()
                .to("lobby")
                .emit_payload("said", &event.payload);
        })
        .on("how many", |socket: Socket, mut event: Event| async move {
            let sockets = socket.namespace().fetch_sockets().await;
            if let (Some(ack), Ok(sockets)) = (event.take_ack(), sockets) {
                let _ = ack.send(&sockets.len());
            }
        });
    tokio::spawn(stay_member(bus, cluster));
    server.serve(listener).await;
    Ok(())
}
