//! An Engine.IO 4 session over WebSocket with Socket.IO 5 packets, driven by its owner.
//!
//! It has no task and no queue: [`Session::next`] answers pings while it waits. Load programs with
//! thousands of clients use it; tests are better served by [`SioClient`](crate::SioClient).

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

use crate::packet::{self, Kind, Packet};
use crate::ws::{Frame, WsClient};
use crate::{Error, PATIENCE};

/// Events that may come before the answer to CONNECT.
const MAX_EARLY: usize = 100_000;

/// Where and how to connect. An address alone becomes a target with the stock path and no extra headers.
#[derive(Clone, Debug)]
pub struct Target {
    /// The server's address.
    pub addr: SocketAddr,
    /// The local address to come from; the system's choice if none.
    pub source: Option<IpAddr>,
    /// The path that Engine.IO is mounted at.
    pub path: String,
    /// Headers to add to the upgrade request.
    pub headers: Vec<(String, String)>,
    /// Whether the connection is like a phone's, so that little waits in the kernels when it is not read.
    pub narrow: bool,
}

impl From<SocketAddr> for Target {
    fn from(addr: SocketAddr) -> Self {
        Self {
            addr,
            source: None,
            path: "/socket.io/".into(),
            headers: Vec::new(),
            narrow: false,
        }
    }
}

/// How a session ended. Which one it was tells a stock client whether to come back by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// A Socket.IO `DISCONNECT` packet for the namespace: the stock client stays away.
    Disconnected,
    /// An Engine.IO close packet: the stock client comes back.
    EngineClosed,
    /// A WebSocket close frame with this code (none if its body was empty): the stock client comes back.
    CloseFrame(Option<u16>),
    /// The stream ended, or was reset, without a word.
    Eof,
    /// The server broke a protocol, or the socket failed.
    Failed(String),
}

/// What [`Session::next`] saw.
#[derive(Clone, Debug, PartialEq)]
pub enum Incoming {
    /// A whole Socket.IO packet, its attachments gathered.
    Packet(Packet),
    /// The session is over; every later call says so again.
    Ended(End),
}

/// An open session.
#[derive(Debug)]
pub struct Session {
    ws: WsClient,
    /// A binary packet whose attachments are not all there yet.
    partial: Option<Box<Packet>>,
    /// Packets that came before the answer to CONNECT, as in a recovered session.
    early: VecDeque<Packet>,
    end: Option<End>,
}

impl Session {
    /// Opens an Engine.IO session and returns it with the handshake (`sid`, `pingInterval`, …). No
    /// namespace is connected yet.
    pub async fn open(target: impl Into<Target>) -> Result<(Self, Value), Error> {
        let target = target.into();
        let query = format!("{}?EIO=4&transport=websocket", target.path);
        let headers: Vec<_> = target
            .headers
            .iter()
            .map(|(name, value)| (&name[..], &value[..]))
            .collect();
        let mut ws = if target.narrow {
            WsClient::connect_narrow(target.addr, &query, &headers).await?
        } else {
            WsClient::connect_from(target.source, target.addr, &query, &headers).await?
        };
        match ws.recv_within(PATIENCE).await? {
            Frame::Text(text) if text.starts_with('0') => {
                let handshake = serde_json::from_str(&text[1..])
                    .map_err(|_| Error::Protocol(format!("the open packet is not JSON: {text:?}")))?;
                Ok((
                    Self {
                        ws,
                        partial: None,
                        early: VecDeque::new(),
                        end: None,
                    },
                    handshake,
                ))
            }
            other => Err(Error::Protocol(format!(
                "the first frame is no open packet but {other:?}"
            ))),
        }
    }

