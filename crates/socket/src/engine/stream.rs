//! The byte stream of an upgraded connection: the raw TCP stream taken back out of hyper where there is one, and
//! anything else (TLS, in-memory pipes) boxed behind the same two calls.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::upgrade::{Parts, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::head_timer::Counted;

pub(super) trait Duplex: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Duplex for T {}

pub(super) enum Stream {
    Tcp(TcpStream),
    Other(Pin<Box<dyn Duplex>>),
}

impl Stream {
    /// Takes the stream out of hyper, with the bytes hyper had read ahead.
    pub(super) fn take_back(upgraded: Upgraded) -> (Stream, Bytes) {
        let upgraded = match upgraded.downcast::<TokioIo<Counted<TcpStream>>>() {
            Ok(Parts { io, read_buf, .. }) => return (Stream::tcp(io.into_inner().into_inner()), read_buf),
            Err(upgraded) => upgraded,
        };
        // Somebody else's accept loop.
        let upgraded = match upgraded.downcast::<TokioIo<TcpStream>>() {
            Ok(Parts { io, read_buf, .. }) => return (Stream::tcp(io.into_inner()), read_buf),
            Err(upgraded) => upgraded,
        };
        // `axum::serve` goes through hyper-util's protocol detection, which wraps the stream once more.
        match hyper_util::server::conn::auto::upgrade::downcast::<TokioIo<TcpStream>>(upgraded) {
            Ok(parts) => (Stream::tcp(parts.io.into_inner()), parts.read_buf),
            Err(upgraded) => (Stream::Other(Box::pin(TokioIo::new(upgraded))), Bytes::new()),
        }
    }

    fn tcp(stream: TcpStream) -> Stream {
        // Frames are written whole, so waiting to fill a segment only adds delay. Failure costs nothing but that.
        let _ = stream.set_nodelay(true);
        Stream::Tcp(stream)
    }

    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(match self {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(cx, &mut buffer),
            Stream::Other(stream) => stream.as_mut().poll_read(cx, &mut buffer),
        })?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Stream::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Stream::Other(stream) => stream.as_mut().poll_write_vectored(cx, slices),
        }
    }

    /// Pushes buffered bytes out (a TLS layer has some).
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Tcp(_) => Poll::Ready(Ok(())),
            Stream::Other(stream) => stream.as_mut().poll_flush(cx),
        }
    }

    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Other(stream) => stream.as_mut().poll_shutdown(cx),
        }
    }
}
