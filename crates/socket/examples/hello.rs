//! The smallest server: it greets each client and passes each message on to the others.
//!
//! `cargo run -p roomful-socket --example hello`, then in Node: `io("http://127.0.0.1:3000")`

use roomful_socket::{Event, Socket, WebSocketServer};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let server = WebSocketServer::builder().build();
    server
        .of("/")
        .on_connect(|socket: Socket| async move {
            let _ = socket.emit("hello", socket.id().as_str());
        })
        .on("message", |socket: Socket, event: Event| async move {
            if let Ok(text) = event.arg::<String>(0) {
                let _ = socket.broadcast().emit("message", &text);
            }
        });
    let address = std::env::args().nth(1);
    server
        .listen(address.as_deref().unwrap_or("127.0.0.1:3000"))
        .await
}
