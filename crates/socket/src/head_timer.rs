//! How long a connection may wait between requests, and how long a request's head may take once it has begun.
//!
//! hyper knows one deadline, which begins with the wait: with that alone, a load balancer's idle connections would end after a
//! few seconds, just as it sends the next request on them. This timer tells the two apart by what was read from the stream.

use std::{
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::rt::Timer;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};

/// hyper's timer for one connection. It makes no use of the deadline that hyper has in mind.
#[derive(Clone)]
pub(crate) struct HeadTimer {
    shared: Arc<Shared>,
    /// How long a head may take.
    head: Duration,
    /// How long the connection may wait for the next request.
    idle: Duration,
}

#[derive(Default)]
struct Shared {
    /// Bytes read from the stream so far.
    read: AtomicU64,
    /// The first request is behind it, or on its way.
    begun: AtomicBool,
}

impl HeadTimer {
    pub(crate) fn new(head: Duration, idle: Duration) -> Self {
        HeadTimer {
            shared: Arc::default(),
            head,
            idle: idle.max(head),
        }
    }

    /// The stream that this timer looks at.
    pub(crate) fn watch<S>(&self, stream: S) -> Counted<S> {
        Counted {
            stream,
            shared: Arc::clone(&self.shared),
        }
    }
}

impl Timer for HeadTimer {
    fn sleep(&self, _: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        // Who has connected and says nothing waits for no second request.
        let waits = self.shared.begun.swap(true, Ordering::Relaxed);
        let patience = if waits { self.idle } else { self.head };
        Box::pin(HeadSleep {
            shared: Arc::clone(&self.shared),
            head: self.head,
            waiting_since: waits.then(|| self.shared.read.load(Ordering::Relaxed)),
            sleep: Box::pin(tokio::time::sleep(patience)),
        })
    }

    fn sleep_until(&self, _: std::time::Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        self.sleep(self.head)
    }

    fn now(&self) -> std::time::Instant {
        Instant::now().into_std()
    }
}

struct HeadSleep {
    shared: Arc<Shared>,
    head: Duration,
    /// How much had been read when the wait for the next request began; `None` once that has begun.
    waiting_since: Option<u64>,
    sleep: Pin<Box<Sleep>>,
}

impl hyper::rt::Sleep for HeadSleep {}

impl Future for HeadSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let read = self.shared.read.load(Ordering::Relaxed);
        if self.waiting_since.is_some_and(|before| before != read) {
            self.waiting_since = None;
            let until = Instant::now() + self.head;
            self.sleep.as_mut().reset(until);
        }
        self.sleep.as_mut().poll(cx)
    }
}

/// A stream whose reading is counted.
pub(crate) struct Counted<S> {
    stream: S,
    shared: Arc<Shared>,
}

impl<S> Counted<S> {
    pub(crate) fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let read = buffer.filled().len() - before;
        self.shared.read.fetch_add(read as u64, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Duration = Duration::from_secs(5);
    const IDLE: Duration = Duration::from_secs(75);

    async fn took(sleep: Pin<Box<dyn hyper::rt::Sleep>>) -> Duration {
        let begun = Instant::now();
        sleep.await;
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_head_is_due_at_once_and_a_later_one_once_it_begins() {
        let timer = HeadTimer::new(HEAD, IDLE);
        assert_eq!(took(timer.sleep(HEAD)).await, HEAD, "a bare connection");
        assert_eq!(took(timer.sleep(HEAD)).await, IDLE, "between requests");
        let mut begun = timer.sleep(HEAD);
        assert!(futures_util::FutureExt::now_or_never(&mut begun).is_none());
        timer.shared.read.fetch_add(1, Ordering::Relaxed);
        assert_eq!(took(begun).await, HEAD, "a head that goes on for ever");
    }

    #[tokio::test(start_paused = true)]
    async fn idle_is_never_shorter_than_a_head() {
        let timer = HeadTimer::new(HEAD, Duration::ZERO);
        assert_eq!(took(timer.sleep(HEAD)).await, HEAD);
        assert_eq!(took(timer.sleep(HEAD)).await, HEAD);
    }
}
