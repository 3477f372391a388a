//! Rooms: clients join, talk and leave. The other members get an event for each arrival and departure.
//!
//! `cargo run -p roomful-socket --example rooms`

use roomful_socket::{Event, Joined, Reason, Socket, WebSocketServer};
use serde_json::json;

async fn join(socket: Socket, mut event: Event) {
    let Ok(room) = event.arg::<String>(0) else { return };
    let joined = socket.join(&room);
    if joined == Joined::New {
        let _ = socket
            .to(&room)
            .emit("joined", &json!({ "room": room, "who": socket.id().as_str() }));
    }
    if let Some(ack) = event.take_ack() {
        let _ = ack.send(&joined.is_member());
    }
}

async fn say(socket: Socket, event: Event) {
    // `socket.emit("say", "kitchen", "hello")`
    let Ok((room, text)) = event.payload.to_args::<(String, String)>() else {
        return;
    };
    if socket.rooms().iter().any(|own| **own == *room) {
        let _ = socket.to(&room).emit_args("said", &(socket.id().as_str(), text));
    }
}

/// Runs while the socket is still in its rooms.
fn emit_left(socket: &Socket, reason: Reason) {
    for room in socket.rooms() {
        let left = json!({ "room": room, "who": socket.id().as_str(), "reason": reason.as_str() });
        let _ = socket.to(&room).emit("left", &left);
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let server = WebSocketServer::builder().build();
    server
        .of("/")
        .on("join", join)
        .on("say", say)
        .on_disconnecting(emit_left);
    let address = std::env::args().nth(1);
    server
        .listen(address.as_deref().unwrap_or("127.0.0.1:3000"))
        .await
}
