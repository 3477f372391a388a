//! A tiny raw HTTP/1.1 client for tests: one request at a time, optional keep-alive, and requests broken
//! off midway.
//!
//! Only what tests of the polling transport and of the HTTP pages need: bodies by content-length, chunked
//! or to the end of the stream. No redirects, no TLS, no decompression.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::{Error, PATIENCE};

/// An HTTP answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Header names in lower case, and values, in the order in which they came.
    pub headers: Vec<(String, String)>,
    /// The body as it came, still compressed if it was.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first header called `name` (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as text. Bytes that are not UTF-8 become replacement characters.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null if it is not.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// A connection that may carry several requests, one after the other.
#[derive(Debug)]
pub struct HttpClient {
    stream: TcpStream,
    host: SocketAddr,
    buffer: Vec<u8>,
}

impl HttpClient {
    /// Connects.
    pub async fn connect(addr: SocketAddr) -> Result<Self, Error> {
        Ok(Self {
            stream: crate::ws::open(None, addr).await?,
            host: addr,
            buffer: Vec::new(),
        })
    }

    /// Sends a request and reads its answer; the connection stays open unless the server ends it.
    pub async fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, Error> {
        self.send(method, path, headers, body).await?;
        self.answer().await
    }

    /// Sends a request without waiting for the answer: to park a poll, or to drop the client while it is
    /// parked.
    pub async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<(), Error> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.host);
        for (name, value) in headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        if method != "GET" || !body.is_empty() {
            head.extend(["content-length: ", &body.len().to_string(), "\r\n"]);
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body);
        self.send_raw(&bytes).await
    }

    /// Sends bytes as they are: malformed or unfinished requests.
    pub async fn send_raw(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.stream
            .write_all(bytes)
            .await
            .map_err(Error::io("writing an HTTP request"))
    }

    /// Reads one answer, within [`PATIENCE`].
    pub async fn answer(&mut self) -> Result<Answer, Error> {
        timeout(PATIENCE, self.read_answer())
            .await
            .map_err(|_| Error::TimedOut {
                what: "an HTTP answer".into(),
                waited: PATIENCE,
                seen: String::from_utf8_lossy(&self.buffer).into_owned(),
            })?
    }

    /// Ends the connection with a TCP reset, in the middle of whatever is going on.
    pub fn abort(self) {
        // A failure means that the socket is closed already.
        let _ = self.stream.set_zero_linger();
    }

    async fn read_answer(&mut self) -> Result<Answer, Error> {
        let head = self.take_until(b"\r\n\r\n").await?;
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1))
            .and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| Error::Protocol(format!("no HTTP status in {head:?}")))?;
        let headers: Vec<_> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut answer = Answer {
            status,
            headers,
            body: Vec::new(),
        };
        answer.body = if answer
            .header("transfer-encoding")
            .is_some_and(|value| value.contains("chunked"))
        {
            self.take_chunks().await?
        } else if let Some(length) = answer
            .header("content-length")
            .and_then(|value| value.parse().ok())
        {
            self.take(length).await?
        } else if matches!(status, 100..=199 | 204 | 304) {
            Vec::new()
        } else {
            while self.fill().await? {}
            std::mem::take(&mut self.buffer)
        };
        Ok(answer)
    }

    async fn take_chunks(&mut self) -> Result<Vec<u8>, Error> {
        let mut body = Vec::new();
        loop {
            let line = self.take_until(b"\r\n").await?;
            let size = line
                .split(';')
                .next()
                .and_then(|size| usize::from_str_radix(size.trim(), 16).ok());
            let size = size.ok_or_else(|| Error::Protocol(format!("bad chunk size {line:?}")))?;
            let mut chunk = self.take(size + 2).await?;
            chunk.truncate(size);
            if chunk.is_empty() {
                return Ok(body);
            }
            body.append(&mut chunk);
        }
    }

    async fn take_until(&mut self, mark: &[u8]) -> Result<String, Error> {
        loop {
            if let Some(at) = self.buffer.windows(mark.len()).position(|window| window == mark) {
                let rest = self.buffer.split_off(at + mark.len());
                let mut head = std::mem::replace(&mut self.buffer, rest);
                head.truncate(at);
                return Ok(String::from_utf8_lossy(&head).into_owned());
            }
            self.fill_or_fail().await?;
        }
    }

    async fn take(&mut self, length: usize) -> Result<Vec<u8>, Error> {
        while self.buffer.len() < length {
            self.fill_or_fail().await?;
        }
        let rest = self.buffer.split_off(length);
        Ok(std::mem::replace(&mut self.buffer, rest))
    }

    async fn fill_or_fail(&mut self) -> Result<(), Error> {
        if self.fill().await? {
            return Ok(());
        }
        let reason = format!("end of stream after {:?}", String::from_utf8_lossy(&self.buffer));
        Err(Error::Closed {
            reason,
            what: "an HTTP answer".into(),
        })
    }

    async fn fill(&mut self) -> Result<bool, Error> {
        let read = self
            .stream
            .read_buf(&mut self.buffer)
            .await
            .map_err(Error::io("reading an HTTP answer"))?;
        Ok(read > 0)
    }
}

/// One GET on a connection of its own.
pub async fn get(addr: SocketAddr, path: &str) -> Result<Answer, Error> {
    request(addr, "GET", path, &[], b"").await
}

/// One request on a connection of its own, which ends with the answer.
pub async fn request(
    addr: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Answer, Error> {
    let mut all = vec![("connection", "close")];
    all.extend_from_slice(headers);
    HttpClient::connect(addr)
        .await?
        .request(method, path, &all, body)
        .await
}

/// Makes a call of the HTTP API on a connection of its own, with this key. `path` is relative to `/api/v1`. A
/// body of null sends none.
pub async fn call_api(
    addr: SocketAddr,
    key: &str,
    method: &str,
    path: &str,
    body: &serde_json::Value,
) -> Result<Answer, Error> {
    let bearer = format!("Bearer {key}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
    ];
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    request(addr, method, &format!("/api/v1{path}"), &headers, body.as_bytes()).await
}
