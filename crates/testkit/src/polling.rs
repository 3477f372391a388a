//! An Engine.IO 4 session over HTTP long-polling, which sends each request to a random node: a client
//! behind a load balancer without sticky sessions.
//!
//! One task polls and another posts, each with one request at a time, as the protocol requires. Binary
//! attachments are not supported.

use std::collections::VecDeque;
use std::net::SocketAddr;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::packet::{self, Kind, Packet};
use crate::session::{End, Incoming};
use crate::{Error, PATIENCE, http};

const PATH: &str = "/socket.io/?EIO=4&transport=polling";
/// Between the packets of a payload.
const SEPARATOR: char = '\u{1e}';
/// Packets that wait in each direction, at most. A client that does not read stops polling.
const WAITING: usize = 1_024;
/// Bytes of one POST that are filled up with what else waits.
const FILL: usize = 32 * 1024;

/// An open session.
#[derive(Debug)]
pub struct PollingSession {
    incoming: mpsc::Receiver<Result<Packet, End>>,
    outgoing: mpsc::Sender<String>,
    /// Packets that came before the answer to CONNECT, as in a recovered session.
    early: VecDeque<Packet>,
    end: Option<End>,
    /// They end with the session.
    _tasks: JoinSet<()>,
}

impl PollingSession {
    /// Opens a session and connects the namespace `/` with `auth`; the session and the data of the
    /// CONNECT answer. The seed decides which request goes to which of the nodes.
    ///
    /// # Errors
    /// [`Error::ConnectRefused`] with `{message, data}` when the server answers `CONNECT_ERROR`.
    pub async fn connect(nodes: &[SocketAddr], seed: u64, auth: &Value) -> Result<(Self, Value), Error> {
        let mut connection = PollConnection {
            nodes: nodes.to_vec(),
            path: PATH.to_owned(),
            rng: StdRng::seed_from_u64(seed),
        };
        let opened = connection.request("GET", b"").await?;
        let handshake = opened.strip_prefix('0').map(serde_json::from_str::<Value>);
        let Some(Ok(handshake)) = handshake else {
            return Err(Error::Protocol(format!("this is no open packet: {opened:?}")));
        };
        let sid = handshake["sid"].as_str().unwrap_or_default();
        connection.path = format!("{PATH}&sid={sid}");
        let (outgoing, to_send) = mpsc::channel(WAITING);
        let (came, incoming) = mpsc::channel(WAITING);
        let mut tasks = JoinSet::new();
        tasks.spawn(send(connection.fork(), to_send, came.clone()));
        tasks.spawn(receive(connection, came, outgoing.clone()));
        let mut session = Self {
            incoming,
            outgoing,
            early: VecDeque::new(),
            end: None,
            _tasks: tasks,
        };
        session
            .send(packet::text(Kind::Connect, "/", None, &auth.to_string()))
            .await;
        let mut early = VecDeque::new();
        loop {
            let next = timeout(PATIENCE, session.next()).await;
            let packet = match next {
                Ok(Incoming::Packet(packet)) => packet,
                Ok(Incoming::Ended(end)) => {
                    return Err(Error::Closed {
                        reason: format!("{end:?}"),
                        what: "the answer to CONNECT".into(),
                    });
                }
                Err(_) => {
                    return Err(Error::TimedOut {
                        what: "the answer to CONNECT".into(),
                        waited: PATIENCE,
                        seen: format!("{early:?}"),
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
                _ => early.push_back(packet),
            }
        }
    }

    /// Sends an event with one argument to namespace `/`, asking for an ack if there is an `id`.
    pub async fn emit(&self, id: Option<u64>, event: &str, argument: &Value) {
        self.send(packet::event_text("/", id, event, argument)).await;
    }

    async fn send(&self, text: String) {
        // It fails once the session is over, which its reader learns.
        let _ = self.outgoing.send(text).await;
    }

    /// The next packet, or the end. May be cancelled without losing anything.
    pub async fn next(&mut self) -> Incoming {
        if let Some(packet) = self.early.pop_front() {
            return Incoming::Packet(packet);
        }
        if let Some(end) = &self.end {
            return Incoming::Ended(end.clone());
        }
        match self.incoming.recv().await.unwrap_or(Err(End::Eof)) {
            Ok(packet) => Incoming::Packet(packet),
            Err(end) => {
                self.end = Some(end.clone());
                Incoming::Ended(end)
            }
        }
    }
}

/// Where requests go.
struct PollConnection {
    nodes: Vec<SocketAddr>,
    path: String,
    rng: StdRng,
}

impl PollConnection {
    fn fork(&mut self) -> Self {
        Self {
            nodes: self.nodes.clone(),
            path: self.path.clone(),
            rng: StdRng::seed_from_u64(self.rng.random()),
        }
    }

    /// The body of the answer.
    async fn request(&mut self, method: &str, body: &[u8]) -> Result<String, Error> {
        let Some(node) = self.nodes.choose(&mut self.rng).copied() else {
            return Err(Error::Protocol("there is no node to ask".into()));
        };
        let headers = [("content-type", "text/plain;charset=UTF-8")];
        let answer = http::request(node, method, &self.path, &headers, body).await?;
        if answer.status != 200 {
            let (status, said) = (answer.status, answer.text());
            return Err(Error::Protocol(format!(
                "{method} was answered with {status}: {said}"
            )));
        }
        Ok(answer.text())
    }
}

async fn send(
    mut connection: PollConnection,
    mut to_send: mpsc::Receiver<String>,
    came: mpsc::Sender<Result<Packet, End>>,
) {
    while let Some(mut payload) = to_send.recv().await {
        while payload.len() < FILL
            && let Ok(more) = to_send.try_recv()
        {
            payload.push(SEPARATOR);
            payload.push_str(&more);
        }
        if let Err(error) = connection.request("POST", payload.as_bytes()).await {
            // It fails if the session is gone already.
            let _ = came.send(Err(End::Failed(error.to_string()))).await;
            return;
        }
    }
}

async fn receive(
    mut connection: PollConnection,
    came: mpsc::Sender<Result<Packet, End>>,
    pongs: mpsc::Sender<String>,
) {
    loop {
        let taken = match connection.request("GET", b"").await {
            Ok(payload) => take(&payload, &came, &pongs).await,
            Err(error) => Err(End::Failed(error.to_string())),
        };
        if let Err(end) = taken {
            // It fails if the session is gone already.
            let _ = came.send(Err(end)).await;
            return;
        }
    }
}

/// Passes on the packets of a payload and answers pings, once the reader has taken all of them: a pong or the
/// next poll tells the server that everything before it has arrived.
async fn take(
    payload: &str,
    came: &mpsc::Sender<Result<Packet, End>>,
    pongs: &mpsc::Sender<String>,
) -> Result<(), End> {
    let mut probes = Vec::new();
    for packet in payload.split(SEPARATOR) {
        match packet.split_at_checked(1) {
            Some(("2", probe)) => probes.push(probe),
            Some(("4", rest)) => {
                let packet = Packet::parse(rest).map_err(|error| End::Failed(error.to_string()))?;
                if packet.kind == Kind::Disconnect {
                    return Err(End::Disconnected);
                }
                came.send(Ok(packet)).await.map_err(|_| End::Eof)?;
            }
            Some(("1", _)) => return Err(End::EngineClosed),
            Some(("6", _)) => {}
            _ => {
                return Err(End::Failed(format!(
                    "an Engine.IO packet that no client expects: {packet:?}"
                )));
            }
        }
    }
    // All places are free when all was taken.
    drop(came.reserve_many(WAITING).await.map_err(|_| End::Eof)?);
    for probe in probes {
        // It fails if the session is gone already.
        let _ = pongs.send(format!("3{probe}")).await;
    }
    Ok(())
}
