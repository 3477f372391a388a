//! A proxy before Redis that drops pub/sub messages, or delays one until another has passed.
//!
//! It only touches RESP3 pushes with a message (`message`, `smessage`, `pmessage`). Commands and answers pass
//! unchanged, so everything that the bus contract guarantees still holds.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::Error;

/// A running proxy. Dropping it ends it and all connections through it.
#[derive(Debug)]
pub struct LossyRedis {
    addr: SocketAddr,
    faults: Arc<Faults>,
    accepting: JoinHandle<()>,
}

/// Of a hundred messages.
#[derive(Debug, Default)]
struct Faults {
    lost: AtomicU32,
    held: AtomicU32,
    /// Messages that were lost so far.
    dropped: AtomicU64,
}

impl LossyRedis {
    /// Listens on a free port of 127.0.0.1, for connections to the Redis at `target`. It loses nothing
    /// yet. The seed decides which messages it will lose.
    pub async fn start(target: SocketAddr, seed: u64) -> Result<Self, Error> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.map_err(Error::io("binding a proxy"))?;
        let addr = listener.local_addr();
        let addr = addr.map_err(Error::io("asking for a proxy's address"))?;
        let faults = Arc::new(Faults::default());
        let accepting = tokio::spawn(accept(listener, target, Arc::clone(&faults), seed));
        Ok(Self {
            addr,
            faults,
            accepting,
        })
    }

    /// Where clients connect to.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// From now on loses so many of a hundred messages, and lets the next frame pass before so many.
    pub fn lose(&self, lost: u32, held: u32) {
        self.faults.lost.store(lost, Ordering::SeqCst);
        self.faults.held.store(held, Ordering::SeqCst);
    }

    /// Messages that were lost so far.
    pub fn lost(&self) -> u64 {
        self.faults.dropped.load(Ordering::SeqCst)
    }
}

impl Drop for LossyRedis {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, faults: Arc<Faults>, seed: u64) {
    // Ends its tasks with itself.
    let mut connections = JoinSet::new();
    let mut rng = StdRng::seed_from_u64(seed);
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // What fails here is the connection's end, which its client sees for itself.
                if let Ok((client, _)) = accepted {
                    connections.spawn(connection(client, target, Arc::clone(&faults), rng.random()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(mut client: TcpStream, target: SocketAddr, faults: Arc<Faults>, seed: u64) {
    let Ok(mut redis) = TcpStream::connect(target).await else {
        // Nobody listens behind the proxy: the client must not think otherwise.
        let _ = client.set_zero_linger();
        return;
    };
    for stream in [&client, &redis] {
        // A failure only means that the bytes are slower.
        let _ = stream.set_nodelay(true);
    }
    let (mut from_client, to_client) = client.split();
    let (from_redis, mut to_redis) = redis.split();
    tokio::select! {
        _ = tokio::io::copy(&mut from_client, &mut to_redis) => {}
        _ = sift(from_redis, to_client, &faults, StdRng::seed_from_u64(seed)) => {}
    }
}

/// Passes frames on, the unlucky messages among them aside.
async fn sift(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    faults: &Faults,
    mut rng: StdRng,
) -> std::io::Result<()> {
    let mut buffer = BytesMut::with_capacity(16 * 1024);
    let mut held: Option<Bytes> = None;
    loop {
        while let Some(length) = frame(&buffer) {
            let whole = buffer.split_to(length).freeze();
            let mut unlucky = |of: &AtomicU32| rng.random_range(0..100) < of.load(Ordering::SeqCst);
            if is_message(&whole) {
                if unlucky(&faults.lost) {
                    faults.dropped.fetch_add(1, Ordering::SeqCst);
                    continue;
                }
                if held.is_none() && unlucky(&faults.held) {
                    held = Some(whole);
                    continue;
                }
            }
            to.write_all(&whole).await?;
            if let Some(late) = held.take() {
                to.write_all(&late).await?;
            }
        }
        if from.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

/// Whether a frame is a push with a message in it.
fn is_message(frame: &[u8]) -> bool {
    let mut lines = frame.split(|byte| *byte == b'\n');
    let push = lines.next().is_some_and(|line| line.starts_with(b">"));
    let kind = lines.nth(1).unwrap_or_default();
    push && matches!(kind.trim_ascii_end(), b"message" | b"smessage" | b"pmessage")
}

/// The length of the first frame in `bytes`, if all of it is there.
fn frame(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    // Values that are still to come before the frame is whole.
    let mut owed: usize = 1;
    while owed > 0 {
        let rest = bytes.get(at..)?;
        let line = rest.iter().position(|byte| *byte == b'\n')?;
        let head = rest.get(..line)?.trim_ascii_end();
        let (kind, count) = head.split_first()?;
        let count: usize = std::str::from_utf8(count)
            .ok()
            .and_then(|count| count.parse().ok())
            .unwrap_or_default();
        let nil = head.get(1) == Some(&b'-');
        at += line + 1;
        owed -= 1;
        match kind {
            b'$' | b'=' | b'!' if !nil => at += count + 2,
            b'*' | b'~' | b'>' => owed += count,
            b'%' => owed += 2 * count,
            // Attributes come before the value that they are about.
            b'|' => owed += 2 * count + 1,
            _ => {}
        }
    }
    (at <= bytes.len()).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUSH: &[u8] = b">3\r\n$7\r\nmessage\r\n$1\r\nt\r\n$4\r\n\r\n>1\r\n";

    #[test]
    fn a_frame_ends_where_its_last_value_ends() {
        let frames: [&[u8]; 6] = [
            b"+OK\r\n",
            b":-7\r\n",
            b"$-1\r\n",
            PUSH,
            b"%1\r\n+a\r\n*2\r\n:1\r\n$0\r\n\r\n",
            b"|1\r\n+k\r\n+v\r\n*0\r\n",
        ];
        for whole in frames {
            let more = [whole, b"+next\r\n"].concat();
            assert_eq!(
                frame(&more),
                Some(whole.len()),
                "{}",
                String::from_utf8_lossy(whole)
            );
            for part in 0..whole.len() {
                assert_eq!(frame(&whole[..part]), None);
            }
        }
    }

    #[test]
    fn only_pushes_with_messages_are_messages() {
        assert!(is_message(PUSH));
        assert!(is_message(b">3\r\n$8\r\nsmessage\r\n$1\r\nt\r\n$1\r\nx\r\n"));
        assert!(!is_message(b">3\r\n$9\r\nsubscribe\r\n$1\r\nt\r\n:1\r\n"));
        assert!(!is_message(b"*2\r\n$7\r\nmessage\r\n$1\r\nt\r\n"));
    }
}
