//! `roomful-socket` with the handler that each peer has in a bare run: rooms, no token, no store.
//!
//! `cargo run --release -p roomful-bench --example fan_out -- 3000`

use std::io;

use roomful_socket::{Event, HttpLimits, Payload, Socket, WebSocketServer, serve};
use serde::Deserialize;
use tokio::net::TcpListener;

// The allocator of the `roomful` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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

#[tokio::main]
async fn main() -> io::Result<()> {
    let port = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let server = WebSocketServer::builder().build();
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
