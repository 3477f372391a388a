//! A tunnel: the stream of an upgraded connection, copied through this node to the session's owner.

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

use super::forward_permit::ForwardPermit;

/// Progress of a drain, in thousandths, at which no tunnel is left.
pub(super) const DRAINED: u16 = 1000;
/// Buffered bytes per direction. A full buffer stops reading from the sender.
const BUFFER: usize = 8 * 1024;
/// How long the switch from HTTP to a stream may take on either side.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(10);

/// Copies bytes in both directions until both sides have ended, one fails, no byte has moved for `idle`
/// (checked periodically, so up to twice that), or this node's drain ends the tunnel. If one side ends its
/// stream, the other direction continues.
pub(super) async fn run(
    client: OnUpgrade,
    owner: OnUpgrade,
    idle: Duration,
    mut drained: watch::Receiver<u16>,
    permit: ForwardPermit,
) {
    let both = async { tokio::try_join!(client, owner) };
    let Ok(Ok((client, owner))) = tokio::time::timeout(UPGRADE_TIMEOUT, both).await else {
        return;
    };
    // A random threshold decides when a drain ends this tunnel.
    let threshold = rand::random_range(1..=DRAINED);
    let transferred = Arc::new(AtomicU64::new(0));
    let mut client = CountedStream::new(client, &transferred);
    let mut owner = CountedStream::new(owner, &transferred);
    let outcome = tokio::select! {
        outcome = copy_bidirectional_with_sizes(&mut client, &mut owner, BUFFER, BUFFER) => outcome.err(),
        () = wait_idle(&transferred, idle) => Some(io::ErrorKind::TimedOut.into()),
        // An error means that the server has been dropped.
        _ = drained.wait_for(|&drained| drained >= threshold) => None,
    };
    permit.tunnelled(transferred.load(Ordering::Relaxed));
    if let Some(error) = outcome {
        tracing::debug!(%error, "a tunnel to another node failed");
    }
}

/// Ready when no byte has moved for `idle`.
async fn wait_idle(transferred: &AtomicU64, idle: Duration) {
    let mut before = transferred.load(Ordering::Relaxed);
    loop {
        tokio::time::sleep(idle).await;
        let now = transferred.load(Ordering::Relaxed);
        if now == before {
            return;
        }
        before = now;
    }
}

/// A stream that counts the bytes read from it.
struct CountedStream {
    io: TokioIo<Upgraded>,
    transferred: Arc<AtomicU64>,
}

impl CountedStream {
    fn new(upgraded: Upgraded, transferred: &Arc<AtomicU64>) -> Self {
        CountedStream {
            io: TokioIo::new(upgraded),
            transferred: Arc::clone(transferred),
        }
    }
}

impl AsyncRead for CountedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        let read = buffer.filled().len() - before;
        self.transferred.fetch_add(read as u64, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for CountedStream {
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
    async fn a_tunnel_is_idle_only_without_traffic() {
        let transferred = AtomicU64::new(0);
        let idle = Duration::from_secs(10);
        let busy = async {
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_secs(9)).await;
                transferred.fetch_add(1, Ordering::Relaxed);
            }
        };
        let begun = tokio::time::Instant::now();
        tokio::join!(busy, wait_idle(&transferred, idle));
        let took = begun.elapsed();
        assert!(
            took >= Duration::from_secs(100) && took <= Duration::from_secs(110),
            "{took:?}"
        );
    }
}
