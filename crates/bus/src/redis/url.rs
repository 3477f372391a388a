//! Parsing of Redis URLs: servers and credentials.

use std::path::PathBuf;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, RedisConnectionInfo};

use crate::BusError;

/// Address of a Redis server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum ServerAddr {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}

/// How to find the masters.
#[derive(Debug, Clone)]
pub(crate) enum Deployment {
    /// The URL names the master.
    Fixed(ServerAddr),
    /// Sentinels know the master of this name.
    Sentinel {
        sentinels: Vec<ServerAddr>,
        credentials: RedisConnectionInfo,
        master: String,
    },
    /// Any node of the cluster knows all masters.
    Cluster { nodes: Vec<ServerAddr> },
}

/// A parsed URL. It contains passwords: do not log it.
#[derive(Debug, Clone)]
pub(crate) struct RedisUrl {
    pub(crate) deployment: Deployment,
    pub(crate) tls: bool,
    pub(crate) credentials: RedisConnectionInfo,
}

impl RedisUrl {
    pub(crate) fn parse(url: &str) -> Result<Self, BusError> {
        let (scheme, rest) = url
            .split_once(':')
            .ok_or_else(|| config("the URL of the bus has no scheme"))?;
        match scheme {
            "redis" | "rediss" | "redis+unix" => Self::single(url),
            "redis+sentinel" => Self::sentinel(rest, "redis"),
            "rediss+sentinel" => Self::sentinel(rest, "rediss"),
            "redis+cluster" => Self::cluster(rest, "redis"),
            "rediss+cluster" => Self::cluster(rest, "rediss"),
            _ => Err(config(
                "the URL of the bus must begin with memory:, redis:, rediss:, redis+unix:, redis+sentinel: \
                or redis+cluster: (rediss+…: for TLS)",
            )),
        }
    }

    fn single(url: &str) -> Result<Self, BusError> {
        let (place, tls, credentials) = server(url)?;
        let deployment = Deployment::Fixed(place);
        Ok(Self {
            deployment,
            tls,
            credentials,
        })
    }

    fn sentinel(rest: &str, scheme: &str) -> Result<Self, BusError> {
        let parts = Parts::of(rest)?;
        let (master, db) = parts.path.split_once('/').unwrap_or((parts.path, ""));
        if master.is_empty() {
            return Err(config(
                "the URL of the Sentinels must name the master: …/mymaster",
            ));
        }
        let (mut user, mut password) = ("", "");
        for (key, value) in parts.query() {
            match key {
                "sentinel_user" => user = value,
                "sentinel_password" => password = value,
                _ => {
                    return Err(config(
                        "the URL of the Sentinels has an unknown parameter: only sentinel_user and \
                        sentinel_password exist",
                    ));
                }
            }
        }
        let sentinel_user = if user.is_empty() && password.is_empty() {
            String::new()
        } else {
            format!("{user}:{password}@")
        };
        let (sentinels, tls, credentials) = parts.servers(scheme, &sentinel_user, 26379, "")?;
        let (_, _, to_master) = server(&format!("{scheme}://{}master/{db}", parts.user))?;
        Ok(Self {
            deployment: Deployment::Sentinel {
                sentinels,
                credentials,
                master: master.to_owned(),
            },
            tls,
            credentials: to_master,
        })
    }

    fn cluster(rest: &str, scheme: &str) -> Result<Self, BusError> {
        let parts = Parts::of(rest)?;
        if !parts.path.is_empty() || parts.query().next().is_some() {
            return Err(config(
                "the URL of a Redis Cluster must end after its nodes: a cluster has one database and no \
                parameters",
            ));
        }
        let (nodes, tls, credentials) = parts.servers(scheme, parts.user, 6379, "")?;
        Ok(Self {
            deployment: Deployment::Cluster { nodes },
            tls,
            credentials,
        })
    }

    pub(crate) fn is_cluster(&self) -> bool {
        matches!(self.deployment, Deployment::Cluster { .. })
    }
}

/// A URL with several hosts, which the Redis library cannot parse. Still percent-encoded.
struct Parts<'a> {
    /// Credentials with the `@`, or empty.
    user: &'a str,
    hosts: &'a str,
    path: &'a str,
    query: &'a str,
}

impl<'a> Parts<'a> {
    fn of(rest: &'a str) -> Result<Self, BusError> {
        let rest = rest
            .strip_prefix("//")
            .ok_or_else(|| config("the URL of the bus must have // after its scheme"))?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        // The last @ ends the password, which may contain a slash that was not encoded.
        let user_end = rest.rfind('@').map_or(0, |at| at + 1);
        let (user, rest) = rest.split_at(user_end);
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        Ok(Self {
            user,
            hosts,
            path: path.trim_end_matches('/'),
            query,
        })
    }

    fn query(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let pairs = self.query.split('&').filter(|pair| !pair.is_empty());
        pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
    }

