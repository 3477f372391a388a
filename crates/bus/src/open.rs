//! From a URL to a bus.

use std::sync::Arc;

use crate::{Bus, BusError, Hub, Options, redis::RedisBus};

/// A new end of the bus that the URL names. Nothing is waited for: Redis may come later, and [`Bus::check`] tells whether
/// it is there. Has to be called within a tokio runtime.
///
/// | URL | bus |
/// |---|---|
/// | `memory:` | none but this end |
/// | `redis://[user][:password@]host[:port][/db]`, `rediss://…` by TLS | one Redis |
/// | `redis+unix:///path[?db=0&user=…&pass=…]` | one Redis, by its Unix socket |
/// | `redis+sentinel://[user][:password@]sentinel[:26379][,…]/master[/db][?sentinel_user=…&sentinel_password=…]` | the master that Sentinels name; user and password are Redis' own |
/// | `redis+cluster://[user][:password@]node[:port][,…]` | a Redis Cluster, found by any of these nodes |
///
/// `rediss+sentinel` and `rediss+cluster` are by TLS, to the Sentinels too. What is not plain in a name or a password is
/// percent-encoded.
///
/// # Errors
/// [`BusError::Setup`] if the URL or an option can't be meant, [`BusError::CaFile`] if that is the file of certificates. They
/// do not repeat the URL, which may hold a password.
pub fn open(url: &str, options: Options) -> Result<Arc<dyn Bus>, BusError> {
    if url == "memory:" {
        return Ok(Hub::default().connect());
    }
    Ok(Arc::new(RedisBus::open(url, options)?))
}

/// Whether [`open`] would open the URL with these options. Nothing is connected to.
///
/// # Errors
/// As with [`open`].
pub fn check(url: &str, options: &Options) -> Result<(), BusError> {
    if url == "memory:" {
        return Ok(());
    }
    RedisBus::check(url, options)
}

/// Whether [`open`] can mean anything by the URL.
///
/// # Errors
/// As with [`open`].
pub fn check_url(url: &str) -> Result<(), BusError> {
    if url == "memory:" {
        return Ok(());
    }
    RedisBus::check_url(url)
}
