//! A TCP proxy in front of a server, which can hurt those who come through it: freeze, slow down, reset.
//!
//! It passes bytes on and does not look at them. A frozen proxy is what a half-open connection looks like from both
//! ends: nothing arrives, nobody is told.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use crate::Error;

/// How the bytes pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Weather {
    /// At once.
    #[default]
    Fair,
    /// Each piece after this time.
    Slow(Duration),
    /// Not at all, until the weather changes. New connections are accepted, and as silent.
    Frozen,
}

/// A running proxy. Dropping it ends it and all connections through it.
#[derive(Debug)]
pub struct Proxy {
    addr: SocketAddr,
    weather: watch::Sender<Weather>,
    /// Counts the resets; each change ends the connections of before.
    resets: watch::Sender<u64>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1, for connections to `target`.
    pub async fn start(target: SocketAddr) -> Result<Self, Error> {
        Self::start_at(Ipv4Addr::LOCALHOST, target).await
    }

    /// Listens on a free port of that address, for connections to `target`.
    pub async fn start_at(addr: Ipv4Addr, target: SocketAddr) -> Result<Self, Error> {
        let listener = TcpListener::bind((addr, 0)).await;
        let listener = listener.map_err(Error::io("binding a proxy"))?;
        let addr = listener.local_addr();
        let addr = addr.map_err(Error::io("asking for a proxy's address"))?;
        let (weather, seen) = watch::channel(Weather::default());
        let (resets, reset) = watch::channel(0);
        let accepting = tokio::spawn(accept(listener, target, seen, reset));
        Ok(Self {
            addr,
            weather,
            resets,
            accepting,
        })
    }

    /// Where clients connect to.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Changes the weather for all connections, those to come included.
    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
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
    weather: watch::Receiver<Weather>,
    resets: watch::Receiver<u64>,
) {
    // Ends its tasks with itself.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // What fails here is the connection's end, which its client sees for itself.
                if let Ok((client, _)) = accepted {
                    connections.spawn(connection(client, target, weather.clone(), resets.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(
    mut client: TcpStream,
    target: SocketAddr,
    weather: watch::Receiver<Weather>,
    mut resets: watch::Receiver<u64>,
) {
    resets.mark_unchanged();
    let Ok(mut server) = TcpStream::connect(target).await else {
        // Nobody listens behind the proxy: the client must not think otherwise.
        let _ = client.set_zero_linger();
        return;
    };
    for stream in [&client, &server] {
        // A failure only means that the bytes are slower.
        let _ = stream.set_nodelay(true);
    }
    let ended = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        tokio::select! {
            ended = pump(from_client, to_server, weather.clone()) => ended,
            ended = pump(from_server, to_client, weather) => ended,
            _ = resets.changed() => End::Torn,
        }
    };
    if ended == End::Torn {
        for stream in [&client, &server] {
            // A failure here means that the socket is gone already, which is what was asked for.
            let _ = stream.set_zero_linger();
        }
    }
}

/// How a direction came to its end.
#[derive(PartialEq, Eq)]
enum End {
    /// In order: the other side gets all that was sent, and then the end.
    Closed,
    /// By a reset.
    Torn,
}

/// Passes bytes on in one direction, until it ends.
async fn pump(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, mut weather: watch::Receiver<Weather>) -> End {
    let mut piece = vec![0; 16 * 1024];
    loop {
        // While frozen it does not read either, so that the sender's buffers fill as they do on a dead line.
        let thawed = weather.wait_for(|weather| *weather != Weather::Frozen).await;
        let Ok(now) = thawed.map(|weather| *weather) else {
            return End::Torn;
        };
        let read = tokio::select! {
            read = from.read(&mut piece) => read,
            _ = weather.changed() => continue,
        };
        let Ok(read) = read else { return End::Torn };
        if read == 0 {
            return End::Closed;
        }
        if let Weather::Slow(pause) = now {
            sleep(pause).await;
        }
        let whole = to.write_all(piece.get(..read).unwrap_or_default()).await;
        if whole.is_err() {
            return End::Torn;
        }
    }
}
