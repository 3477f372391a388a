//! socketioxide on axum, TCP_NODELAY set: `roomful-bench-socketioxide PORT`. Bare fan-out.

use axum::serve::ListenerExt;
use serde_json::Value;
use socketioxide::{
    SocketIo,
    extract::{AckSender, Data, SocketRef},
};
use tokio::net::TcpListener;

// Roomful's allocator, so that the comparison is not one of allocators.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn connected(socket: SocketRef) {
    socket.on("chat:join", async |socket: SocketRef, Data(join): Data<Value>, ack: AckSender| {
        if let Some(room) = join["room"].as_str() {
            socket.join(room.to_owned());
        }
        let _ = ack.send(&serde_json::json!({ "ok": true }));
    });
    socket.on("chat:send_message", async |io: SocketIo, Data(message): Data<Value>| {
        if let Some(room) = message["room"].as_str() {
            let _ = io.to(room.to_owned()).emit("chat:receive_message", &message).await;
        }
    });
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(0);
    let (layer, io) = SocketIo::new_layer();
    io.ns("/", async |socket: SocketRef| connected(socket));
    let listener = TcpListener::bind(("127.0.0.1", port)).await?.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, axum::Router::new().layer(layer)).await
}
