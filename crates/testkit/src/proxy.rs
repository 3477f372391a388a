//! A TCP proxy that injects faults: it can freeze, slow down or reset connections.
//!
//! A frozen proxy looks like a half-open connection from both ends: nothing arrives, and no side learns why.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use crate::Error;

/// The condition of all links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinkCondition {
    /// Bytes pass at once.
    #[default]
    Normal,
    /// Each chunk passes after this time.
    Slow(Duration),
    /// Nothing passes until the condition changes. The proxy accepts new connections and freezes them too.
    Frozen,
}

/// A running proxy. Dropping it ends all its connections.
#[derive(Debug)]
pub struct Proxy {
    addr: SocketAddr,
    condition: watch::Sender<LinkCondition>,
    /// Counts resets. Each change ends the existing connections.
    resets: watch::Sender<u64>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1 and forwards to `target`.
    pub async fn start(target: SocketAddr) -> Result<Self, Error> {
        Self::start_at(Ipv4Addr::LOCALHOST, target).await
    }

    /// Listens on a free port of this address and forwards to `target`.
    pub async fn start_at(addr: Ipv4Addr, target: SocketAddr) -> Result<Self, Error> {
        let listener = TcpListener::bind((addr, 0)).await;
        let listener = listener.map_err(Error::io("binding a proxy"))?;
        let addr = listener.local_addr();
        let addr = addr.map_err(Error::io("asking for a proxy's address"))?;
        let (condition, seen) = watch::channel(LinkCondition::default());
        let (resets, reset) = watch::channel(0);
        let accepting = tokio::spawn(accept(listener, target, seen, reset));
        Ok(Self {
            addr,
            condition,
            resets,
            accepting,
        })
    }

    /// Its listen address.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Sets the condition of existing and new connections.
    pub fn set(&self, condition: LinkCondition) {
        self.condition.send_replace(condition);
    }

    /// Ends all connections with a TCP reset to both sides.
    pub fn reset_all(&self) {
        self.resets.send_modify(|resets| *resets += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(
    listener: TcpListener,
    target: SocketAddr,
    condition: watch::Receiver<LinkCondition>,
    resets: watch::Receiver<u64>,
) {
    // Dropping the set ends the tasks.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // If accepting fails, the client sees it.
                if let Ok((client, _)) = accepted {
                    connections.spawn(connection(client, target, condition.clone(), resets.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(
    mut client: TcpStream,
    target: SocketAddr,
    condition: watch::Receiver<LinkCondition>,
    mut resets: watch::Receiver<u64>,
) {
    resets.mark_unchanged();
    let Ok(mut server) = TcpStream::connect(target).await else {
        // The target does not listen. A reset tells the client.
        let _ = client.set_zero_linger();
        return;
    };
    for stream in [&client, &server] {
        // A failure only costs latency.
        let _ = stream.set_nodelay(true);
    }
    let ended = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        tokio::select! {
            ended = pump(from_client, to_server, condition.clone()) => ended,
            ended = pump(from_server, to_client, condition) => ended,
            _ = resets.changed() => End::Torn,
        }
    };
    if ended == End::Torn {
        for stream in [&client, &server] {
            // A failure means that the socket is closed already.
            let _ = stream.set_zero_linger();
        }
    }
}

/// How one direction ended.
#[derive(PartialEq, Eq)]
enum End {
    /// Closed in order: the other side gets all bytes, then the end.
    Closed,
    /// Reset.
    Torn,
}

/// Forwards one direction until it ends.
async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut condition: watch::Receiver<LinkCondition>,
) -> End {
    let mut chunk = vec![0; 16 * 1024];
    loop {
        // A frozen link does not read either, so that the sender's buffers fill up.
        let thawed = condition
            .wait_for(|condition| *condition != LinkCondition::Frozen)
            .await;
        let Ok(now) = thawed.map(|condition| *condition) else {
            return End::Torn;
        };
        let read = tokio::select! {
            read = from.read(&mut chunk) => read,
            _ = condition.changed() => continue,
        };
        let Ok(read) = read else { return End::Torn };
        if read == 0 {
            return End::Closed;
        }
        if let LinkCondition::Slow(pause) = now {
            sleep(pause).await;
        }
        let whole = to.write_all(chunk.get(..read).unwrap_or_default()).await;
        if whole.is_err() {
            return End::Torn;
        }
    }
}
