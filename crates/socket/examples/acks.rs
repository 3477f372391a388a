//! Acknowledgements in both directions: the client's events get answers, and the server asks its clients.
//!
//! `cargo run -p roomful-socket --example acks`

use std::time::Duration;

use roomful_socket::{AckError, Event, Socket, WebSocketServer};

/// `socket.emit("sum", 1, 2, (sum) => …)`
async fn sum(_: Socket, mut event: Event) {
    let numbers = event.payload.to_args::<Vec<f64>>().unwrap_or_default();
    if let Some(ack) = event.take_ack() {
        let _ = ack.send(&numbers.iter().fold(0.0, |sum, number| sum + number));
    }
}

/// Asks the client for its name. In the client: `socket.on("your name?", (why, answer) => answer("Ann"))`
async fn greet(socket: Socket, _: Event) {
    match socket
        .emit_with_ack::<String>("your name?", "to greet you", Duration::from_secs(5))
        .await
    {
        Ok(name) => drop(socket.emit("hello", &name)),
        Err(AckError::Timeout) => drop(socket.emit("hello", "stranger")),
        Err(error) => tracing::info!(%error, "the client did not tell its name"),
    }
}

/// Asks all other clients at once, and counts those that agree.
async fn vote(socket: Socket, mut event: Event) {
    let Ok(question) = event.arg::<String>(0) else {
        return;
    };
    let others = socket.broadcast().timeout(Duration::from_secs(5));
    let Ok(answers) = others.emit_with_ack::<bool>("vote", &question).await else {
        return;
    };
    let answered = answers.iter().filter(|(_, answer)| answer.is_ok()).count();
    let agreed = answers.iter().filter(|(_, answer)| *answer == Ok(true)).count();
    if let Some(ack) = event.take_ack() {
        let _ = ack.send_args(&(agreed, answered));
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let server = WebSocketServer::builder().build();
    server.of("/").on("sum", sum).on("greet", greet).on("vote", vote);
    let address = std::env::args().nth(1);
    server
        .listen(address.as_deref().unwrap_or("127.0.0.1:3000"))
        .await
}
