//! Sections `http` and `dev`, and the listen address.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, de::Error as _};

use super::{
    error::{Invalid, within},
    units::{Secret, Size, Span},
};

/// The least length of an API key or a metrics key, in bytes.
pub(crate) const MIN_KEY_BYTES: usize = 16;

/// Section `http`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Http {
    pub(crate) origins: Vec<String>,
    #[serde(deserialize_with = "networks")]
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) assets_url: String,
    pub(crate) base_path: String,
    pub(crate) ops_listen: String,
    pub(crate) metrics_key: Secret,
    pub(crate) header_timeout: Span,
    pub(crate) keep_alive: Span,
    pub(crate) transfer_timeout: Span,
    pub(crate) min_rate: Size,
    pub(crate) connections: usize,
    pub(crate) connections_per_ip: usize,
    pub(crate) connections_per_site: usize,
    pub(crate) reserved_connections: usize,
    pub(crate) status_requests_per_second: u32,
    pub(crate) status_requests_burst: u32,
    pub(crate) tls: Tls,
}

fn networks<'de, D: Deserializer<'de>>(list: D) -> Result<Vec<IpNet>, D::Error> {
    let network = |text: &String| {
        text.parse().map_err(|_| {
            D::Error::custom(format!(
                "{text:?} is not a network; write an address and the length of its prefix, such as 10.0.0.0/8"
            ))
        })
    };
    Vec::<String>::deserialize(list)?.iter().map(network).collect()
}

/// Section `http.tls`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) handshake_timeout: Span,
}

impl Tls {
    /// Whether the server speaks TLS.
    pub(crate) fn is_on(&self) -> bool {
        !self.cert.as_os_str().is_empty()
    }

    fn validate(&self) -> Result<(), Invalid> {
        let alone = |key, other: &str| {
            let what = format!("is set, but {other} is empty; set both, or none for plain HTTP");
            Err(Invalid { key, what })
        };
        match (self.is_on(), !self.key.as_os_str().is_empty()) {
            (true, false) => return alone("http.tls.cert", "http.tls.key"),
            (false, true) => return alone("http.tls.key", "http.tls.cert"),
            (true, true) | (false, false) => {}
        }
        let deadline = Span(Duration::from_millis(100))..=Span(Duration::from_mins(5));
        within("http.tls.handshake_timeout", self.handshake_timeout, deadline)
    }
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
        check_base_path(&self.base_path)?;
        self.tls.validate()?;
        if !self.ops_listen.is_empty() {
            check_address("http.ops_listen", &self.ops_listen)?;
        }
        if let Some(key) = self.metrics_key.expose() {
            check_key("http.metrics_key", key)?;
        }
        let deadline = Span(Duration::from_millis(100))..=Span(Duration::from_mins(5));
        within("http.header_timeout", self.header_timeout, deadline.clone())?;
        within("http.transfer_timeout", self.transfer_timeout, deadline)?;
        within(
            "http.keep_alive",
            self.keep_alive,
            Span(Duration::from_secs(1))..=Span(Duration::from_hours(1)),
        )?;
        within("http.min_rate", self.min_rate, Size(1)..=Size(1 << 30))?;
        within(
            "http.connections_per_ip",
            self.connections_per_ip,
            1..=100_000_000,
        )?;
        within(
            "http.connections_per_site",
            self.connections_per_site,
            1..=100_000_000,
        )?;
        within("http.reserved_connections", self.reserved_connections, 0..=1_000)?;
        let rate = 1..=1_000_000;
        within(
            "http.status_requests_per_second",
            self.status_requests_per_second,
            rate.clone(),
        )?;
        within("http.status_requests_burst", self.status_requests_burst, rate)
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
    if origin == "*" || roomful_socket::Cors::is_origin(origin) {
        return Ok(());
    }
    let what = format!(
        "{origin:?} is not an origin; write scheme://host or scheme://host:port without a path, \"null\", \
        or \"*\" for all"
    );
    Err(Invalid {
        key: "http.origins",
        what,
    })
}

/// A base path is empty, or starts with a slash and ends without one. It appears in HTML and in URLs.
fn check_base_path(path: &str) -> Result<(), Invalid> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
    let segment = |segment: &str| !matches!(segment, "" | "." | "..") && segment.chars().all(plain);
    let valid = path.strip_prefix('/').map(|rest| rest.split('/').all(segment));
    if path.is_empty() || valid == Some(true) {
        return Ok(());
    }
    let what =
        format!("{path:?} is not a base path; write a path such as \"/chat\", without a slash at the end");
    Err(Invalid {
        key: "http.base_path",
        what,
    })
}

/// Checks that a key is long enough to be hard to guess.
pub(super) fn check_key(key: &'static str, value: &str) -> Result<(), Invalid> {
    if value.len() < MIN_KEY_BYTES {
        let what = format!(
            "the key has {} bytes, but needs at least {MIN_KEY_BYTES}; `openssl rand -hex 24` makes a good \
            one",
            value.len()
        );
        return Err(Invalid { key, what });
    }
    super::auth::check_not_repeated(key, value)
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
    check_address("listen", listen)
}

fn check_address(key: &'static str, listen: &str) -> Result<(), Invalid> {
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
    Err(Invalid { key, what })
}

pub(super) fn is_loopback(listen: &str) -> bool {
    let host = listen.rsplit_once(':').map_or(listen, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
