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

    /// Counts the bytes of a write that made progress. Fails a write that waits too long.
    fn written(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let (Poll::Ready(Ok(bytes)), Some(deadline)) = (&outcome, &mut self.deadline) {
            deadline.moved(*bytes);
        }
        self.paced(cx, outcome)
    }

    /// Ends the deadline if the client has taken everything. Fails a flush that waits too long: TLS accepts
    /// bytes into a buffer of its own, so a client that does not read may show here alone.
    fn flushed(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<()>>) -> Poll<io::Result<()>> {
        if let Poll::Ready(Ok(())) = outcome {
            self.deadline = None;
        }
        self.paced(cx, outcome)
    }

    /// Starts the deadline at the first wait, and turns a wait beyond it into an error.
    fn paced<T>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            return outcome;
        }
        let pace = self.pace;
        let deadline = self
            .deadline
            .get_or_insert_with(|| Box::new(TransferDeadline::new(pace)));
        deadline.poll(cx).map(|()| Err(slow_reader(pace)))
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

    /// hyper flushes once its own buffer is empty.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        self.flushed(cx, outcome)
    }

    /// TLS writes a last record here.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.paced(cx, outcome)
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, time::Duration};

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, BufWriter, DuplexStream, duplex},
        time::Instant,
    };

    use super::*;
    use crate::connection_limit::{Admission, ConnectionLimits, ConnectionTable};

    const GRACE: Duration = Duration::from_secs(10);

    /// A stream that accepts bytes into a buffer of its own, as TLS does, and its client.
    fn buffered() -> (HttpStream<BufWriter<DuplexStream>>, DuplexStream) {
        let table = ConnectionTable::new(ConnectionLimits::default(), "roomful");
        let admission = table
            .admit(Ipv4Addr::LOCALHOST.into())
            .expect("the table is empty");
        let (Admission::Full(permit) | Admission::Reserve(permit, _)) = admission;
        let (server, client) = duplex(16);
        let pace = Pace {
            grace: GRACE,
            min_rate: 1_000_000,
            metric_prefix: "roomful",
        };
        let stream = BufWriter::with_capacity(1_024, server);
        (HttpStream::new(stream, permit, Arc::default(), pace), client)
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_leaves_bytes_in_the_buffer_of_tls_is_closed() {
        let (mut stream, _client) = buffered();
        let started = Instant::now();
        stream.write_all(&[0; 1_000]).await.expect("the buffer has space");
        let error = stream.flush().await.expect_err("the client does not read");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(started.elapsed().as_secs(), GRACE.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_let_the_connection_end_is_closed() {
        let (mut stream, _client) = buffered();
        stream.write_all(&[0; 1_000]).await.expect("the buffer has space");
        let error = stream.shutdown().await.expect_err("the client does not read");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_has_caught_up_gets_the_full_time_again() {
        let (mut stream, mut client) = buffered();
        for _ in 0..2 {
            let reads = async {
                tokio::time::sleep(GRACE * 2 / 3).await;
                client.read_exact(&mut [0; 1_000]).await
            };
            stream.write_all(&[0; 1_000]).await.expect("the buffer has space");
            let (flushed, read) = tokio::join!(stream.flush(), reads);
            flushed.expect("the client reads in time");
            read.expect("everything arrives");
        }
    }
}
