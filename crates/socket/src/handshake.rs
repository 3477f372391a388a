//! The parts of the opening HTTP request that the connection keeps.

use std::{borrow::Cow, net::IpAddr, time::SystemTime};

use http::HeaderMap;

/// Properties of a client taken from the request that opened its connection.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Handshake {
    /// The client's address: that of the peer, or the [`ClientAddress`] extension if set.
    pub address: IpAddr,
    /// Headers of the request. Empty if the server was built with `keep_headers(false)`.
    pub headers: HeaderMap,
    /// The request's path and query. Empty if the server was built with `keep_headers(false)`.
    pub url: Box<str>,
    /// When the request arrived.
    pub time: SystemTime,
    /// Whether the client uses TLS, as far as the URL or [`ForwardedHost`](crate::ForwardedHost) says.
    pub secure: bool,
    /// The client library, guessed from the query.
    pub client_kind: ClientKind,
}

/// A client library, as far as the handshake shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientKind {
    /// The JavaScript client, or one that looks like it.
    #[default]
    Stock,
    /// python-socketio, which puts the transport before the protocol version in its query. It passes the
    /// recovery offset to the application's handlers, and fails to call handlers that take one argument.
    Python,
}

impl Handshake {
    /// The raw query string.
    pub fn query(&self) -> &str {
        self.url.split_once('?').map_or("", |(_, query)| query)
    }

    /// The decoded parameters of the query, in order.
    pub fn query_pairs(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        form_urlencoded::parse(self.query().as_bytes())
    }

    /// The decoded query parameter of this name; the first, if there are several.
    pub fn query_param(&self, name: &str) -> Option<Cow<'_, str>> {
        self.query_pairs()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    }
}

impl ClientKind {
    pub(crate) fn of(query: &str) -> Self {
        let at = |name: &str| query.split('&').position(|pair| pair.starts_with(name));
        match (at("transport="), at("EIO=")) {
            (Some(transport), Some(version)) if transport < version => Self::Python,
            _ => Self::Stock,
        }
    }
}

/// A request extension with the address of a client behind a trusted proxy. It overrides the peer's
/// address. Set it in a layer that knows the trusted proxies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_order_identifies_the_client_kind() {
        for (query, client_kind) in [
            ("EIO=4&transport=websocket", ClientKind::Stock),
            ("EIO=4&transport=polling&t=abc", ClientKind::Stock),
            ("transport=websocket&EIO=4", ClientKind::Python),
            ("room=1&transport=polling&EIO=4&t=1.5", ClientKind::Python),
            ("", ClientKind::Stock),
            ("transport=polling", ClientKind::Stock),
        ] {
            assert_eq!(ClientKind::of(query), client_kind, "{query}");
        }
    }
}
