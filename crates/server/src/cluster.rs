//! Joining a cluster: the bus, the node's name and address, and the cluster secret.

use std::{
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs as _, UdpSocket},
    sync::Arc,
};

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use roomful_bus::{Bus, BusError, Options};
use roomful_chat::ClusterConfig;
use roomful_socket::cluster::Cluster;

use crate::{
    config::{Config, ConfigError, Origin},
    secret::Keys,
    start_error::StartError,
};

/// HMAC input that derives the cluster secret from the secret for tokens.
const DERIVATION: &[u8] = b"roomful: from node to node";
/// HMAC input of the secret's fingerprint. Nodes publish it in their info, so that others can tell whether
/// they share the secret.
const FINGERPRINT_INPUT: &[u8] = b"roomful: which secret it is";
const FINGERPRINT_FIELD: &str = "secretFingerprint";

/// The parts of a joined cluster that chat and transport need.
pub(crate) struct Joined {
    pub(crate) bus: Arc<dyn Bus>,
    /// Fingerprints of the secrets that this node accepts.
    pub(crate) fingerprints: Vec<String>,
    pub(crate) sockets: Cluster,
    pub(crate) chat: ClusterConfig,
}

/// Name, address and secret of this node.
pub(crate) struct Node {
    name: String,
    advertise: String,
    secret: String,
    /// Accepted during a rotation.
    second_secret: Option<String>,
}

/// The identity of this node; `None` if the bus is not shared. `address` is the listen address.
pub(crate) fn node(config: &Config, keys: &Keys, address: SocketAddr) -> Result<Option<Node>, StartError> {
    if !config.bus.is_shared() {
        return Ok(None);
    }
    check(config)?;
    let wrong = |key: &'static str, what: String| ConfigError::key(Origin::Default, key, what);
    let secret = secret(config, keys).ok_or_else(|| {
        let what = "there is no auth.secret to derive it from; set it to the same value on all nodes";
        wrong("cluster.secret", what.to_owned())
    })?;
    let advertise = match config.cluster.advertise.as_str() {
        "" => advertised(config, address).map_err(|error| {
            wrong(
                "cluster.advertise",
                format!("failed to find this machine's address: {error}; set it"),
            )
        })?,
        advertise => advertise.to_owned(),
    };
    let name = match config.cluster.node.as_str() {
        "" => format!("{}:{}", host_name(), address.port()),
        name => name.to_owned(),
    };
    if config.store.sqlite_file().is_some() {
        tracing::warn!(
            "the store is a local file, so nodes share no messages; set store.url to postgres://…"
        );
    }
    if keys.is_generated_here(config) {
        tracing::warn!(
            "this node generated its own auth.secret, so other nodes refuse its tokens and requests; set \
             the same \
             auth.secret on all nodes"
        );
    }
    Ok(Some(Node {
        name,
        advertise,
        secret,
        second_secret: second_secret(config, keys),
    }))
}

/// Joins the nodes that share the database with this `identity`.
pub(crate) fn join(config: &Config, node: Node, identity: &str) -> Result<Joined, ConfigError> {
    let bus = open(config, identity)?;
    let Node {
        name,
        advertise,
        secret,
        second_secret,
    } = node;
    let sockets = Cluster::on_bus(&advertise, secret.as_bytes(), Arc::clone(&bus));
    let sockets = match &second_secret {
        Some(second) => sockets.and_then(|sockets| sockets.also_accept(second.as_bytes())),
        None => sockets,
    };
    let sockets = sockets.map_err(|error| {
        ConfigError::key(config.origins.of("cluster.advertise"), "cluster.advertise", error)
    })?;
    let mut info = match serde_json::to_value(sockets.node_address()) {
        Ok(serde_json::Value::Object(info)) => info,
        _ => serde_json::Map::new(),
    };
    info.insert(FINGERPRINT_FIELD.to_owned(), fingerprint(&secret).into());
    let secrets = [Some(secret), second_secret].into_iter().flatten();
    let fingerprints = secrets.map(|secret| fingerprint(&secret)).collect();
    tracing::info!(node = name, advertise, "joining the cluster");
    let chat = ClusterConfig {
        bus: Arc::clone(&bus),
        node: name,
        info,
        lease: config.cluster.lease.0,
        poll: config.cluster.poll.0,
    };
    Ok(Joined {
        bus,
        fingerprints,
        sockets,
        chat,
    })
}

/// Opens the configured bus, for the nodes that share the database with this `identity`.
pub(crate) fn open(config: &Config, identity: &str) -> Result<Arc<dyn Bus>, ConfigError> {
    roomful_bus::open(config.bus.url(), options(config, identity))
        .map_err(|error| config_error(config, &error))
}

/// Returns an error if the bus settings are invalid. Does not connect.
pub(crate) fn check(config: &Config) -> Result<(), ConfigError> {
    roomful_bus::check(config.bus.url(), &options(config, "")).map_err(|error| config_error(config, &error))
}

