//! A load balancer without sticky sessions: each connection goes to the next node.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};

pub(crate) async fn start(nodes: Vec<SocketAddr>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for node in nodes.into_iter().cycle() {
            let (mut client, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                if let Ok(mut server) = TcpStream::connect(node).await {
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                }
            });
        }
    });
    address
}
