//! What a URL says: which servers to ask, and how to sign in.

use std::path::PathBuf;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, RedisConnectionInfo};

use crate::BusError;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}

/// Who says where the masters are.
#[derive(Debug, Clone)]
pub(crate) enum Finding {
    /// The URL itself.
    Fixed(Place),
    /// Sentinels, for the master of this name.
    Sentinel {
        sentinels: Vec<Place>,
        sign_in: RedisConnectionInfo,
        master: String,
    },
    /// Any node of the cluster.
    Cluster { nodes: Vec<Place> },
}

/// A URL, taken apart. Not for logs: it holds passwords.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) finding: Finding,
    pub(crate) tls: bool,
    pub(crate) sign_in: RedisConnectionInfo,
}

impl Target {
    pub(crate) fn parse(url: &str) -> Result<Self, BusError> {
        let (scheme, rest) = url
            .split_once(':')
            .ok_or_else(|| setup("the URL of the bus has no scheme"))?;
        match scheme {
            "redis" | "rediss" | "redis+unix" => Self::single(url),
            "redis+sentinel" => Self::sentinel(rest, "redis"),
            "rediss+sentinel" => Self::sentinel(rest, "rediss"),
            "redis+cluster" => Self::cluster(rest, "redis"),
            "rediss+cluster" => Self::cluster(rest, "rediss"),
            _ => Err(setup(
                "the URL of the bus must begin with memory:, redis:, rediss:, redis+unix:, redis+sentinel: or redis+cluster: \
                 (or rediss+…: for TLS)",
            )),
        }
    }

    fn single(url: &str) -> Result<Self, BusError> {
        let (place, tls, sign_in) = server(url)?;
        let finding = Finding::Fixed(place);
        Ok(Self {
            finding,
            tls,
            sign_in,
        })
    }

    fn sentinel(rest: &str, scheme: &str) -> Result<Self, BusError> {
        let parts = Parts::of(rest)?;
        let (master, db) = parts.path.split_once('/').unwrap_or((parts.path, ""));
        if master.is_empty() {
            return Err(setup("the URL of the Sentinels must name the master: …/mymaster"));
        }
        let (mut user, mut password) = ("", "");
        for (key, value) in parts.query() {
            match key {
                "sentinel_user" => user = value,
                "sentinel_password" => password = value,
                _ => {
                    return Err(setup(
                        "the URL of the Sentinels has a parameter that is not known",
                    ));
                }
            }
        }
        let sentinel_user = if user.is_empty() && password.is_empty() {
            String::new()
        } else {
            format!("{user}:{password}@")
        };
        let (sentinels, tls, sign_in) = parts.servers(scheme, &sentinel_user, 26379, "")?;
        let (_, _, to_master) = server(&format!("{scheme}://{}master/{db}", parts.user))?;
        Ok(Self {
            finding: Finding::Sentinel {
                sentinels,
                sign_in,
                master: master.to_owned(),
            },
            tls,
            sign_in: to_master,
        })
    }

    fn cluster(rest: &str, scheme: &str) -> Result<Self, BusError> {
        let parts = Parts::of(rest)?;
        if !parts.path.is_empty() || parts.query().next().is_some() {
            return Err(setup(
                "the URL of a Redis Cluster ends with its nodes: it has one database",
            ));
        }
        let (nodes, tls, sign_in) = parts.servers(scheme, parts.user, 6379, "")?;
        Ok(Self {
            finding: Finding::Cluster { nodes },
            tls,
            sign_in,
        })
    }

    pub(crate) fn is_cluster(&self) -> bool {
        matches!(self.finding, Finding::Cluster { .. })
    }
}

/// A URL with several hosts, of which the library knows nothing. Still percent-encoded.
struct Parts<'a> {
    /// With its `@`, or empty.
    user: &'a str,
    hosts: &'a str,
    path: &'a str,
    query: &'a str,
}

