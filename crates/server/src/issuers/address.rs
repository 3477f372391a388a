//! Addresses that the server may connect to: public ones, or private ones if the operator allows them.

use std::{
    future::Future,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    sync::LazyLock,
    task::{Context, Poll},
    vec,
};

use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use ipnet::{Ipv4Net, Ipv6Net};
use tower::Service;

/// IPv4 networks that are not on the public internet (IANA's registry of special-purpose addresses).
static SPECIAL_V4: LazyLock<Vec<Ipv4Net>> = LazyLock::new(|| {
    let networks = [
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    ];
    networks
        .iter()
        .filter_map(|network| network.parse().ok())
        .collect()
});

/// Exceptions within `2000::/3`, the IPv6 addresses of the public internet.
static SPECIAL_V6: LazyLock<Vec<Ipv6Net>> = LazyLock::new(|| {
    let networks = ["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"];
    networks
        .iter()
        .filter_map(|network| network.parse().ok())
        .collect()
});

/// Which addresses a connection may go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AddressScope {
    Public,
    Private,
    Any,
}

impl AddressScope {
    pub(super) fn allows(self, address: IpAddr) -> bool {
        match self {
            Self::Public => is_public(address),
            Self::Private => !is_public(address),
            Self::Any => true,
        }
    }
}

/// True if the address belongs to the public internet.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match behind_nat64(address) {
            Some(address) => is_public_v4(address),
            None => {
                address.segments()[0] & 0xe000 == 0x2000
                    && !SPECIAL_V6.iter().any(|network| network.contains(&address))
            }
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !SPECIAL_V4.iter().any(|network| network.contains(&address))
}

/// The IPv4 address that a NAT64 gateway connects to (RFC 6052, `64:ff9b::/96`).
fn behind_nat64(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [0x64, 0xff9b, 0, 0, 0, 0, ..] = address.segments() else {
        return None;
    };
    let [.., a, b, c, d] = address.octets();
    Some(Ipv4Addr::new(a, b, c, d))
}

/// Resolves host names to allowed addresses only. The connection goes to the returned addresses, so a name
/// that resolves to another address a moment later (DNS rebinding) gains nothing.
#[derive(Debug, Clone)]
pub(super) struct Resolver {
    inner: GaiResolver,
    scope: AddressScope,
}

/// Why a host has no address to connect to.
#[derive(Debug, thiserror::Error)]
pub(super) enum ResolveError {
    #[error("failed to resolve the host: {0}")]
    Failed(io::Error),
    #[error("{}", refusal(*.0))]
    Refused(AddressScope),
}

/// What to do about an address that `scope` refuses.
fn refusal(scope: AddressScope) -> &'static str {
    match scope {
        AddressScope::Private => {
            "the host is public, and plain http: is for private addresses only; use https:"
        }
        AddressScope::Public | AddressScope::Any => {
            "the host has a private address; set allow_private = true if that is intended"
        }
    }
}

impl Resolver {
    pub(super) fn new(scope: AddressScope) -> Self {
        Self {
            inner: GaiResolver::new(),
            scope,
        }
    }
}

impl Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = ResolveError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context).map_err(ResolveError::Failed)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (found, scope) = (self.inner.call(name), self.scope);
        Box::pin(async move {
            let found = found.await.map_err(ResolveError::Failed)?;
            let allowed: Vec<_> = found.filter(|address| scope.allows(address.ip())).collect();
            if allowed.is_empty() {
                return Err(ResolveError::Refused(scope));
            }
            Ok(allowed.into_iter())
        })
    }
}

/// Refuses a host that is an address which `scope` does not allow. The connector does not resolve those.
///
/// # Errors
/// [`ResolveError::Refused`].
pub(super) fn check_literal(host: &str, scope: AddressScope) -> Result<(), ResolveError> {
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    match literal.unwrap_or(host).parse::<IpAddr>() {
        Ok(address) if !scope.allows(address) => Err(ResolveError::Refused(scope)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_and_special_addresses_are_not_public() {
        let table = [
            ("1.1.1.1", true),
            ("172.15.255.255", true),
            ("172.32.0.0", true),
            ("2606:4700::1111", true),
            ("::ffff:1.1.1.1", true),
            ("64:ff9b::1.1.1.1", true),
            ("0.0.0.0", false),
            ("10.1.2.3", false),
            ("100.64.0.1", false),
            ("127.0.0.1", false),
            ("127.255.255.254", false),
            ("169.254.169.254", false),
            ("172.16.0.1", false),
            ("192.168.1.1", false),
            ("198.18.0.1", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("::", false),
            ("::1", false),
            ("::ffff:10.0.0.1", false),
            ("64:ff9b::10.0.0.1", false),
            ("64:ff9b:1::1", false),
            ("2001::1", false),
            ("2001:db8::1", false),
            ("2002:7f00:1::", false),
            ("fc00::1", false),
            ("fd12::1", false),
            ("fe80::1", false),
            ("ff02::1", false),
        ];
        for (text, expected) in table {
            let address = text.parse().unwrap();
            assert_eq!(is_public(address), expected, "{text}");
            assert_eq!(AddressScope::Private.allows(address), !expected, "{text}");
        }
        assert_eq!(
            (SPECIAL_V4.len(), SPECIAL_V6.len()),
            (15, 4),
            "each network parses"
        );
    }

    #[test]
    fn a_host_that_is_an_address_is_checked_without_resolving() {
        assert!(check_literal("127.0.0.1", AddressScope::Public).is_err());
        assert!(check_literal("[::1]", AddressScope::Public).is_err());
        assert!(check_literal("[::1]", AddressScope::Private).is_ok());
        assert!(check_literal("1.1.1.1", AddressScope::Private).is_err());
        assert!(check_literal("1.1.1.1", AddressScope::Public).is_ok());
        assert!(check_literal("login.example", AddressScope::Public).is_ok());
    }

    #[tokio::test]
    async fn a_name_of_a_private_address_resolves_to_nothing() {
        let resolve = |scope| Resolver::new(scope).call("localhost".parse().unwrap());
        assert!(matches!(
            resolve(AddressScope::Public).await,
            Err(ResolveError::Refused(AddressScope::Public))
        ));
        assert!(
            resolve(AddressScope::Private)
                .await
                .unwrap()
                .all(|address| address.ip().is_loopback())
        );
    }
}