    fn servers(
        &self,
        scheme: &str,
        user: &str,
        port: u16,
        db: &str,
    ) -> Result<(Vec<ServerAddr>, bool, RedisConnectionInfo), BusError> {
        let mut places = Vec::new();
        let mut last = None;
        for host in self.hosts.split(',').filter(|host| !host.is_empty()) {
            // A colon within brackets is part of an IPv6 address.
            let has_port = host.rfind(':') > host.rfind(']');
            let port = if has_port {
                String::new()
            } else {
                format!(":{port}")
            };
            let (place, tls, credentials) = server(&format!("{scheme}://{user}{host}{port}/{db}"))?;
            places.push(place);
            last = Some((tls, credentials));
        }
        let (tls, credentials) = last.ok_or_else(|| config("the URL of the bus names no host"))?;
        Ok((places, tls, credentials))
    }
}

/// Parses the URL of one server with the Redis library.
fn server(url: &str) -> Result<(ServerAddr, bool, RedisConnectionInfo), BusError> {
    let info: ConnectionInfo = url
        .into_connection_info()
        // Drops the library's message: it may repeat a part of the URL.
        .map_err(|_| invalid())?;
    let (place, tls) = match info.addr() {
        ConnectionAddr::Tcp(host, port) => (tcp(host, *port), false),
        ConnectionAddr::TcpTls { insecure: true, .. } => {
            return Err(config(
                "#insecure is not supported: set a CA file for a certificate of your own",
            ));
        }
        ConnectionAddr::TcpTls { host, port, .. } => (tcp(host, *port), true),
        ConnectionAddr::Unix(path) => (ServerAddr::Unix(path.clone()), false),
        _ => return Err(invalid()),
    };
    Ok((place, tls, info.redis_settings().clone()))
}

fn tcp(host: &str, port: u16) -> ServerAddr {
    ServerAddr::Tcp {
        host: host.to_owned(),
        port,
    }
}

fn invalid() -> BusError {
    config(
        "the URL of the bus is invalid. Percent-encode special characters in the user and the password: \
         @ is %40, : is %3A, / is %2F, # is %23, ? is %3F and % is %25",
    )
}

fn config(text: &str) -> BusError {
    BusError::Config(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_server() {
        let url = RedisUrl::parse("rediss://app:se%2Fcret@redis.example:7000/2").unwrap();
        assert!(matches!(url.deployment, Deployment::Fixed(at) if at == tcp("redis.example", 7000)));
        assert!(url.tls);
        assert_eq!(url.credentials.username(), Some("app"));
        assert_eq!(url.credentials.password(), Some("se/cret"));
        assert_eq!(url.credentials.db(), 2);
        let url = RedisUrl::parse("redis+unix:///run/redis.sock?pass=x").unwrap();
        assert!(matches!(
            url.deployment,
            Deployment::Fixed(ServerAddr::Unix(path)) if path.ends_with("redis.sock")
        ));
    }

    #[test]
    fn sentinels() {
        let url = "redis+sentinel://app:pw@one,two:7,[::1]:8/mymaster/3?sentinel_password=s%40";
        let url = RedisUrl::parse(url).unwrap();
        let Deployment::Sentinel {
            sentinels,
            credentials,
            master,
        } = &url.deployment
        else {
            panic!("{url:?}")
        };
        assert_eq!(sentinels, &[tcp("one", 26379), tcp("two", 7), tcp("::1", 8)]);
        assert_eq!(
            (credentials.username(), credentials.password()),
            (None, Some("s@"))
        );
        assert_eq!(master, "mymaster");
        assert_eq!(
            (url.credentials.password(), url.credentials.db()),
            (Some("pw"), 3)
        );
    }

    #[test]
    fn a_cluster() {
        let url = RedisUrl::parse("rediss+cluster://u:p@one:1,two").unwrap();
        let expected = [tcp("one", 1), tcp("two", 6379)];
        assert!(url.tls && url.is_cluster());
        assert!(matches!(&url.deployment, Deployment::Cluster { nodes } if *nodes == expected));
    }

    #[test]
    fn errors_of_invalid_urls_do_not_contain_the_password() {
        let urls = [
            "redis",
            "http://user:hunter2@host",
            "redis://user:hunter2@host/db",
            "redis://user:hunter2@host:port",
            "rediss://user:hunter2@host/#insecure",
            "redis+sentinel://user:hunter2@host",
            "redis+sentinel://user:hunter2@host/m/x",
            "redis+sentinel:user:hunter2@host/m",
            "redis+sentinel://:hunter2@/m",
            "redis+cluster://:hunter2@host/1",
        ];
        for url in urls {
            let error = RedisUrl::parse(url).unwrap_err();
            assert!(
                matches!(&error, BusError::Config(text) if !text.contains("hunter2")),
                "{error:?}"
            );
        }
    }
}
