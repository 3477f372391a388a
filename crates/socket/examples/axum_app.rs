//! A Socket.IO server inside an axum application, which sends events from its own routes.
//!
//! `cargo run -p roomful-socket --example axum_app`, then `curl -d 'hi' http://127.0.0.1:3000/announce`

use axum::{Router, extract::State, routing::post};
use roomful_socket::{HttpLimits, WebSocketServer, serve};
use tokio::net::TcpListener;

/// Sends the body to all clients, and answers how many there are.
async fn announce(State(server): State<WebSocketServer>, text: String) -> String {
    let sent = server.of("/").emit("announcement", &text);
    format!("{}\n", sent.unwrap_or_default())
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let server = WebSocketServer::builder()
        .cors(["https://app.example.com"])
        .build();
    server.of("/");
    let app = Router::new()
        .route("/announce", post(announce))
        .with_state(server.clone())
        .merge(server.router());
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:3000")).await?;
    serve(listener, app, HttpLimits::default(), async {
        let _ = tokio::signal::ctrl_c().await;
    })
    .await;
    server.close().await;
    Ok(())
}
