//! Separate deadlines for idle keep-alive connections and for request heads.
//!
//! hyper has one deadline, which starts when the wait for a request starts. On its own it would close a load
//! balancer's idle connections after a few seconds, often right when the next request arrives. This timer
//! starts the head's deadline with the first byte that is read from the stream.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use hyper::rt::Timer;
use tokio::time::{Instant, Sleep};

/// The timer that hyper uses for one connection. It ignores the durations that hyper passes.
#[derive(Clone)]
pub(crate) struct HeadTimer {
    /// The bytes received from the stream so far.
    received: Arc<AtomicU64>,
    /// Whether hyper has started to wait for the first request.
    waited: Arc<AtomicBool>,
    /// The deadline for a request's head.
    head: Duration,
    /// How long the connection may be idle between requests.
    idle: Duration,
}

impl HeadTimer {
    /// A timer that starts the head's deadline when `received` grows.
    pub(crate) fn new(received: Arc<AtomicU64>, head: Duration, idle: Duration) -> Self {
        HeadTimer {
            received,
            waited: Arc::default(),
            head,
            idle: idle.max(head),
        }
    }
}

impl Timer for HeadTimer {
    fn sleep(&self, _: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        // A new connection must send its first request at once; only later waits are idle time.
        let waits = self.waited.swap(true, Ordering::Relaxed);
        let patience = if waits { self.idle } else { self.head };
        Box::pin(HeadSleep {
            received: Arc::clone(&self.received),
            head: self.head,
            waiting_since: waits.then(|| self.received.load(Ordering::Relaxed)),
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
    received: Arc<AtomicU64>,
    head: Duration,
    /// The count of read bytes when the idle time started; `None` once the next request has started.
    waiting_since: Option<u64>,
    sleep: Pin<Box<Sleep>>,
}

impl hyper::rt::Sleep for HeadSleep {}

impl Future for HeadSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let read = self.received.load(Ordering::Relaxed);
        if self.waiting_since.is_some_and(|before| before != read) {
            self.waiting_since = None;
            let until = Instant::now() + self.head;
            self.sleep.as_mut().reset(until);
        }
        self.sleep.as_mut().poll(cx)
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
    async fn the_heads_deadline_starts_with_the_connection_and_later_with_its_first_byte() {
        let timer = HeadTimer::new(Arc::default(), HEAD, IDLE);
        assert_eq!(took(timer.sleep(HEAD)).await, HEAD, "a bare connection");
        assert_eq!(took(timer.sleep(HEAD)).await, IDLE, "between requests");
        let mut begun = timer.sleep(HEAD);
        assert!(futures_util::FutureExt::now_or_never(&mut begun).is_none());
        timer.received.fetch_add(1, Ordering::Relaxed);
        assert_eq!(took(begun).await, HEAD, "a head that never ends");
    }

    #[tokio::test(start_paused = true)]
    async fn the_idle_deadline_is_at_least_the_heads_deadline() {
        let timer = HeadTimer::new(Arc::default(), HEAD, Duration::ZERO);
        assert_eq!(took(timer.sleep(HEAD)).await, HEAD);
        assert_eq!(took(timer.sleep(HEAD)).await, HEAD);
    }
}