impl<'a> Parts<'a> {
    fn of(rest: &'a str) -> Result<Self, BusError> {
        let rest = rest
            .strip_prefix("//")
            .ok_or_else(|| setup("the URL of the bus must have // after its scheme"))?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        // A password may hold a slash that was not encoded; the last @ ends it all the same.
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
    ) -> Result<(Vec<Place>, bool, RedisConnectionInfo), BusError> {
        let mut places = Vec::new();
        let mut last = None;
        for host in self.hosts.split(',').filter(|host| !host.is_empty()) {
            // Within brackets, a colon belongs to the address.
            let has_port = host.rfind(':') > host.rfind(']');
            let port = if has_port {
                String::new()
            } else {
                format!(":{port}")
            };
            let (place, tls, sign_in) = server(&format!("{scheme}://{user}{host}{port}/{db}"))?;
            places.push(place);
            last = Some((tls, sign_in));
        }
        let (tls, sign_in) = last.ok_or_else(|| setup("the URL of the bus names no host"))?;
        Ok((places, tls, sign_in))
    }
}

/// One server, as the library understands its URL.
fn server(url: &str) -> Result<(Place, bool, RedisConnectionInfo), BusError> {
    let info: ConnectionInfo = url
        .into_connection_info()
        // The library's words may repeat a part of the URL.
        .map_err(|_| setup("the URL of the bus can't be understood"))?;
    let (place, tls) = match info.addr() {
        ConnectionAddr::Tcp(host, port) => (tcp(host, *port), false),
        ConnectionAddr::TcpTls { insecure: true, .. } => {
            return Err(setup(
                "a certificate that is not checked is no protection; name its CA instead",
            ));
        }
        ConnectionAddr::TcpTls { host, port, .. } => (tcp(host, *port), true),
        ConnectionAddr::Unix(path) => (Place::Unix(path.clone()), false),
        _ => return Err(setup("the URL of the bus can't be understood")),
    };
    Ok((place, tls, info.redis_settings().clone()))
}

fn tcp(host: &str, port: u16) -> Place {
    Place::Tcp {
        host: host.to_owned(),
        port,
    }
}

fn setup(text: &str) -> BusError {
    BusError::Setup(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(host: &str, port: u16) -> Place {
        tcp(host, port)
    }

    #[test]
    fn one_server() {
        let target = Target::parse("rediss://app:se%2Fcret@redis.example:7000/2").unwrap();
        assert!(matches!(target.finding, Finding::Fixed(at) if at == place("redis.example", 7000)));
        assert!(target.tls);
        assert_eq!(target.sign_in.username(), Some("app"));
        assert_eq!(target.sign_in.password(), Some("se/cret"));
        assert_eq!(target.sign_in.db(), 2);
        let target = Target::parse("redis+unix:///run/redis.sock?pass=x").unwrap();
        assert!(matches!(target.finding, Finding::Fixed(Place::Unix(path)) if path.ends_with("redis.sock")));
    }

    #[test]
    fn sentinels() {
        let url = "redis+sentinel://app:pw@one,two:7,[::1]:8/mymaster/3?sentinel_password=s%40";
        let target = Target::parse(url).unwrap();
        let Finding::Sentinel {
            sentinels,
            sign_in,
            master,
        } = &target.finding
        else {
            panic!("{target:?}")
        };
        assert_eq!(
            sentinels,
            &[place("one", 26379), place("two", 7), place("::1", 8)]
        );
        assert_eq!((sign_in.username(), sign_in.password()), (None, Some("s@")));
        assert_eq!(master, "mymaster");
        assert_eq!((target.sign_in.password(), target.sign_in.db()), (Some("pw"), 3));
    }

    #[test]
    fn a_cluster() {
        let target = Target::parse("rediss+cluster://u:p@one:1,two").unwrap();
        assert!(target.tls && target.is_cluster());
        assert!(
            matches!(target.finding, Finding::Cluster { nodes } if nodes == [place("one", 1), place("two", 6379)])
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused_without_its_password() {
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
            let error = Target::parse(url).unwrap_err();
            assert!(
                matches!(&error, BusError::Setup(text) if !text.contains("hunter2")),
                "{error:?}"
            );
        }
    }
}
