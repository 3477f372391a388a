//! One hostile connection that sends the same packets again and again, and reconnects when it is closed.

use std::net::SocketAddr;
use std::time::Duration;

use roomful_testkit::ws::Frame;
use roomful_testkit::{Error, WsClient};
use tokio::time::sleep;

/// The pause before a reconnect, since the server refuses faster ones anyway.
pub(super) const PAUSE: Duration = Duration::from_millis(20);
/// How long a flood waits for answers before it sends on.
const DRAIN: Duration = Duration::from_millis(1);
pub(super) const WEBSOCKET: &str = "/socket.io/?EIO=4&transport=websocket";

/// What a hostile connection sends.
#[derive(Clone, Debug)]
pub(super) struct Flood {
    pub(super) target: SocketAddr,
    /// The CONNECT packet; a stranger has none.
    pub(super) login: Option<String>,
    /// Text messages, sent over and over.
    pub(super) packets: Vec<String>,
}

impl Flood {
    /// Floods until the task is aborted.
    pub(super) async fn run(self) {
        loop {
            // Every error is an answer of the server to the attack.
            let _ = self.once().await;
            sleep(PAUSE).await;
        }
    }

    async fn once(&self) -> Result<(), Error> {
        let mut socket = WsClient::connect(self.target, WEBSOCKET, &[]).await?;
        if let Some(login) = &self.login {
            socket.send_text(login).await?;
        }
        loop {
            for packet in &self.packets {
                socket.send_text(packet).await?;
            }
            if !drain(&mut socket).await? {
                return Ok(());
            }
        }
    }
}

/// Reads the answers that have arrived, and answers heartbeats. False at the end of the connection.
async fn drain(socket: &mut WsClient) -> Result<bool, Error> {
    loop {
        match socket.recv_within(DRAIN).await {
            Ok(Frame::Text(text)) if text.as_str() == "2" => socket.send_text("3").await?,
            Ok(Frame::Eof | Frame::Close(..)) => return Ok(false),
            Ok(_) => {}
            Err(Error::TimedOut { .. }) => return Ok(true),
            Err(error) => return Err(error),
        }
    }
}
