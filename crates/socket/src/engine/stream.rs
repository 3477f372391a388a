//! The byte stream of an upgraded connection: the raw TCP stream if hyper can return it, else a boxed
//! stream (TLS, in-memory pipes). The session's task owns the read half; the session owns the write half.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::upgrade::{Parts, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf, ReadHalf, WriteHalf},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};
#[cfg(feature = "tls")]
use tokio_rustls::server::TlsStream;

use crate::{connection_limit::ConnectionPermit, http_stream::HttpStream};

pub(super) trait Duplex: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Duplex for T {}

type Other = Pin<Box<dyn Duplex>>;

pub(super) struct Stream {
    pub(super) source: Source,
    pub(super) sink: Sink,
}

/// The read half.
pub(super) enum Source {
    /// The permit counts the connection until the session lets go of the stream.
    Tcp(
        OwnedReadHalf,
        #[allow(dead_code, reason = "held, not read")] Option<ConnectionPermit>,
    ),
    Other(
        ReadHalf<Other>,
        #[allow(dead_code, reason = "held, not read")] Option<ConnectionPermit>,
    ),
}

/// The write half.
pub(super) enum Sink {
    Tcp(OwnedWriteHalf),
    Other(WriteHalf<Other>),
}

impl Stream {
    /// Takes the stream out of hyper, with the bytes that hyper had read ahead.
    pub(super) fn take_back(upgraded: Upgraded) -> (Stream, Bytes) {
        let upgraded = match upgraded.downcast::<TokioIo<HttpStream<TcpStream>>>() {
            Ok(Parts { io, read_buf, .. }) => {
                let (stream, permit) = io.into_inner().into_parts();
                return (Stream::tcp(stream, Some(permit)), read_buf);
            }
            Err(upgraded) => upgraded,
        };
        #[cfg(feature = "tls")]
        let upgraded = match upgraded.downcast::<TokioIo<HttpStream<TlsStream<TcpStream>>>>() {
            Ok(Parts { io, read_buf, .. }) => {
                let (stream, permit) = io.into_inner().into_parts();
                return (Stream::other(Box::pin(stream), Some(permit)), read_buf);
            }
            Err(upgraded) => upgraded,
        };
        // The stream of another accept loop.
        let upgraded = match upgraded.downcast::<TokioIo<TcpStream>>() {
            Ok(Parts { io, read_buf, .. }) => return (Stream::tcp(io.into_inner(), None), read_buf),
            Err(upgraded) => upgraded,
        };
        // `axum::serve` uses hyper-util's protocol detection, which wraps the stream once more.
        match hyper_util::server::conn::auto::upgrade::downcast::<TokioIo<TcpStream>>(upgraded) {
            Ok(parts) => (Stream::tcp(parts.io.into_inner(), None), parts.read_buf),
            Err(upgraded) => (
                Stream::other(Box::pin(TokioIo::new(upgraded)), None),
                Bytes::new(),
            ),
        }
    }

    fn tcp(stream: TcpStream, permit: Option<ConnectionPermit>) -> Stream {
        // Frames are written whole, so Nagle's algorithm only adds delay. If it stays on, nothing breaks.
        let _ = stream.set_nodelay(true);
        let (source, sink) = stream.into_split();
        Stream {
            source: Source::Tcp(source, permit),
            sink: Sink::Tcp(sink),
        }
    }

    fn other(stream: Other, permit: Option<ConnectionPermit>) -> Stream {
        let (source, sink) = tokio::io::split(stream);
        Stream {
            source: Source::Other(source, permit),
            sink: Sink::Other(sink),
        }
    }
}

impl Source {
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(match self {
            Source::Tcp(stream, _) => Pin::new(stream).poll_read(cx, &mut buffer),
            Source::Other(stream, _) => Pin::new(stream).poll_read(cx, &mut buffer),
        })?;
        Poll::Ready(Ok(buffer.filled().len()))
    }
}

impl Sink {
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match (self, slices) {
            // A plain write is cheaper for the kernel than a vectored write of one slice.
            (Sink::Tcp(stream), [slice]) => Pin::new(stream).poll_write(cx, slice),
            (Sink::Tcp(stream), slices) => Pin::new(stream).poll_write_vectored(cx, slices),
            (Sink::Other(stream), slices) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    /// Writes without waiting. For tasks other than the one that waits for the stream.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if only the waiting task can write.
    pub(super) fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match (self, slices) {
            (Sink::Tcp(stream), [slice]) => stream.try_write(slice),
            (Sink::Tcp(stream), slices) => stream.try_write_vectored(slices),
            (Sink::Other(_), _) => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Whether [`Sink::try_write`] can ever succeed.
    pub(super) fn takes_tries(&self) -> bool {
        matches!(self, Sink::Tcp(_))
    }

    /// Flushes buffered bytes, for example of a TLS layer.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Sink::Tcp(_) => Poll::Ready(Ok(())),
            Sink::Other(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Sink::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Sink::Other(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
