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
    /// Whose handwriting the query is.
    pub dialect: Dialect,
}

/// A client library, as far as it can be told by its handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// JavaScript's, or one that can't be told from it.
    #[default]
    Stock,
    /// python-socketio: it names the transport before the protocol's version. It hands the offset of connection state
    /// recovery to the application's handlers, and refuses to call those that take one argument.
    Python,
}

impl Dialect {
    pub(crate) fn of(query: &str) -> Self {
        let at = |name: &str| query.split('&').position(|pair| pair.starts_with(name));
        match (at("transport="), at("EIO=")) {
            (Some(transport), Some(version)) if transport < version => Self::Python,
            _ => Self::Stock,
        }
    }
}

/// A request extension that names the client behind a trusted proxy. It goes before the peer's address. Set it in a
/// layer that knows which proxies to believe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialect_is_known_by_the_order_of_the_query() {
        for (query, dialect) in [
            ("EIO=4&transport=websocket", Dialect::Stock),
            ("EIO=4&transport=polling&t=abc", Dialect::Stock),
            ("transport=websocket&EIO=4", Dialect::Python),
            ("room=1&transport=polling&EIO=4&t=1.5", Dialect::Python),
            ("", Dialect::Stock),
            ("transport=polling", Dialect::Stock),
        ] {
            assert_eq!(Dialect::of(query), dialect, "{query}");
        }
    }
}
