//! Sections `http` and `dev`, and the listen address.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use serde::Deserialize;

use super::{
    error::{Invalid, within},
    units::Span,
};
use std::time::Duration;

/// Section `http`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Http {
    pub(crate) origins: Vec<String>,
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) assets_url: String,
    pub(crate) header_timeout: Span,
}

impl Http {
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        for origin in &self.origins {
            check_origin(origin)?;
        }
        if !self.assets_url.is_empty() && (self.assets_origin().is_none() || !self.assets_url.ends_with('/'))
        {
            let what = format!(
                "{:?} is not a URL prefix; write an http or https URL that ends in /, such as \
                 \"https://cdn.example.com/roomful/\"",
                self.assets_url
            );
            return Err(Invalid {
                key: "http.assets_url",
                what,
            });
        }
        within(
            "http.header_timeout",
            self.header_timeout,
            Span(Duration::from_millis(100))..=Span(Duration::from_mins(5)),
        )
    }

    /// The origin of `assets_url`, for the content security policy.
    pub(crate) fn assets_origin(&self) -> Option<&str> {
        let start = ["https://", "http://"]
            .iter()
            .find(|scheme| self.assets_url.starts_with(**scheme))?
            .len();
        let host = self.assets_url.get(start..)?.split('/').next()?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
        // The URL goes into HTML and into a header: allow no character that could end either.
        let safe = self
            .assets_url
            .bytes()
            .all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'<' | b'>' | b';' | b','));
        (safe && !host.is_empty() && host.chars().all(plain))
            .then(|| self.assets_url.get(..start + host.len()))?
    }
}

fn check_origin(origin: &str) -> Result<(), Invalid> {
    let host = ["https://", "http://"]
        .iter()
        .find_map(|scheme| origin.strip_prefix(scheme));
    let exact = host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '*', ' ', '?', '#']));
    if origin == "*" || exact {
        return Ok(());
    }
    let what = format!(
        "{origin:?} is not an origin; write scheme://host or scheme://host:port without a path, or \"*\" \
         for all"
    );
    Err(Invalid {
        key: "http.origins",
        what,
    })
}

/// Section `dev`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dev {
    pub(crate) enabled: bool,
    pub(crate) allow_remote: bool,
    pub(crate) token_ttl: Span,
}

impl Dev {
    pub(super) fn validate(&self, listen: &str) -> Result<(), Invalid> {
        within(
            "dev.token_ttl",
            self.token_ttl,
            Span(Duration::from_secs(10))..=Span(Duration::from_hours(365 * 24)),
        )?;
        if self.enabled && !self.allow_remote && !is_loopback(listen) {
            let what = format!(
                "dev mode lets anyone sign in, and other machines can reach {listen:?}; listen on \
                 127.0.0.1, or set dev.allow_remote = true"
            );
            return Err(Invalid { key: "listen", what });
        }
        Ok(())
    }
}

/// Returns an error unless `listen` is `host:port`.
pub(super) fn check_listen(listen: &str) -> Result<(), Invalid> {
    let parts = listen.rsplit_once(':');
    let valid = listen.parse::<SocketAddr>().is_ok()
        || parts.is_some_and(|(host, port)| {
            let name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.' || c == '_';
            // A host of digits and dots only is a mistyped IPv4 address, not a name.
            let is_name = host.contains(|c: char| c.is_ascii_alphabetic()) && host.chars().all(name);
            is_name && port.parse::<u16>().is_ok()
        });
    if valid {
        return Ok(());
    }
    let what = format!(
        "{listen:?} is not an address to listen on; write host:port, such as \"127.0.0.1:3000\" or \
         \"[::]:3000\""
    );
    Err(Invalid { key: "listen", what })
}

pub(super) fn is_loopback(listen: &str) -> bool {
    let host = listen.rsplit_once(':').map_or(listen, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
