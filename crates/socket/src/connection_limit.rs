//! Limits on open TCP connections: in total, per address and per IPv6 site, with a reserve for health checks.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

use ipnet::IpNet;
use metrics::{Counter, Gauge, counter, gauge};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    reserve::{Place, Reserve, ReservedConnection},
    throttled_log::ThrottledLog,
};

/// How often a log line about refused connections may appear.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Limits on open TCP connections, upgraded ones included. `None` and 0 mean no limit and no reserve.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ConnectionLimits {
    /// Connections in total.
    pub total: Option<usize>,
    /// Connections of one IPv4 address, or of one IPv6 network of 64 bits.
    pub per_address: Option<usize>,
    /// Connections of one IPv6 site, that is a network of 48 bits. Providers give customers up to that much.
    pub per_site: Option<usize>,
    /// Connections beyond the total, for health checks. Requests on them go to `HttpLimits::reserve_router`.
    pub reserve: usize,
    /// Networks without a limit per address or site, such as reverse proxies, which carry many clients.
    pub exempt: Vec<IpNet>,
}

/// The address that limits apply to. An IPv6 client has a whole network of 64 bits, so that network counts
/// as one.
pub fn client_network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => prefix(v6, 64).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

fn prefix(address: Ipv6Addr, bits: u32) -> Ipv6Addr {
    Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << (128 - bits)))
}

/// Counts the open connections and enforces their limits.
pub(crate) struct ConnectionTable {
    limits: ConnectionLimits,
    counts: Mutex<Counts>,
    open: Gauge,
    refused: [Counter; 4],
    refused_log: ThrottledLog,
}

#[derive(Default)]
struct Counts {
    total: usize,
    reserve: Reserve,
    networks: HashMap<Network, usize>,
}

/// A network with its own count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Network {
    Address(IpAddr),
    Site(Ipv6Addr),
}

/// The outcome for a new connection.
pub(crate) enum Admission {
    /// The connection may send any request.
    Full(ConnectionPermit),
    /// The total is reached. The connection may only send health checks, and another connection may take its
    /// place until it does.
    Reserve(ConnectionPermit, Arc<ReservedConnection>),
}

/// Which limit refused a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Total,
    Address,
    Site,
    /// The connection had a place in the reserve, sent no request, and a newer connection took the place.
    Evicted,
}

/// The count of one open connection. Dropping it makes room for another.
pub(crate) struct ConnectionPermit {
    table: Arc<ConnectionTable>,
    /// `None` for an exempt address.
    address: Option<IpAddr>,
    /// The number of its place, if it is one of the reserve.
    place: Option<u64>,
}

impl ConnectionTable {
    pub(crate) fn new(limits: ConnectionLimits, metric_prefix: &str) -> Arc<Self> {
        let refused = ["total", "address", "site", "evicted"].map(
            |cause| counter!(format!("{metric_prefix}_tcp_connections_refused_total"), "cause" => cause),
        );
        Arc::new(ConnectionTable {
            limits,
            counts: Mutex::default(),
            open: gauge!(format!("{metric_prefix}_tcp_connections")),
            refused,
            refused_log: ThrottledLog::new(LOG_INTERVAL),
        })
    }

    /// Counts a new connection of `address`, or says which limit is reached.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Admission, Refused> {
        self.try_admit(address)
            .inspect_err(|refused| self.count_refused(*refused, address))
    }

    fn count_refused(&self, refused: Refused, address: IpAddr) {
        self.refused[refused as usize].increment(1);
        if let Some(count) = self.refused_log.record(Instant::now()) {
            let limit = refused.as_str();
            tracing::warn!(%address, limit, count, "refused connections over a limit");
        }
    }

    fn try_admit(self: &Arc<Self>, address: IpAddr) -> Result<Admission, Refused> {
        let address = address.to_canonical();
        let exempt = self
            .limits
            .exempt
            .iter()
            .any(|network| network.contains(&address));
        let counted = (!exempt).then_some(address);
        let mut counts = self.counts.lock();
        for (network, max, refused) in self.network_limits(counted).into_iter().flatten() {
            if counts.networks.get(&network).is_some_and(|count| *count >= max) {
                return Err(refused);
            }
        }
        let is_full = self.limits.total.is_some_and(|max| counts.total >= max);
        let place = if is_full {
            let place = counts
                .reserve
                .insert(self.limits.reserve, client_network(address));
            Some(place.ok_or(Refused::Total)?)
        } else {
            counts.total += 1;
            None
        };
        for (network, ..) in self.network_limits(counted).into_iter().flatten() {
            *counts.networks.entry(network).or_default() += 1;
        }
        drop(counts);
        self.open.increment(1);
        if place.as_ref().is_some_and(|place| place.evicts) {
            self.count_refused(Refused::Evicted, address);
        }
        let permit = ConnectionPermit {
            table: Arc::clone(self),
            address: counted,
            place: place.as_ref().map(|place| place.number),
        };
        Ok(match place {
            Some(Place { connection, .. }) => Admission::Reserve(permit, connection),
            None => Admission::Full(permit),
        })
    }

    /// The networks of an address that have a limit.
    fn network_limits(&self, address: Option<IpAddr>) -> [Option<(Network, usize, Refused)>; 2] {
        let Some(address) = address else {
            return [None, None];
        };
        let own = self.limits.per_address.map(|max| {
            let network = Network::Address(client_network(address));
            (network, max, Refused::Address)
        });
        let site = match address {
            IpAddr::V6(v6) => self
                .limits
                .per_site
                .map(|max| (Network::Site(prefix(v6, 48)), max, Refused::Site)),
            IpAddr::V4(_) => None,
        };
        [own, site]
    }
}

