//! `roomful health`: asks the server on this machine whether it is alive, for the health check of a
//! container.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs as _},
    process::ExitCode,
    time::Duration,
};

use super::{Failure, print};
use crate::config::Config;

/// Time limit for connecting, and for the answer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Succeeds if the server at the configured listen address answers `GET /livez` with 200.
pub(super) fn run(config: &Config) -> Result<ExitCode, Failure> {
    let unhealthy = |what: String| Failure::Unhealthy(format!("{}: {what}", config.listen));
    let mut addresses = config
        .listen
        .to_socket_addrs()
        .map_err(|error| unhealthy(error.to_string()))?;
    let address = addresses
        .next()
        .ok_or_else(|| unhealthy("it has no address".to_owned()))?;
    let status = status_of(reachable(address)).map_err(|error| unhealthy(error.to_string()))?;
    match status.split(' ').nth(1) {
        Some("200") => print("alive\n"),
        _ => Err(unhealthy(format!("it answered {:?}", status.trim_end()))),
    }
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

/// The status line of `GET /livez`.
fn status_of(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut status = String::new();
    BufReader::new(stream).read_line(&mut status)?;
    Ok(status)
}
