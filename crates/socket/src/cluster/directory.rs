//! The nodes of a cluster and the addresses at which they reach each other.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::uri::Authority;
use roomful_bus::{Bus, BusError};
use serde::{Deserialize, Serialize};

use super::{ClusterError, NodeTag};

/// The address of a node, as the other nodes see it. [`MembershipDirectory`] reads it as JSON from a
/// member's `info`, which may contain other fields too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeAddress {
    /// Identifies this run of the node.
    pub tag: NodeTag,
    /// `host:port` at which the node serves plain HTTP to the others.
    pub advertise: String,
}

impl NodeAddress {
    /// Encodes the address as JSON, for [`roomful_bus::Membership::heartbeat`].
    pub fn to_bytes(&self) -> Bytes {
        // Two strings always convert to JSON.
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    /// Parses an address, ignoring other fields. `None` if it is not one.
    pub fn from_bytes(info: &[u8]) -> Option<Self> {
        serde_json::from_slice(info).ok()
    }

    pub(super) fn authority(&self) -> Result<Authority, ClusterError> {
        authority(&self.advertise)
    }
}

/// Parses an address to which other nodes connect.
pub(super) fn authority(advertise: &str) -> Result<Authority, ClusterError> {
    let bad = || ClusterError::Advertise(advertise.to_owned());
    let authority: Authority = advertise.parse().map_err(|_| bad())?;
    // Neither credentials nor a default port.
    let plain = !advertise.contains('@') && authority.port_u16().is_some_and(|port| port > 0);
    if plain { Ok(authority) } else { Err(bad()) }
}

/// A list of the cluster's nodes. Requests are forwarded only to nodes on this list, so it must come from
/// the nodes themselves. One caller at a time reads it, at most once per
/// [`super::ForwardLimits::refresh_every`]; the result is cached.
#[async_trait]
pub trait Directory: Send + Sync + 'static {
    /// All live nodes.
    async fn nodes(&self) -> Result<Vec<NodeAddress>, BusError>;
}

/// The live members of the bus whose info is a [`NodeAddress`].
pub struct MembershipDirectory(Arc<dyn Bus>);

impl MembershipDirectory {
    /// Reads the members of `bus`.
    pub fn new(bus: Arc<dyn Bus>) -> Self {
        Self(bus)
    }
}

#[async_trait]
impl Directory for MembershipDirectory {
    async fn nodes(&self) -> Result<Vec<NodeAddress>, BusError> {
        let members = self.0.members().await?;
        Ok(members
            .iter()
            .filter_map(|entry| NodeAddress::from_bytes(&entry.value))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_address_may_be_part_of_a_larger_object() {
        let tag = NodeTag::random();
        let info = format!(r#"{{"version":"1","tag":"{tag}","advertise":"10.0.0.1:3000","n":1}}"#);
        let address = NodeAddress::from_bytes(info.as_bytes()).unwrap();
        assert_eq!((address.tag, address.advertise.as_str()), (tag, "10.0.0.1:3000"));
        assert_eq!(NodeAddress::from_bytes(&address.to_bytes()), Some(address));
        assert_eq!(NodeAddress::from_bytes(b"{}"), None);
        assert_eq!(NodeAddress::from_bytes(br#"{"tag":"x","advertise":"a:1"}"#), None);
    }

    #[test]
    fn an_address_is_a_host_and_a_port() {
        let authority = |advertise: &str| {
            NodeAddress {
                tag: NodeTag::random(),
                advertise: advertise.to_owned(),
            }
            .authority()
        };
        for good in ["10.0.0.1:3000", "node-1.internal:80", "[::1]:3000"] {
            assert!(authority(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "10.0.0.1",
            "host:0",
            "host:99999",
            "a:b@host:80",
            "http://host:80",
            "host:80/path",
        ] {
            assert!(authority(bad).is_err(), "{bad}");
        }
    }
}
