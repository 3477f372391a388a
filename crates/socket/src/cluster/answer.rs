//! The body of another node's answer on its way to the client: passed on as it comes, not collected, and given up if it
//! takes too long.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::Sleep;

use super::forward::Seat;

/// How long an answer's body may take, once its head has come.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct AnswerBody {
    body: Incoming,
    deadline: Pin<Box<Sleep>>,
    /// Given back when the answer is through, or dropped.
    _seat: Seat,
}

impl AnswerBody {
    pub(super) fn new(body: Incoming, seat: Seat) -> Self {
        AnswerBody {
            body,
            deadline: Box::pin(tokio::time::sleep(PATIENCE)),
            _seat: seat,
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(io::Error::other)));
        }
        ready!(self.deadline.as_mut().poll(cx));
        Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
