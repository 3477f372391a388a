//! The check of the `Host` header in dev mode.
//!
//! Dev mode signs anyone in under any name. A foreign page can make its own domain name point to 127.0.0.1
//! and so reach the sign-in from a visitor's browser (DNS rebinding), but the `Host` header then names the
//! page's domain.

use std::net::IpAddr;

use http::{HeaderMap, header};

/// Whether the request's `Host` is a name of the local machine.
pub(crate) fn is_loopback(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else {
        // Only HTTP/1.0 has none, and browsers do not use that.
        return true;
    };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let name = name.to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || address
            .unwrap_or(&name)
            .parse::<IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_local_machine_are_loopback() {
        let is_loopback = |host: &str| {
            let headers = HeaderMap::from_iter([(header::HOST, host.parse().unwrap())]);
            super::is_loopback(&headers)
        };
        for host in [
            "localhost",
            "LOCALHOST:3000",
            "app.localhost:3000",
            "127.0.0.1",
            "127.8.9.10:80",
            "[::1]:3000",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "rebound.example:3000",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "192.168.0.2",
            "[::2]:3000",
            "0.0.0.0:3000",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
