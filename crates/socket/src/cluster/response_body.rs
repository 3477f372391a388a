//! The body of another node's response on its way to the client: streamed, not collected, with a deadline.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::Sleep;

use super::forward_permit::ForwardPermit;

/// How long the body may take after the head has arrived.
const TIMEOUT: Duration = Duration::from_secs(30);

pub(super) struct ResponseBody {
    body: Incoming,
    deadline: Pin<Box<Sleep>>,
    /// Freed when the body has ended or is dropped.
    _permit: ForwardPermit,
}

impl ResponseBody {
    pub(super) fn new(body: Incoming, permit: ForwardPermit) -> Self {
        ResponseBody {
            body,
            deadline: Box::pin(tokio::time::sleep(TIMEOUT)),
            _permit: permit,
        }
    }
}

impl Body for ResponseBody {
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
