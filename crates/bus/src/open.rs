//! Opening a bus by its URL.

use std::sync::Arc;

use crate::{Bus, BusError, Hub, Options, redis::RedisBus};

/// A new client of the bus at this URL. Must be called within a tokio runtime.
///
/// Returns before the connection stands, and keeps trying if Redis is not there yet; [`Bus::check`] tells
/// whether it is.
///
/// | URL | bus |
/// |---|---|
/// | `memory:` | none: a single node |
/// | `redis://[user][:password@]host[:port][/db]`, `rediss://…` with TLS | one Redis server |
/// | `redis+unix:///path[?db=0&user=…&pass=…]` | one Redis server, by its Unix socket |
/// | `redis+sentinel://[user][:password@]sentinel[:26379][,…]/master[/db][?sentinel_user=…&sentinel_password=…]` | the master named by Sentinels; user and password are those of Redis |
/// | `redis+cluster://[user][:password@]node[:port][,…]` | a Redis Cluster, discovered from any of these nodes |
///
/// `rediss+sentinel` and `rediss+cluster` use TLS, to the Sentinels too. Percent-encode special characters
/// in names and passwords.
///
/// # Errors
/// [`BusError::Config`] for an invalid URL or option, [`BusError::CaFile`] for an unusable file of
/// certificates. The messages do not repeat the URL, which may contain a password.
pub fn open(url: &str, options: Options) -> Result<Arc<dyn Bus>, BusError> {
    if url == "memory:" {
        return Ok(Hub::default().connect());
    }
    Ok(Arc::new(RedisBus::open(url, options)?))
}

/// Checks URL and options as [`open`] does, without connecting.
///
/// # Errors
/// As with [`open`].
pub fn check(url: &str, options: &Options) -> Result<(), BusError> {
    if url == "memory:" {
        return Ok(());
    }
    RedisBus::check(url, options)
}

/// Checks the syntax of the URL.
///
/// # Errors
/// As with [`open`].
pub fn check_url(url: &str) -> Result<(), BusError> {
    if url == "memory:" {
        return Ok(());
    }
    RedisBus::check_url(url)
}
