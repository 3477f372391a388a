//! Requests of commands to the server that runs on this machine, at the configured listen address.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs as _},
    time::Duration,
};

use super::{Failure, local_tls};
use crate::config::Config;

/// Time limit for connecting, and for each read of the answer.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The longest answer, in bytes.
const LONGEST: u64 = 4 << 20;

/// An answer of the server.
pub(super) struct Answer {
    /// The status code; 0 if the answer has none.
    pub(super) status: u16,
    /// The status line.
    pub(super) status_line: String,
    /// The body.
    pub(super) body: String,
}

/// Sends `GET path`, with the API key if there is one.
///
/// # Errors
/// The server cannot be reached or answers with something else than HTTP.
pub(super) fn get(config: &Config, path: &str, key: Option<&str>) -> Result<Answer, Failure> {
    let failed = |what: String| Failure::Unreachable(format!("{}: {what}", config.listen));
    let mut addresses = config
        .listen
        .to_socket_addrs()
        .map_err(|error| failed(error.to_string()))?;
    let address = addresses
        .next()
        .ok_or_else(|| failed("it has no address".to_owned()))?;
    let answer = connect(reachable(address)).and_then(|stream| {
        if config.http.tls.is_on() {
            exchange(local_tls::over(stream)?, path, key)
        } else {
            exchange(stream, path, key)
        }
    });
    answer.map_err(|error| failed(error.to_string()))
}

/// The loopback address in place of a wildcard address.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    Ok(stream)
}

fn exchange(mut stream: impl Read + Write, path: &str, key: Option<&str>) -> io::Result<Answer> {
    let authorization = key.map(|key| format!("Authorization: Bearer {key}\r\n"));
    let request = format!(
        "GET {path} HTTP/1.0\r\nHost: localhost\r\n{}Connection: close\r\n\r\n",
        authorization.unwrap_or_default()
    );
    stream.write_all(request.as_bytes())?;
    let mut text = String::new();
    stream.take(LONGEST).read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status_line = head.lines().next().unwrap_or_default();
    let status = status_line.split(' ').nth(1).and_then(|code| code.parse().ok());
    Ok(Answer {
        status: status.unwrap_or(0),
        status_line: status_line.to_owned(),
        body: body.to_owned(),
    })
}
