//! A namespace for each tenant, created with its first client and ended with its last one.
//!
//! `cargo run -p roomful-socket --example dynamic_namespaces`, then `io("http://127.0.0.1:3000/tenant-7")`

use roomful_socket::{Event, Socket, WebSocketServer};

fn is_tenant(name: &str) -> bool {
    name.strip_prefix("/tenant-")
        .is_some_and(|number| number.parse::<u32>().is_ok())
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let server = WebSocketServer::builder().build();
    server
        .of_dynamic(is_tenant)
        .on_connect(|socket: Socket| async move {
            let _ = socket.emit("tenant", socket.namespace().name());
        })
        .on("note", |socket: Socket, event: Event| async move {
            // Reaches the clients of this tenant only.
            let _ = socket
                .namespace()
                .everybody()
                .emit_payload("note", &event.payload);
        });
    let address = std::env::args().nth(1);
    server
        .listen(address.as_deref().unwrap_or("127.0.0.1:3000"))
        .await
}
