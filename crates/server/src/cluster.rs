//! This node's part in a cluster: its end of the bus, and how the others know and reach it.

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
    server::StartError,
};

/// What a cluster's secret is made from, beside the secret for tokens.
const PURPOSE: &[u8] = b"roomful: from node to node";
/// What a node says of its secret, so that others see whether it is theirs, and under which name in its info.
const SEALED: &[u8] = b"roomful: which secret it is";
const SEAL: &str = "seal";

/// What chat and transport have to know of the cluster.
pub(crate) struct Part {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) seal: String,
    pub(crate) sockets: Cluster,
    pub(crate) chat: ClusterConfig,
}

/// How other nodes know and reach this one.
pub(crate) struct Node {
    name: String,
    advertise: String,
    secret: String,
}

/// What this node needs to take part, if the bus is shared. `address` is where it listens.
pub(crate) fn node(config: &Config, keys: &Keys, address: SocketAddr) -> Result<Option<Node>, StartError> {
    if !config.bus.is_shared() {
        return Ok(None);
    }
    check(config)?;
    let wrong = |key: &'static str, what: String| ConfigError::key(Origin::Default, key, what);
    let secret = secret(config, keys).ok_or_else(|| {
        let what = "there is no auth.secret to make it from; set it, the same on all nodes";
        wrong("cluster.secret", what.to_owned())
    })?;
    let advertise = match config.cluster.advertise.as_str() {
        "" => advertised(config, address).map_err(|error| {
            wrong(
                "cluster.advertise",
                format!("can't be found out: {error}; set it"),
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
            "with a store in a file of its own this node shares nothing; set store.url to postgres://…"
        );
    }
    if keys.is_made_here(config) {
        tracing::warn!(
            "no auth.secret is set, so this node has one of its own: other nodes refuse its tokens, and what it passes on to them; \
             set it, the same on all nodes"
        );
    }
    Ok(Some(Node {
        name,
        advertise,
        secret,
    }))
}

/// Takes part in the cluster of those who share the database of this `identity`.
pub(crate) fn join(config: &Config, node: Node, identity: &str) -> Result<Part, ConfigError> {
    let bus = open(config, identity)?;
    let Node {
        name,
        advertise,
        secret,
    } = node;
    let sockets = Cluster::on_bus(&advertise, secret.as_bytes(), Arc::clone(&bus)).map_err(|error| {
        ConfigError::key(config.origins.of("cluster.advertise"), "cluster.advertise", error)
    })?;
    let mut info = match serde_json::to_value(sockets.card()) {
        Ok(serde_json::Value::Object(info)) => info,
        _ => serde_json::Map::new(),
    };
    let seal = seal(&secret);
    info.insert(SEAL.to_owned(), seal.as_str().into());
    tracing::info!(node = name, advertise, "taking part in a cluster");
    let chat = ClusterConfig {
        bus: Arc::clone(&bus),
        node: name,
        info,
        lease: config.cluster.lease.0,
        poll: config.cluster.poll.0,
    };
    Ok(Part {
        bus,
        seal,
        sockets,
        chat,
    })
}

/// An end of the bus that the settings name, for the nodes of one database.
pub(crate) fn open(config: &Config, identity: &str) -> Result<Arc<dyn Bus>, ConfigError> {
    roomful_bus::open(config.bus.url(), options(config, identity)).map_err(|error| named(config, &error))
}

/// Whether it could be opened. Nothing is connected to.
pub(crate) fn check(config: &Config) -> Result<(), ConfigError> {
    roomful_bus::check(config.bus.url(), &options(config, "")).map_err(|error| named(config, &error))
}

/// Asks the bus for the first time: one that refuses its user is set up wrongly. Anything else may pass, and so may this
/// later on, when a password is changed while the node runs.
pub(crate) async fn sign_in(config: &Config, bus: &dyn Bus) -> Result<(), ConfigError> {
    match bus.check().await {
        Err(error @ BusError::SignIn(_)) => Err(named(config, &error)),
        _ => Ok(()),
    }
}

/// What tells a secret from others, and tells nothing else of it.
fn seal(secret: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let mut seal = URL_SAFE_NO_PAD.encode(hmac::sign(&key, SEALED));
    seal.truncate(8);
    seal
}

/// Says so if living nodes have another secret than this one.
pub(crate) async fn look_for_strangers(bus: &dyn Bus, own: &str) {
    let seal_of = |info: &[u8]| {
        let info: serde_json::Value = serde_json::from_slice(info).ok()?;
        Some(info.get(SEAL)?.as_str()?.to_owned())
    };
    // Whoever can't be asked is told of elsewhere.
    let members = bus.members().await.unwrap_or_default();
    let seals = members.iter().filter_map(|member| seal_of(&member.value));
    let strangers = seals.filter(|seal| *seal != own).count();
    if strangers > 0 {
        tracing::error!(
            nodes = strangers,
            "nodes of this cluster have another auth.secret or cluster.secret: they refuse this one's tokens, and what it passes on to \
             them; set the same on all nodes"
        );
    }
}

/// With the key that is to blame, and who set it.
fn named(config: &Config, error: &BusError) -> ConfigError {
    let key = match error {
        BusError::CaFile(_) => "bus.ca_file",
        _ => "bus.url",
    };
    ConfigError::key(config.origins.of(key), key, error)
}

/// The same Redis may serve other databases, whose rooms have the same numbers: nodes of one never hear those of another.
fn options(config: &Config, identity: &str) -> Options {
    let bus = &config.bus;
    Options {
        prefix: bus.prefix.clone(),
        scope: identity.to_owned(),
        ca_file: (!bus.ca_file.as_os_str().is_empty()).then(|| bus.ca_file.clone()),
        queue_messages: bus.queue,
        queue_bytes: bus.queue_size.0,
        timeout: bus.timeout.0,
        ..Options::default()
    }
}

/// All nodes have the same secret for tokens; what they know each other by must not be that itself.
fn secret(config: &Config, keys: &Keys) -> Option<String> {
    if let Some(secret) = config.cluster.secret.expose() {
        return Some(secret.to_owned());
    }
    let key = hmac::Key::new(hmac::HMAC_SHA256, keys.secret()?.as_bytes());
    Some(URL_SAFE_NO_PAD.encode(hmac::sign(&key, PURPOSE)))
}

fn advertised(config: &Config, address: SocketAddr) -> io::Result<String> {
    let ip = if address.ip().is_unspecified() {
        shown_to(config.bus.url())?
    } else {
        address.ip()
    };
    Ok(SocketAddr::new(ip, address.port()).to_string())
}

/// The address that this machine has for whoever is at the first host of the URL. Nothing is sent.
fn shown_to(url: &str) -> io::Result<IpAddr> {
    let host = first_host(url).ok_or_else(|| io::Error::other("the bus has no host"))?;
    let there = (host, 9)
        .to_socket_addrs()?
        .next()
        .ok_or_else(|| io::Error::other("the bus's host has no address"))?;
    let any: SocketAddr = if there.is_ipv4() {
        ([0, 0, 0, 0], 0).into()
    } else {
        ([0u16; 8], 0).into()
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(there)?;
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
    fn the_bus_is_found_by_its_first_host() {
        for (url, host) in [
            ("redis://redis.example", Some("redis.example")),
            ("rediss://user:pass@10.0.0.7:6380/1", Some("10.0.0.7")),
            ("redis+sentinel://:p@a:26379,b:26379/main", Some("a")),
            ("redis+cluster://[::1]:7000,[::2]:7000", Some("::1")),
            ("redis+unix:///run/redis.sock", None),
        ] {
            assert_eq!(first_host(url), host, "{url}");
        }
        assert!(shown_to("redis://127.0.0.1").unwrap().is_loopback());
    }
}
