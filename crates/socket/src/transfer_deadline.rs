//! The deadline of a transfer: a fixed time, plus the time that its bytes take at a minimum rate.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use metrics::{Counter, counter};
use tokio::time::{Instant, Sleep};

/// The least pace of a request body or a response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// The time that every transfer gets.
    pub(crate) grace: Duration,
    /// Bytes per second beyond the grace. 0 counts as 1.
    pub(crate) min_rate: u64,
    /// What the name of its metric starts with.
    pub(crate) metric_prefix: &'static str,
}

/// A transfer that waits for its peer. Made at the first wait, so a transfer that never waits costs nothing.
pub(crate) struct TransferDeadline {
    pace: Pace,
    started: Instant,
    bytes: u64,
    sleep: Pin<Box<Sleep>>,
}

impl TransferDeadline {
    pub(crate) fn new(pace: Pace) -> Self {
        let started = Instant::now();
        TransferDeadline {
            pace,
            started,
            bytes: 0,
            sleep: Box::pin(tokio::time::sleep_until(started + pace.grace)),
        }
    }

    /// Counts bytes that have moved.
    pub(crate) fn moved(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// Ready once the transfer is too slow.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let earned = Duration::from_millis(self.bytes.saturating_mul(1_000) / self.pace.min_rate.max(1));
        let deadline = self.started + self.pace.grace + earned;
        if self.sleep.deadline() != deadline {
            self.sleep.as_mut().reset(deadline);
        }
        self.sleep.as_mut().poll(cx)
    }
}

/// The error of a body whose client sends it too slowly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request body arrives too slowly")]
pub struct TooSlow;

/// A request body with a deadline. Reading it fails with [`TooSlow`] when the client is too slow.
pub(crate) struct TimedBody {
    body: Incoming,
    pace: Pace,
    deadline: Option<Box<TransferDeadline>>,
}

impl TimedBody {
    pub(crate) fn new(body: Incoming, pace: Pace) -> Self {
        TimedBody {
            body,
            pace,
            deadline: None,
        }
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(frame) => {
                if let (Some(deadline), Some(Ok(frame))) = (&mut this.deadline, &frame) {
                    deadline.moved(frame.data_ref().map_or(0, Bytes::len));
                }
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Poll::Pending => {
                let pace = this.pace;
                let deadline = this
                    .deadline
                    .get_or_insert_with(|| Box::new(TransferDeadline::new(pace)));
                match deadline.poll(cx) {
                    Poll::Ready(()) => {
                        slow_transfers(this.pace, "request").increment(1);
                        Poll::Ready(Some(Err(TooSlow.into())))
                    }
                    Poll::Pending => Poll::Pending,
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The error of a response whose client reads it too slowly.
pub(crate) fn slow_reader(pace: Pace) -> io::Error {
    slow_transfers(pace, "response").increment(1);
    io::Error::new(
        io::ErrorKind::TimedOut,
        "the client reads its response too slowly",
    )
}

fn slow_transfers(pace: Pace, kind: &'static str) -> Counter {
    let prefix = pace.metric_prefix;
    counter!(format!("{prefix}_http_slow_transfers_total"), "kind" => kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn overdue(deadline: &mut TransferDeadline) -> Duration {
        let started = Instant::now();
        std::future::poll_fn(|cx| deadline.poll(cx)).await;
        started.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_extend_the_deadline_at_the_minimum_rate() {
        let pace = Pace {
            grace: Duration::from_secs(10),
            min_rate: 1_000,
            metric_prefix: "roomful",
        };
        assert_eq!(overdue(&mut TransferDeadline::new(pace)).await.as_secs(), 10);
        let mut moving = TransferDeadline::new(pace);
        moving.moved(5_000);
        assert_eq!(overdue(&mut moving).await.as_secs(), 15);
        let mut dripping = TransferDeadline::new(pace);
        for _ in 0..100 {
            dripping.moved(1);
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        assert!(
            overdue(&mut dripping).await < Duration::from_secs(1),
            "100 bytes earn 0.1 s"
        );
    }
}
