//! Many clients on one thread and one epoll: connects them, does their handshakes, answers heartbeats, and
//! passes everything else to the caller.

use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use mio::{Events, Interest, Poll, Token};

use crate::error::BenchError;
use crate::loader::connection::{Connection, Reading, Stage};
use crate::loader::dialect::{Dialect, Line};
use crate::loader::frame::{self, Frame};

const READ_BUFFER: usize = 256 * 1024;
const EVENTS: usize = 1024;
/// Clients per source address, and the number of pools so far. Each pool uses its own addresses: the kernel
/// searches long for a free port where many are in use or were in the last minute.
const PER_ADDRESS: usize = 1000;
static POOLS: AtomicU8 = AtomicU8::new(0);

/// An event of a client.
#[derive(Debug)]
pub(crate) enum ClientEvent<'a> {
    /// The client can send commands now.
    Up,
    /// The answer to one of its commands.
    Answer { id: u32, ok: bool },
    /// A message of a room.
    Delivery(&'a [u8]),
    /// The client has lost its connection, with the reason.
    Gone(String),
}

/// The clients. A client's number counts from 0 in the order of [`ClientPool::connect`].
pub(crate) struct ClientPool {
    addr: SocketAddr,
    /// The third byte of its clients' addresses.
    network: u8,
    dialect: Dialect,
    poll: Poll,
    events: Events,
    buffer: Vec<u8>,
    connections: Vec<Option<Connection>>,
}

impl ClientPool {
    /// An empty pool for one server.
    pub(crate) fn new(addr: SocketAddr, dialect: Dialect) -> Result<Self, BenchError> {
        Ok(Self {
            addr,
            network: 1 + POOLS.fetch_add(1, Ordering::Relaxed) % 250,
            dialect,
            poll: Poll::new().map_err(BenchError::Loader)?,
            events: Events::with_capacity(EVENTS),
            buffer: vec![0; READ_BUFFER],
            connections: Vec::new(),
        })
    }

    /// Starts another client; [`ClientEvent::Up`] follows when the server has accepted its token.
    pub(crate) fn connect(&mut self, token: Option<&str>) -> Result<usize, BenchError> {
        self.connect_to(self.addr, token, false)
    }

    /// The same, to another node; a `narrow` client's kernel buffers little.
    pub(crate) fn connect_to(
        &mut self,
        addr: SocketAddr,
        token: Option<&str>,
        narrow: bool,
    ) -> Result<usize, BenchError> {
        let index = self.connections.len();
        let hello = frame::text(self.dialect.hello(token).as_bytes());
        let mut connection = Connection::start(addr, self.source(index), narrow, self.dialect.path(), hello)
            .map_err(|error| BenchError::Connect(index, error))?;
        self.poll
            .registry()
            .register(
                &mut connection.stream,
                Token(index),
                Interest::READABLE | Interest::WRITABLE,
            )
            .map_err(BenchError::Loader)?;
        self.connections.push(Some(connection));
        Ok(index)
    }

    fn source(&self, client: usize) -> Ipv4Addr {
        let last = u8::try_from(1 + client / PER_ADDRESS % 250).unwrap_or(u8::MAX);
        Ipv4Addr::new(127, 0, self.network, last)
    }

    /// The server's protocol.
    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Sends a payload as one text frame. A lost client sends nothing; [`ClientPool::turn`] reports its loss.
    pub(crate) fn send(&mut self, client: usize, payload: &str) {
        if let Some(connection) = self.connections[client].as_mut() {
            // A failure shows as the end of the connection at its next event.
            let _ = connection.send(&frame::text(payload.as_bytes()));
        }
    }

