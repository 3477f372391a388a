//! The client behind proxies: its address, host and scheme. Forwarding headers count only if they come from a
//! configured network. In `X-Forwarded-For` each trusted hop vouches for the entry to its left, and the first
//! untrusted address from the right is the client.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{body::Body, extract::ConnectInfo};
use http::{Extensions, HeaderMap, HeaderName, Request};
use ipnet::IpNet;
use parking_lot::Mutex;
use roomful_socket::{ClientAddress, ForwardedHost};
use tokio::time::Instant;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// How often to warn about headers from an untrusted proxy.
const WARNING_INTERVAL: Duration = Duration::from_mins(10);

/// Finds out who the client is. Cheap to clone.
#[derive(Clone)]
pub(crate) struct AddressResolver {
    trusted: Arc<[IpNet]>,
    /// When the last warning was logged.
    warned: Arc<Mutex<Option<Instant>>>,
}

impl AddressResolver {
    /// Believes the headers of peers in `trusted`.
    pub(crate) fn new(trusted: &[IpNet]) -> Self {
        AddressResolver {
            trusted: trusted.into(),
            warned: Arc::default(),
        }
    }

    /// Adds what a trusted proxy says about the client to the request's extensions: [`ClientAddress`] and
    /// [`ForwardedHost`].
    pub(crate) fn identify(&self, request: &mut Request<Body>) {
        let peer = request
            .extensions()
            .get::<ConnectInfo<SocketAddr>>()
            .map(|info| info.0.ip().to_canonical());
        let Some(peer) = peer else { return };
        if !self.is_trusted(peer) {
            if request.headers().contains_key(FORWARDED_FOR) {
                self.warn(peer);
            }
            return;
        }
        let client = self.client_address(peer, request.headers());
        let host = last_value(request.headers(), &FORWARDED_HOST);
        let scheme = last_value(request.headers(), &FORWARDED_PROTO);
        // Without the header it is the scheme of the connection.
        let own = request.extensions().get::<ForwardedHost>();
        let scheme = scheme.or_else(|| own.and_then(|own| own.scheme.clone()));
        request.extensions_mut().insert(ClientAddress(client));
        if host.is_some() || scheme.is_some() {
            request.extensions_mut().insert(ForwardedHost { host, scheme });
        }
    }

    fn is_trusted(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(&address))
    }

    /// The client's address for a request from `peer`. An entry that is no address ends the search at the
    /// hop that sent it.
    fn client_address(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer;
        for line in headers.get_all(FORWARDED_FOR).iter().rev() {
            for entry in line.to_str().unwrap_or_default().rsplit(',') {
                if !self.is_trusted(client) {
                    return client;
                }
                match parse(entry.trim()) {
                    Some(address) => client = address.to_canonical(),
                    None => return client,
                }
            }
        }
        client
    }

    fn warn(&self, peer: IpAddr) {
        let mut warned = self.warned.lock();
        if warned.is_some_and(|at| at.elapsed() < WARNING_INTERVAL) {
            return;
        }
        *warned = Some(Instant::now());
        drop(warned);
        tracing::warn!(
            %peer,
            "ignoring X-Forwarded-For from an address that is not in http.trusted_proxies; \
             add it if it is your proxy, or all its clients share one rate limit"
        );
    }
}

/// The client's address of a request that passed [`AddressResolver::identify`].
pub(crate) fn client_address(extensions: &Extensions) -> IpAddr {
    let claimed = extensions.get::<ClientAddress>().map(|client| client.0);
    let peer = || {
        extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map(|info| info.0.ip().to_canonical())
    };
    // Only a router without connect info has neither.
    claimed.or_else(peer).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

/// The value that the nearest proxy wrote: proxies append theirs to a list.
fn last_value(headers: &HeaderMap, name: &HeaderName) -> Option<Box<str>> {
    let line = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    let value = line.rsplit(',').next()?.trim();
    (!value.is_empty()).then(|| value.into())
}

/// Parses one entry, with or without the port that some proxies add.
fn parse(entry: &str) -> Option<IpAddr> {
    let bare = entry.trim_start_matches('[').trim_end_matches(']');
    bare.parse()
        .ok()
        .or_else(|| entry.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(peer: &str, headers: &[(HeaderName, &str)]) -> Request<Body> {
        let mut request = Request::new(Body::empty());
        for (name, value) in headers {
            request.headers_mut().append(name, value.parse().unwrap());
        }
        let peer = SocketAddr::new(peer.parse().unwrap(), 1);
        request.extensions_mut().insert(ConnectInfo(peer));
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        AddressResolver::new(&trusted).identify(&mut request);
        request
    }

    #[test]
    fn the_client_is_the_rightmost_untrusted_hop() {
        let cases: [(&str, &[&str], &str); 10] = [
            ("203.0.113.9", &["1.1.1.1"], "203.0.113.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["1.1.1.1"], "1.1.1.1"),
            ("10.0.0.1", &["6.6.6.6, 1.1.1.1"], "1.1.1.1"),
            ("10.0.0.1", &["6.6.6.6, 1.1.1.1, 10.0.0.2"], "1.1.1.1"),
            ("10.0.0.1", &["6.6.6.6", "1.1.1.1, 10.0.0.2"], "1.1.1.1"),
            ("10.0.0.1", &["1.1.1.1, nonsense"], "10.0.0.1"),
            ("10.0.0.1", &["1.1.1.1:4711"], "1.1.1.1"),
            ("::ffff:10.0.0.1", &["[2001:db8::1]:4711"], "2001:db8::1"),
            ("fd00::1", &["10.0.0.3"], "10.0.0.3"),
        ];
        for (peer, lines, expected) in cases {
            let lines: Vec<_> = lines.iter().map(|line| (FORWARDED_FOR, *line)).collect();
            let client = client_address(request(peer, &lines).extensions());
            assert_eq!(client.to_string(), expected, "{peer} {lines:?}");
        }
    }

    #[test]
    fn only_a_trusted_proxy_names_host_and_scheme() {
        let headers = [
            (FORWARDED_HOST, "spoofed.example, chat.example"),
            (FORWARDED_PROTO, "https"),
        ];
        let trusted = request("10.0.0.1", &headers);
        let expected = ForwardedHost {
            host: Some("chat.example".into()),
            scheme: Some("https".into()),
        };
        assert_eq!(trusted.extensions().get(), Some(&expected));
        let untrusted = request("203.0.113.9", &headers);
        assert_eq!(untrusted.extensions().get::<ForwardedHost>(), None);
    }
}
