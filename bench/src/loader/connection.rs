//! One client's connection: its unsent bytes, its partly received frames, and the state of its handshake.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};

use memchr::memmem;
use mio::net::TcpStream;
use socket2::{Domain, Socket, Type};

use crate::loader::frame::{self, Frame};

const NARROW_SEGMENT: u32 = 1400;
const NARROW_WINDOW: usize = 16 * 1024;

/// State of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Waits for the HTTP answer.
    Upgrading,
    /// The protocol's handshake is in progress.
    Greeting,
    /// Ready for commands.
    Up,
    /// Closed.
    Gone,
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) stage: Stage,
    /// The client's first message once the transport is open.
    pub(super) hello: Vec<u8>,
    /// False for a client that has stopped reading: its data stays in the kernel.
    pub(super) reading: bool,
    /// The status line with which the server refused the WebSocket.
    pub(super) refusal: String,
    unsent: Vec<u8>,
    partial: Vec<u8>,
}

/// Outcome of one read.
pub(super) enum Reading {
    /// Nothing more for now.
    Drained,
    /// There may be more.
    More,
    /// The server has closed the connection, with the reason if known.
    Ended(String),
}

impl Connection {
    /// Starts to connect, from one of the loopback addresses.
    /// A `narrow` client has segments and a window like a phone's, instead of loopback's large ones.
    pub(super) fn start(
        addr: SocketAddr,
        source: Ipv4Addr,
        narrow: bool,
        path: &str,
        hello: Vec<u8>,
    ) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None)?;
        let source = SocketAddr::from((source, 0));
        socket.set_tcp_nodelay(true)?;
        if narrow {
            socket.set_tcp_mss(NARROW_SEGMENT)?;
            socket.set_recv_buffer_size(NARROW_WINDOW)?;
        }
        socket.bind(&source.into())?;
        match socket.connect(&addr.into()) {
            Err(error) if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {
                return Err(error);
            }
            _ => {}
        }
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {addr}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        Ok(Self {
            stream: TcpStream::from_std(socket.into()),
            stage: Stage::Upgrading,
            hello,
            reading: true,
            refusal: String::new(),
            unsent: request.into_bytes(),
            partial: Vec::new(),
        })
    }

    /// Sends, now or once the kernel accepts it.
    pub(super) fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        self.unsent.extend(frame);
        self.flush()
    }

    /// Sends the waiting bytes.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(error) if waits(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.unsent = Vec::new();
        Ok(())
    }

    /// Reads once into `buffer` and calls `hear` for each whole frame; keeps the rest for the next read.
    pub(super) fn read(
        &mut self,
        buffer: &mut [u8],
        mut handle: impl FnMut(&mut Self, Frame<'_>),
    ) -> Reading {
        let size = match self.stream.read(buffer) {
            Ok(0) => return Reading::Ended("the server closed the connection".into()),
            Ok(size) => size,
            Err(error) if waits(&error) => return Reading::Drained,
            Err(error) => return Reading::Ended(error.to_string()),
        };
        let more = size == buffer.len();
        if self.partial.is_empty() {
            let used = self.take_frames(&buffer[..size], &mut handle);
            self.partial.extend(&buffer[used..size]);
        } else {
            let mut bytes = std::mem::take(&mut self.partial);
            bytes.extend(&buffer[..size]);
            let used = self.take_frames(&bytes, &mut handle);
            bytes.drain(..used);
            self.partial = bytes;
        }
        if more { Reading::More } else { Reading::Drained }
    }

    fn take_frames(&mut self, bytes: &[u8], handle: &mut impl FnMut(&mut Self, Frame<'_>)) -> usize {
        let mut used = 0;
        if self.stage == Stage::Upgrading {
            let Some(end) = memmem::find(bytes, b"\r\n\r\n") else {
                return 0;
            };
            used = end + 4;
            if !bytes.starts_with(b"HTTP/1.1 101") {
                let answer = String::from_utf8_lossy(bytes);
                self.refusal = answer.lines().next().map(str::to_owned).unwrap_or_default();
                self.stage = Stage::Gone;
                return used;
            }
            self.stage = Stage::Greeting;
        }
        while let Some((frame, size)) = frame::first(&bytes[used..]) {
            used += size;
            handle(self, frame);
        }
        used
    }
}

/// True if the kernel asks to retry later.
fn waits(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected | io::ErrorKind::Interrupted
    )
}
