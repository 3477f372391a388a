//! The HTTP request that opened a connection, as far as it is of use later.

use std::net::IpAddr;

use http::HeaderMap;

/// What is known of a client from the request that opened its connection.
#[derive(Debug, Clone)]
pub struct Handshake {
    /// The client's address: the peer's, or what a [`ClientAddress`] extension said.
    pub address: IpAddr,
    /// The request's headers; empty if the server was built with `keep_headers(false)`.
    pub headers: HeaderMap,
    /// The raw query string; empty if the server was built with `keep_headers(false)`.
    pub query: Box<str>,
}

/// A request extension that names the client behind a trusted proxy. It goes before the peer's address. Set it in a
/// layer that knows which proxies to believe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);
