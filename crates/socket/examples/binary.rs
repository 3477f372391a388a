//! Binary data at any place in the arguments, in both directions, also in acks.
//!
//! `cargo run -p roomful-socket --example binary`

use std::time::Duration;

use bytes::Bytes;
use roomful_socket::{Binary, Event, Payload, Socket, WebSocketServer};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Picture {
    name: String,
    content: Binary,
}

/// `socket.emit("reverse", {name, content: buffer}, (picture) => …)`
async fn reverse(_: Socket, mut event: Event) {
    let Ok(mut picture) = event.arg::<Picture>(0) else {
        return;
    };
    let mut bytes = picture.content.0.to_vec();
    bytes.reverse();
    picture.content = bytes.into();
    if let Some(ack) = event.take_ack() {
        let _ = ack.send(&picture);
    }
}

/// Sends two pictures in one event and asks for their total size.
async fn download(socket: Socket, _: Event) {
    let picture = |name: &str, size| Picture {
        name: name.to_owned(),
        content: Binary(Bytes::from(vec![7; size])),
    };
    let Ok(pictures) = Payload::args(&(picture("small", 10), [picture("large", 1000)])) else {
        return;
    };
    let answer = socket.emit_payload_with_ack("pictures", &pictures, Duration::from_secs(5));
    // The client answers with a number and a buffer.
    if let Ok(Ok((total, first))) = answer.await.map(|answer| answer.to_args::<(usize, Binary)>()) {
        let _ = socket.emit_args("thanks", &(total, first));
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let server = WebSocketServer::builder().build();
    server.of("/").on("reverse", reverse).on("download", download);
    let address = std::env::args().nth(1);
    server
        .listen(address.as_deref().unwrap_or("127.0.0.1:3000"))
        .await
}
