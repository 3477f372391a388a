//! Who is in the cluster, and where a node is reached by the others.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::uri::Authority;
use roomful_bus::{Bus, BusError};
use serde::{Deserialize, Serialize};

use super::{ClusterError, NodeTag};

/// What a node shows to the others. Its JSON is what [`RosterDirectory`] expects as a member's `info`; a program may put
/// more into the same object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeCard {
    /// This start of the node.
    pub tag: NodeTag,
    /// `host:port` where it answers plain HTTP to the others.
    pub advertise: String,
}

impl NodeCard {
    /// As JSON, for [`roomful_bus::Roster::beat`].
    pub fn to_bytes(&self) -> Bytes {
        // Two strings always become JSON.
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    /// Reads a card; `None` if it is none. Other fields don't matter.
    pub fn from_bytes(info: &[u8]) -> Option<Self> {
        serde_json::from_slice(info).ok()
    }

    pub(super) fn authority(&self) -> Result<Authority, ClusterError> {
        authority(&self.advertise)
    }
}

/// An address as other nodes connect to it.
pub(super) fn authority(advertise: &str) -> Result<Authority, ClusterError> {
    let bad = || ClusterError::Advertise(advertise.to_owned());
    let authority: Authority = advertise.parse().map_err(|_| bad())?;
    // Neither a name and password, nor a guess at the port.
    let plain = !advertise.contains('@') && authority.port_u16().is_some_and(|port| port > 0);
    if plain { Ok(authority) } else { Err(bad()) }
}

/// Knows the nodes of the cluster. A request is passed on to none but these, so what is in it must come from the nodes
/// themselves. Asked at most each [`super::ForwardBounds::refresh_every`], by one caller at a time; the answers are kept.
#[async_trait]
pub trait Directory: Send + Sync + 'static {
    /// All living nodes.
    async fn nodes(&self) -> Result<Vec<NodeCard>, BusError>;
}

/// The living members of the bus's roster whose info is a [`NodeCard`].
pub struct RosterDirectory(Arc<dyn Bus>);

impl RosterDirectory {
    /// Reads the roster of `bus`.
    pub fn new(bus: Arc<dyn Bus>) -> Self {
        Self(bus)
    }
}

#[async_trait]
impl Directory for RosterDirectory {
    async fn nodes(&self) -> Result<Vec<NodeCard>, BusError> {
        let members = self.0.members().await?;
        Ok(members
            .iter()
            .filter_map(|entry| NodeCard::from_bytes(&entry.value))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_may_lie_in_a_larger_object() {
        let tag = NodeTag::random();
        let info = format!(r#"{{"version":"1","tag":"{tag}","advertise":"10.0.0.1:3000","n":1}}"#);
        let card = NodeCard::from_bytes(info.as_bytes()).unwrap();
        assert_eq!((card.tag, card.advertise.as_str()), (tag, "10.0.0.1:3000"));
        assert_eq!(NodeCard::from_bytes(&card.to_bytes()), Some(card));
        assert_eq!(NodeCard::from_bytes(b"{}"), None);
        assert_eq!(NodeCard::from_bytes(br#"{"tag":"x","advertise":"a:1"}"#), None);
    }

    #[test]
    fn an_address_is_a_host_with_a_port_and_no_more() {
        let authority = |advertise: &str| {
            NodeCard {
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
