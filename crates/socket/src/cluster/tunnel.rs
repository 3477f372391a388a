//! An upgraded connection through this node to the session's owner: bytes both ways, nobody looks at them.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional_with_sizes},
    sync::watch,
};

use super::forward::{ALL, Seat};

/// Bytes under way in one direction. While it is full, nothing is read from the sender.
const BUFFER: usize = 8 * 1024;
/// How long the switch from HTTP to a bare stream may take on either side.
const SWITCH: Duration = Duration::from_secs(10);

/// Carries bytes until both sides have ended, one fails, nothing has moved for `idle` (up to twice that: it is looked at
/// now and then), or it is among those that a drain of this node ends. An end of one side's stream is passed on; the other way goes on
/// until its own end.
pub(super) async fn run(
    client: OnUpgrade,
    owner: OnUpgrade,
    idle: Duration,
    mut drained: watch::Receiver<u16>,
    seat: Seat,
) {
    let both = async { tokio::try_join!(client, owner) };
    let Ok(Ok((client, owner))) = tokio::time::timeout(SWITCH, both).await else {
        return;
    };
    // When its turn comes in a drain is left to chance.
    let turn = rand::random_range(1..=ALL);
    let moved = Arc::new(AtomicU64::new(0));
    let mut client = Watched::new(client, &moved);
    let mut owner = Watched::new(owner, &moved);
    let outcome = tokio::select! {
        outcome = copy_bidirectional_with_sizes(&mut client, &mut owner, BUFFER, BUFFER) => outcome.err(),
        () = standstill(&moved, idle) => Some(io::ErrorKind::TimedOut.into()),
        // An error is an end of the server.
        _ = drained.wait_for(|&drained| drained >= turn) => None,
    };
    seat.tunnelled(moved.load(Ordering::Relaxed));
    if let Some(error) = outcome {
        tracing::debug!(%error, "a tunnel to another node ended");
    }
}

/// Ready when nothing has moved for `idle`.
async fn standstill(moved: &AtomicU64, idle: Duration) {
    let mut before = moved.load(Ordering::Relaxed);
    loop {
        tokio::time::sleep(idle).await;
        let now = moved.load(Ordering::Relaxed);
        if now == before {
            return;
        }
        before = now;
    }
}

/// A stream that counts what is read from it.
struct Watched {
    io: TokioIo<Upgraded>,
    moved: Arc<AtomicU64>,
}

impl Watched {
    fn new(upgraded: Upgraded, moved: &Arc<AtomicU64>) -> Self {
        Watched {
            io: TokioIo::new(upgraded),
            moved: Arc::clone(moved),
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        let read = buffer.filled().len() - before;
        self.moved.fetch_add(read as u64, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_tunnel_stands_still_only_if_nothing_moves() {
        let moved = AtomicU64::new(0);
        let idle = Duration::from_secs(10);
        let busy = async {
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_secs(9)).await;
                moved.fetch_add(1, Ordering::Relaxed);
            }
        };
        let begun = tokio::time::Instant::now();
        tokio::join!(busy, standstill(&moved, idle));
        let took = begun.elapsed();
        assert!(
            took >= Duration::from_secs(100) && took <= Duration::from_secs(110),
            "{took:?}"
        );
    }
}
