//! The open packet, the first packet of a session.

use serde::Serialize;

/// The JSON of an open packet, in the protocol's key order. The packet is `0` and this.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Open<'a> {
    /// The session's id. Secret: anyone who knows it can take over a polling session.
    pub sid: &'a str,
    /// The transports the client may upgrade to: `["websocket"]` on polling, empty on WebSocket.
    pub upgrades: &'a [&'a str],
    /// Milliseconds between the server's pings.
    pub ping_interval: u64,
    /// Milliseconds the client has to answer a ping.
    pub ping_timeout: u64,
    /// Most bytes of a polling body or a WebSocket message.
    pub max_payload: usize,
}