    /// Stops or resumes a client's reading. The next turn reads the data that has arrived meanwhile.
    pub(crate) fn set_reading(&mut self, client: usize, reading: bool) -> Result<(), BenchError> {
        let Some(connection) = self.connections[client].as_mut() else {
            return Ok(());
        };
        connection.reading = reading;
        let interest = if reading {
            Interest::READABLE | Interest::WRITABLE
        } else {
            Interest::WRITABLE
        };
        // A new registration makes epoll report waiting data at once.
        self.poll
            .registry()
            .reregister(&mut connection.stream, Token(client), interest)
            .map_err(BenchError::Loader)
    }

    /// Closes a client's connection without waiting for the server.
    pub(crate) fn disconnect(&mut self, client: usize) {
        if let Some(connection) = self.connections[client].take() {
            let _ = connection.stream.shutdown(Shutdown::Both);
        }
    }

    /// Waits for events, `wait` at most, and reports each client's.
    pub(crate) fn turn(
        &mut self,
        wait: Duration,
        handle: &mut dyn FnMut(usize, ClientEvent<'_>),
    ) -> Result<(), BenchError> {
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => {
                return Err(BenchError::Loader(error));
            }
            _ => {}
        }
        for event in &self.events {
            let Token(client) = event.token();
            let slot = &mut self.connections[client];
            let Some(connection) = slot.as_mut() else {
                continue;
            };
            let mut ended = None;
            if event.is_writable()
                && let Err(error) = connection.flush()
            {
                ended = Some(error.to_string());
            }
            if event.is_readable() && connection.reading && ended.is_none() {
                ended = drain(connection, self.dialect, &mut self.buffer, |event| {
                    handle(client, event);
                });
            }
            if let Some(reason) = ended {
                *slot = None;
                handle(client, ClientEvent::Gone(reason));
            }
        }
        Ok(())
    }
}

/// Reads until the kernel has no more; returns the reason if the connection has ended.
fn drain(
    connection: &mut Connection,
    dialect: Dialect,
    buffer: &mut [u8],
    mut handle: impl FnMut(ClientEvent<'_>),
) -> Option<String> {
    let mut refused = None;
    loop {
        let before = connection.stage;
        let reading = connection.read(buffer, |connection, frame| {
            if let Some(reason) = take(connection, dialect, &frame, &mut handle) {
                refused = Some(reason);
            }
        });
        if before == Stage::Upgrading && connection.stage == Stage::Gone {
            return Some(format!(
                "the server refused the WebSocket: {}",
                connection.refusal
            ));
        }
        if before == Stage::Upgrading && connection.stage == Stage::Greeting && !dialect.server_opens() {
            greet(connection);
        }
        if refused.is_some() {
            return refused;
        }
        match reading {
            Reading::More => {}
            Reading::Drained => return None,
            Reading::Ended(reason) => return Some(reason),
        }
    }
}

fn greet(connection: &mut Connection) {
    let hello = std::mem::take(&mut connection.hello);
    let _ = connection.send(&hello);
}

/// Handles one frame; returns the reason if the server has ended the connection with it.
fn take(
    connection: &mut Connection,
    dialect: Dialect,
    frame: &Frame<'_>,
    handle: &mut impl FnMut(ClientEvent<'_>),
) -> Option<String> {
    let text = match frame {
        Frame::Text(text) => text,
        Frame::Ping(payload) => {
            let _ = connection.send(&frame::pong(payload));
            return None;
        }
        Frame::Close => return Some("the server closed the WebSocket".into()),
        Frame::Other => return None,
    };
    let mut refused = None;
    dialect.read(text, |said| match said {
        Line::Open => greet(connection),
        Line::Up => {
            connection.stage = Stage::Up;
            handle(ClientEvent::Up);
        }
        Line::Heartbeat(answer) => drop(connection.send(&frame::text(answer))),
        Line::Answer { id, ok } => handle(ClientEvent::Answer { id, ok }),
        Line::Delivery(payload) => handle(ClientEvent::Delivery(payload)),
        Line::Refused(why) => {
            refused = Some(format!("refused: {}", String::from_utf8_lossy(why)));
        }
        Line::Other => {}
    });
    refused
}
