//! Clients that must show a token: `io(url, {auth: {token}})`.
//!
//! `cargo run -p roomful-socket --example authentication`; the tokens are `token-of-ann` and `token-of-bob`

use roomful_socket::{Event, Refusal, Socket, WebSocketServer};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Auth {
    token: String,
}

/// The user of a connection.
struct User {
    name: String,
}

/// Looks the token up. A real server verifies a signature or asks its database.
fn user_of(token: &str) -> Option<User> {
    let name = token.strip_prefix("token-of-")?;
    matches!(name, "ann" | "bob").then(|| User {
        name: name.to_owned(),
    })
}

async fn authenticate(socket: Socket) -> Result<(), Refusal> {
    let refused = || Refusal::new("unauthorized").data(json!({ "hint": "sign in again" }));
    // Taken, so that the token does not stay in memory.
    let auth = socket.take_auth().ok_or_else(refused)?;
    let auth: Auth = serde_json::from_str(auth.get()).map_err(|_| refused())?;
    let user = user_of(&auth.token).ok_or_else(refused)?;
    // A room per user reaches all devices of the user.
    socket.join(&format!("user:{}", user.name));
    socket.set_state(user);
    Ok(())
}

async fn who_am_i(socket: Socket, mut event: Event) {
    if let (Some(ack), Some(user)) = (event.take_ack(), socket.state::<User>()) {
        let _ = ack.send(&user.name);
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let server = WebSocketServer::builder().build();
    server
        .of("/")
        .use_middleware(authenticate)
        .on("who am i", who_am_i);
    let address = std::env::args().nth(1);
    server
        .listen(address.as_deref().unwrap_or("127.0.0.1:3000"))
        .await
}
