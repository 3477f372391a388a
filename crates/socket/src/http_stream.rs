//! The TCP stream of an HTTP connection: counts received bytes for the head's timer, and closes slow readers.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    connection_limit::ConnectionPermit,
    transfer_deadline::{Pace, TransferDeadline, slow_reader},
};

/// A stream as hyper sees it. After an upgrade, [`HttpStream::into_parts`] gives the bare stream back.
pub(crate) struct HttpStream<S> {
    stream: S,
    permit: ConnectionPermit,
    received: Arc<AtomicU64>,
    pace: Pace,
    /// Set while buffered bytes of a response wait for the client.
    deadline: Option<Box<TransferDeadline>>,
}

impl<S> HttpStream<S> {
    /// Wraps `stream`; adds the bytes it receives to `received`.
    pub(crate) fn new(stream: S, permit: ConnectionPermit, received: Arc<AtomicU64>, pace: Pace) -> Self {
        HttpStream {
            stream,
            permit,
            received,
            pace,
            deadline: None,
        }
    }

    /// The bare stream. The connection counts until the permit is dropped.
    pub(crate) fn into_parts(self) -> (S, ConnectionPermit) {
        (self.stream, self.permit)
    }

    fn written(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &outcome {
            Poll::Ready(Ok(bytes)) => {
                if let Some(deadline) = &mut self.deadline {
                    deadline.moved(*bytes);
                }
                outcome
            }
            Poll::Ready(Err(_)) => outcome,
            Poll::Pending => {
                let pace = self.pace;
                let deadline = self
                    .deadline
                    .get_or_insert_with(|| Box::new(TransferDeadline::new(pace)));
                deadline.poll(cx).map(|()| Err(slow_reader(pace)))
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for HttpStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let read = buffer.filled().len() - before;
        self.received.fetch_add(read as u64, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for HttpStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.written(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes once its own buffer is empty, so the client has caught up.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.deadline = None;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
