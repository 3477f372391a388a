//! A raw WebSocket client: the HTTP upgrade and a stream of frames. Knows nothing of Engine.IO.
//!
//! It holds no buffer while idle: a load program keeps 10,000 of these in one process.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Buf as _, Bytes, BytesMut};
use sha1::{Digest as _, Sha1};
use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::frame::{self, Opcode, RawFrame};
use crate::{Error, PATIENCE};

/// What [`WsClient::recv`] saw: a whole message, a control frame or the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A text message, fragments joined.
    Text(String),
    /// A binary message, fragments joined.
    Binary(Bytes),
    /// A ping of the WebSocket layer. It is not answered: the caller decides.
    Ping(Bytes),
    /// A pong of the WebSocket layer.
    Pong(Bytes),
    /// A close frame; no code if its body was empty (RFC 6455, section 5.5.1).
    Close(Option<u16>),
    /// The TCP stream ended or was reset without (or after) a close frame.
    Eof,
}

/// One WebSocket connection, client side.
#[derive(Debug)]
pub struct WsClient {
    stream: TcpStream,
    buffer: BytesMut,
    /// Bytes not written yet, so that a cancelled send loses nothing.
    outgoing: BytesMut,
    /// The opcode of a message whose last fragment has not come, and what did come of it.
    partial: Option<(Opcode, BytesMut)>,
}