/// Checks the bus once: rejected credentials at start are a configuration error. Other failures may be
/// transient, and so may rejected credentials later on, while a password changes.
pub(crate) async fn sign_in(config: &Config, bus: &dyn Bus) -> Result<(), ConfigError> {
    match bus.check().await {
        Err(error @ BusError::Authentication(_)) => Err(config_error(config, &error)),
        _ => Ok(()),
    }
}

/// A short fingerprint that does not reveal the secret.
fn fingerprint(secret: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let mut fingerprint = URL_SAFE_NO_PAD.encode(hmac::sign(&key, FINGERPRINT_INPUT));
    fingerprint.truncate(8);
    fingerprint
}

/// Logs an error if live nodes have a secret that this one does not accept.
pub(crate) async fn warn_about_other_secrets(bus: &dyn Bus, accepted: &[String]) {
    let fingerprint_of = |info: &[u8]| {
        let info: serde_json::Value = serde_json::from_slice(info).ok()?;
        Some(info.get(FINGERPRINT_FIELD)?.as_str()?.to_owned())
    };
    // The health check reports a failing bus.
    let members = bus.members().await.unwrap_or_default();
    let fingerprints = members.iter().filter_map(|member| fingerprint_of(&member.value));
    let nodes = fingerprints
        .filter(|fingerprint| !accepted.contains(fingerprint))
        .count();
    if nodes > 0 {
        tracing::error!(
            nodes,
            "nodes have another auth.secret or cluster.secret and refuse this node's tokens and requests; \
             set the same \
             values on all nodes"
        );
    }
}

/// Adds the key that causes the error, and its source.
fn config_error(config: &Config, error: &BusError) -> ConfigError {
    let key = match error {
        BusError::CaFile(_) => "bus.ca_file",
        _ => "bus.url",
    };
    ConfigError::key(config.origins.of(key), key, error)
}

/// Scopes the bus by `identity`: other databases on the same Redis number their rooms alike.
fn options(config: &Config, identity: &str) -> Options {
    let bus = &config.bus;
    let mut options = Options::default();
    options.prefix.clone_from(&bus.prefix);
    identity.clone_into(&mut options.scope);
    options.ca_file = (!bus.ca_file.as_os_str().is_empty()).then(|| bus.ca_file.clone());
    options.queue_messages = bus.queue;
    options.queue_bytes = bus.queue_size.0;
    options.timeout = bus.timeout.0;
    options
}

/// The cluster secret: configured, or derived from the secret for tokens.
fn secret(config: &Config, keys: &Keys) -> Option<String> {
    if let Some(secret) = config.cluster.secret.expose() {
        return Some(secret.to_owned());
    }
    keys.secret().map(derive)
}

/// The second cluster secret: configured, or derived from the second secret for tokens if the first one
/// is derived.
fn second_secret(config: &Config, keys: &Keys) -> Option<String> {
    match (
        config.cluster.second_secret.expose(),
        config.cluster.secret.expose(),
    ) {
        (Some(secret), _) => Some(secret.to_owned()),
        (None, Some(_)) => None,
        (None, None) => keys.second_secret().map(derive),
    }
}

fn derive(secret: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    URL_SAFE_NO_PAD.encode(hmac::sign(&key, DERIVATION))
}

fn advertised(config: &Config, address: SocketAddr) -> io::Result<String> {
    let ip = if address.ip().is_unspecified() {
        local_address_towards(config.bus.url())?
    } else {
        address.ip()
    };
    Ok(SocketAddr::new(ip, address.port()).to_string())
}

/// The local address on the route to the URL's first host. Sends nothing.
fn local_address_towards(url: &str) -> io::Result<IpAddr> {
    let host = first_host(url).ok_or_else(|| io::Error::other("the bus URL has no host"))?;
    let target = (host, 9)
        .to_socket_addrs()?
        .next()
        .ok_or_else(|| io::Error::other("the host of the bus URL has no address"))?;
    let any: SocketAddr = if target.is_ipv4() {
        ([0, 0, 0, 0], 0).into()
    } else {
        ([0u16; 8], 0).into()
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(target)?;
    Ok(socket.local_addr()?.ip())
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn first_host(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split('/').next()?;
    let hosts = authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts);
    let first = hosts.split(',').next()?;
    let host = match first.strip_prefix('[') {
        Some(ipv6) => ipv6.split(']').next()?,
        None => first.split(':').next()?,
    };
    Some(host).filter(|host| !host.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_host_is_parsed_from_every_bus_url() {
        for (url, host) in [
            ("redis://redis.example", Some("redis.example")),
            ("rediss://user:pass@10.0.0.7:6380/1", Some("10.0.0.7")),
            ("redis+sentinel://:p@a:26379,b:26379/main", Some("a")),
            ("redis+cluster://[::1]:7000,[::2]:7000", Some("::1")),
            ("redis+unix:///run/redis.sock", None),
        ] {
            assert_eq!(first_host(url), host, "{url}");
        }
        assert!(local_address_towards("redis://127.0.0.1").unwrap().is_loopback());
    }
}