    /// Opens a session and connects `namespace` with `auth`; the session and the data of the CONNECT answer.
    ///
    /// # Errors
    /// [`Error::ConnectRefused`] with `{message, data}` when the server answers `CONNECT_ERROR`.
    pub async fn connect(
        target: impl Into<Target>,
        namespace: &str,
        auth: &Value,
    ) -> Result<(Self, Value), Error> {
        let (mut session, _) = Self::open(target).await?;
        let auth = if auth.is_null() {
            String::new()
        } else {
            auth.to_string()
        };
        session
            .send(&packet::text(Kind::Connect, namespace, None, &auth))
            .await?;
        let mut early = VecDeque::new();
        loop {
            let answer = session.next_within(PATIENCE, "the answer to CONNECT").await?;
            let packet = match answer {
                Incoming::Packet(packet) => packet,
                Incoming::Ended(end) => {
                    return Err(Error::Closed {
                        reason: format!("{end:?}"),
                        what: "the answer to CONNECT".into(),
                    });
                }
            };
            match packet.kind {
                Kind::Connect => {
                    session.early = early;
                    return Ok((session, packet.data));
                }
                Kind::ConnectError => return Err(Error::ConnectRefused(packet.data)),
                // The stock client buffers events that come before the answer to CONNECT.
                Kind::Event if early.len() < MAX_EARLY => early.push_back(packet),
                _ => {
                    return Err(Error::Protocol(format!(
                        "{packet:?} before the answer to CONNECT"
                    )));
                }
            }
        }
    }

    /// Sends the text of one Engine.IO packet, its type included.
    pub async fn send(&mut self, text: &str) -> Result<(), Error> {
        self.ws.send_text(text).await
    }

    /// Sends an event with one argument to namespace `/`, asking for an ack if there is an `id`.
    pub async fn emit(&mut self, id: Option<u64>, event: &str, argument: &Value) -> Result<(), Error> {
        self.send(&packet::event_text("/", id, event, argument)).await
    }

    /// The WebSocket below, to send what no client should.
    pub fn ws(&mut self) -> &mut WsClient {
        &mut self.ws
    }

    /// Gives up the session for the WebSocket below.
    pub fn into_ws(self) -> WsClient {
        self.ws
    }

    /// The next packet, or the end. Heartbeats are answered on the way. May be cancelled without losing
    /// anything.
    pub async fn next(&mut self) -> Incoming {
        match self.step().await {
            Ok(packet) => Incoming::Packet(packet),
            Err(end) => {
                self.end = Some(end.clone());
                Incoming::Ended(end)
            }
        }
    }

    /// As [`next`](Self::next), but fails after `patience`; `what` names the expected packet in the error.
    pub async fn next_within(&mut self, patience: Duration, what: &str) -> Result<Incoming, Error> {
        timeout(patience, self.next()).await.map_err(|_| Error::TimedOut {
            what: what.to_owned(),
            waited: patience,
            seen: "nothing".into(),
        })
    }

    async fn step(&mut self) -> Result<Packet, End> {
        let failed = |error: Error| End::Failed(error.to_string());
        if let Some(packet) = self.early.pop_front() {
            return Ok(packet);
        }
        if let Some(end) = &self.end {
            return Err(end.clone());
        }
        // A failed write is not the end of the story: the close frame that says why may still be readable.
        let _ = self.ws.flush().await;
        loop {
            match self.ws.recv().await.map_err(failed)? {
                Frame::Text(text) => match text.split_at_checked(1) {
                    Some(("2", probe)) => {
                        let _ = self.ws.send_text(&format!("3{probe}")).await;
                    }
                    Some(("4", rest)) => {
                        let packet = Packet::parse(rest).map_err(failed)?;
                        if packet.kind == Kind::Disconnect {
                            return Err(End::Disconnected);
                        }
                        if packet.announced == 0 {
                            return Ok(packet);
                        }
                        self.partial = Some(Box::new(packet));
                    }
                    Some(("1", _)) => return Err(End::EngineClosed),
                    Some(("6", _)) => {}
                    _ => {
                        return Err(End::Failed(format!(
                            "an Engine.IO packet that no client expects: {text:?}"
                        )));
                    }
                },
                Frame::Binary(data) => {
                    let Some(mut packet) = self.partial.take() else {
                        return Err(End::Failed(
                            "a binary message without a packet that announced it".into(),
                        ));
                    };
                    packet.attachments.push(data);
                    if packet.attachments.len() == packet.announced {
                        return Ok(*packet);
                    }
                    self.partial = Some(packet);
                }
                Frame::Ping(payload) => {
                    let pong = crate::frame::encode(crate::frame::Opcode::Pong, &payload);
                    let _ = self.ws.send_raw(&pong).await;
                }
                Frame::Pong(_) => {}
                Frame::Close(code) => return Err(End::CloseFrame(code)),
                Frame::Eof => return Err(End::Eof),
            }
        }
    }
}