impl WsClient {
    /// Connects to `addr` and upgrades `path_and_query`. `headers` are added to the request.
    ///
    /// # Errors
    /// [`Error::UpgradeRefused`] with the status when the server answers something other than 101.
    pub async fn connect(
        addr: SocketAddr,
        path_and_query: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, Error> {
        Self::connect_from(None, addr, path_and_query, headers).await
    }

    /// As [`connect`](Self::connect), from a chosen local address: one address has only some 28,000 ports
    /// to a server.
    pub async fn connect_from(
        source: Option<IpAddr>,
        addr: SocketAddr,
        path_and_query: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, Error> {
        let stream = open(source, addr).await?;
        Self::over(stream, addr, path_and_query, headers).await
    }

    /// As [`connect`](Self::connect), with segments and a window like those of a phone: on loopback the
    /// two kernels would take megabytes before anything waits in the server.
    pub async fn connect_narrow(
        addr: SocketAddr,
        path_and_query: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, Error> {
        let stream = open_narrow(addr).await?;
        Self::over(stream, addr, path_and_query, headers).await
    }

    async fn over(
        stream: TcpStream,
        addr: SocketAddr,
        path_and_query: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, Error> {
        let mut client = Self {
            stream,
            buffer: BytesMut::new(),
            outgoing: BytesMut::new(),
            partial: None,
        };
        let upgrade = client.upgrade(addr, path_and_query, headers);
        timeout(PATIENCE, upgrade).await.map_err(|_| Error::TimedOut {
            what: "the answer to a WebSocket upgrade".into(),
            waited: PATIENCE,
            seen: "nothing".into(),
        })??;
        Ok(client)
    }

    async fn upgrade(&mut self, addr: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Result<(), Error> {
        let key = BASE64.encode(rand::random::<[u8; 16]>());
        let mut request = format!(
            "GET {path} HTTP/1.1\r\nhost: {addr}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: {key}\r\n"
        );
        for (name, value) in headers {
            request.extend([name, ": ", value, "\r\n"]);
        }
        request.push_str("\r\n");
        self.send_raw(request.as_bytes()).await?;
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            if !self.fill().await? {
                let reason = String::from_utf8_lossy(&self.buffer).into_owned();
                return Err(Error::Closed {
                    reason,
                    what: "the answer to a WebSocket upgrade".into(),
                });
            }
        };
        let head = String::from_utf8_lossy(&self.buffer.split_to(end)).into_owned();
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .unwrap_or(0);
        if status == 101 {
            return check_accept(&head, &key);
        }
        // The rest of the body arrives with the close after a refusal. Only the status matters.
        while self.buffer.len() < 4096 {
            match timeout(Duration::from_secs(1), self.fill()).await {
                Ok(Ok(true)) => {}
                _ => break,
            }
        }
        Err(Error::UpgradeRefused {
            status,
            body: String::from_utf8_lossy(&self.buffer).into_owned(),
        })
    }

    /// Sends one text message.
    pub async fn send_text(&mut self, text: &str) -> Result<(), Error> {
        self.send_raw(&frame::encode(Opcode::Text, text.as_bytes())).await
    }

    /// Sends one binary message.
    pub async fn send_binary(&mut self, data: &[u8]) -> Result<(), Error> {
        self.send_raw(&frame::encode(Opcode::Binary, data)).await
    }

    /// Sends a close frame; with no code its body is empty.
    pub async fn send_close(&mut self, code: Option<u16>) -> Result<(), Error> {
        let body = code.map(u16::to_be_bytes);
        self.send_raw(&frame::encode(
            Opcode::Close,
            body.as_ref().map_or(&[], |body| &body[..]),
        ))
        .await
    }

    /// Sends bytes as they are: malformed frames, half frames, several frames at once.
    pub async fn send_raw(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.outgoing.extend_from_slice(bytes);
        self.flush().await
    }

    /// Writes what an earlier send that was cancelled left over.
    pub async fn flush(&mut self) -> Result<(), Error> {
        while !self.outgoing.is_empty() {
            self.stream
                .writable()
                .await
                .map_err(Error::io("waiting to write"))?;
            match self.stream.try_write(&self.outgoing) {
                Ok(written) => self.outgoing.advance(written),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(Error::io("writing to a WebSocket")(error)),
            }
        }
        self.outgoing = BytesMut::new();
        Ok(())
    }

    /// The next message or control frame. Waits as long as it takes; may be cancelled without losing
    /// anything.
    ///
    /// # Errors
    /// [`Error::Protocol`] if the server sends what RFC 6455 forbids. The end of the stream is no error but
    /// [`Frame::Eof`].
    pub async fn recv(&mut self) -> Result<Frame, Error> {
        loop {
            if let Some(raw) = frame::decode(&mut self.buffer)? {
                if let Some(frame) = self.join(raw)? {
                    return Ok(frame);
                }
            } else {
                if self.buffer.is_empty() {
                    self.buffer = BytesMut::new();
                }
                if !self.fill().await? {
                    return Ok(Frame::Eof);
                }
            }
        }
    }

    /// As [`recv`](Self::recv), but fails with [`Error::TimedOut`] after `patience`.
    pub async fn recv_within(&mut self, patience: Duration) -> Result<Frame, Error> {
        timeout(patience, self.recv())
            .await
            .map_err(|_| Error::TimedOut {
                what: "a WebSocket frame".into(),
                waited: patience,
                seen: "nothing".into(),
            })?
    }

    /// Reads until the server ends the connection; the close code if it sent one. Everything else is skipped.
    pub async fn recv_close(&mut self, patience: Duration) -> Result<Option<u16>, Error> {
        loop {
            match self.recv_within(patience).await? {
                Frame::Close(code) => return Ok(code),
                Frame::Eof => return Ok(None),
                _ => {}
            }
        }
    }

    /// The local address.
    pub fn local_addr(&self) -> Result<SocketAddr, Error> {
        self.stream
            .local_addr()
            .map_err(Error::io("asking for the local address"))
    }

    /// Ends the connection with a TCP reset: what a client looks like whose process dies or whose network
    /// goes.
    pub fn abort(self) {
        // A failure means that the socket is closed already.
        let _ = self.stream.set_zero_linger();
    }

    fn join(&mut self, raw: RawFrame) -> Result<Option<Frame>, Error> {
        let (opcode, data) = match (raw.opcode, self.partial.take()) {
            (Opcode::Ping | Opcode::Pong | Opcode::Close, partial) => {
                self.partial = partial;
                return Ok(Some(match raw.opcode {
                    Opcode::Ping => Frame::Ping(raw.payload),
                    Opcode::Pong => Frame::Pong(raw.payload),
                    _ => Frame::Close(close_code(&raw.payload)?),
                }));
            }
            (Opcode::Continuation, None) => return Err(Error::Protocol("a continuation of nothing".into())),
            (Opcode::Continuation, Some((opcode, mut data))) => {
                data.extend_from_slice(&raw.payload);
                (opcode, data)
            }
            (opcode, None) => (opcode, BytesMut::from(raw.payload)),
            (_, Some(_)) => return Err(Error::Protocol("a new message inside a fragmented one".into())),
        };
        if !raw.fin {
            self.partial = Some((opcode, data));
            return Ok(None);
        }
        if opcode == Opcode::Binary {
            return Ok(Some(Frame::Binary(data.freeze())));
        }
        match String::from_utf8(data.into()) {
            Ok(text) => Ok(Some(Frame::Text(text))),
            Err(_) => Err(Error::Protocol("a text message that is not UTF-8".into())),
        }
    }

    /// Appends what can be read; false at the end of the stream.
    async fn fill(&mut self) -> Result<bool, Error> {
        loop {
            self.stream
                .readable()
                .await
                .map_err(Error::io("waiting to read"))?;
            // On the stack, so that a connection that waits owns no buffer.
            let mut chunk = [0; 4096];
            match self.stream.try_read(&mut chunk) {
                Ok(0) => return Ok(false),
                Ok(read) => {
                    self.buffer.extend_from_slice(&chunk[..read]);
                    return Ok(true);
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Ok(false),
                Err(error) => return Err(Error::io("reading from a WebSocket")(error)),
            }
        }
    }
}

/// Opens a TCP connection with `TCP_NODELAY`, bound to `source` if given.
pub(crate) async fn open(source: Option<IpAddr>, addr: SocketAddr) -> Result<TcpStream, Error> {
    let socket = if addr.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    };
    let socket = socket.map_err(Error::io("making a socket"))?;
    if let Some(source) = source {
        socket
            .bind(SocketAddr::new(source, 0))
            .map_err(Error::io("binding the source address"))?;
    }
    let stream = socket.connect(addr).await.map_err(Error::io("connecting"))?;
    stream
        .set_nodelay(true)
        .map_err(Error::io("setting TCP_NODELAY"))?;
    Ok(stream)
}

async fn open_narrow(addr: SocketAddr) -> Result<TcpStream, Error> {
    const SEGMENT: u32 = 1200;
    const WINDOW: u32 = 4096;
    let socket = TcpSocket::new_v4().map_err(Error::io("making a socket"))?;
    SockRef::from(&socket)
        .set_tcp_mss(SEGMENT)
        .map_err(Error::io("setting the size of segments"))?;
    socket
        .set_recv_buffer_size(WINDOW)
        .map_err(Error::io("setting the window"))?;
    socket.connect(addr).await.map_err(Error::io("connecting"))
}

/// The server proves that it read the request (RFC 6455, section 4.1, point 4 of the client's checks).
fn check_accept(head: &str, key: &str) -> Result<(), Error> {
    let expected = BASE64.encode(Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11")));
    let accept = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-accept"))
        .map(|(_, value)| value.trim());
    if accept == Some(&expected) {
        return Ok(());
    }
    Err(Error::Protocol(format!(
        "sec-websocket-accept is {accept:?}, not {expected}"
    )))
}

fn close_code(payload: &[u8]) -> Result<Option<u16>, Error> {
    match payload {
        [] => Ok(None),
        [_] => Err(Error::Protocol("a close frame with one byte of body".into())),
        [high, low, ..] => Ok(Some(u16::from_be_bytes([*high, *low]))),
    }
}