impl Refused {
    fn as_str(self) -> &'static str {
        match self {
            Refused::Total => "total",
            Refused::Address => "address",
            Refused::Site => "site",
            Refused::Evicted => "evicted",
        }
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut counts = self.table.counts.lock();
        match self.place {
            Some(place) => counts.reserve.remove(place),
            None => counts.total -= 1,
        }
        for (network, ..) in self.table.network_limits(self.address).into_iter().flatten() {
            if let Some(count) = counts.networks.get_mut(&network) {
                *count -= 1;
                if *count == 0 {
                    counts.networks.remove(&network);
                }
            }
        }
        drop(counts);
        self.table.open.decrement(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(limits: ConnectionLimits) -> Arc<ConnectionTable> {
        ConnectionTable::new(limits, "roomful")
    }

    fn admit(table: &Arc<ConnectionTable>, address: &str) -> Result<Admission, Refused> {
        table.admit(address.parse().unwrap())
    }

    #[test]
    fn an_ipv6_client_is_its_network() {
        let network = |text: &str| client_network(text.parse().unwrap());
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:2"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_eq!(network("::ffff:127.0.0.1"), IpAddr::from([127, 0, 0, 1]));
    }

    #[test]
    fn an_address_and_a_site_have_their_own_limits() {
        let limits = ConnectionLimits {
            per_address: Some(1),
            per_site: Some(2),
            ..ConnectionLimits::default()
        };
        let table = table(limits);
        let _first = admit(&table, "2001:db8:1:1::1").ok().unwrap();
        assert_eq!(admit(&table, "2001:db8:1:1::2").err(), Some(Refused::Address));
        let second = admit(&table, "2001:db8:1:2::1").ok().unwrap();
        assert_eq!(admit(&table, "2001:db8:1:3::1").err(), Some(Refused::Site));
        assert!(admit(&table, "2001:db8:2:1::1").is_ok(), "another site");
        drop(second);
        assert!(admit(&table, "2001:db8:1:3::1").is_ok());
        let _v4 = admit(&table, "192.0.2.1").ok().unwrap();
        assert_eq!(admit(&table, "::ffff:192.0.2.1").err(), Some(Refused::Address));
        assert!(admit(&table, "192.0.2.2").is_ok());
    }

    #[test]
    fn a_proxy_is_exempt_from_the_limit_per_address() {
        let limits = ConnectionLimits {
            per_address: Some(1),
            total: Some(3),
            exempt: vec!["10.0.0.0/8".parse().unwrap()],
            ..ConnectionLimits::default()
        };
        let table = table(limits);
        let _held: Vec<_> = (0..3).map(|_| admit(&table, "10.0.0.1").ok().unwrap()).collect();
        assert_eq!(admit(&table, "10.0.0.1").err(), Some(Refused::Total));
    }

    #[test]
    fn the_reserve_opens_when_the_total_is_reached() {
        let limits = ConnectionLimits {
            total: Some(1),
            reserve: 1,
            ..ConnectionLimits::default()
        };
        let table = table(limits);
        let first = admit(&table, "192.0.2.1");
        assert!(matches!(first, Ok(Admission::Full(_))));
        let Ok(second @ Admission::Reserve(..)) = admit(&table, "192.0.2.2") else {
            panic!("the reserve is free");
        };
        if let Admission::Reserve(_, connection) = &second {
            connection.asked();
        }
        assert_eq!(admit(&table, "192.0.2.3").err(), Some(Refused::Total));
        drop(first);
        assert!(matches!(admit(&table, "192.0.2.3"), Ok(Admission::Full(_))));
        drop(second);
        assert!(table.counts.lock().reserve.is_empty());
    }
}
