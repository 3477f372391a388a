//! An event that another node of the cluster has sent to this one.

use roomful_wire::packet::{ArgError, Payload};
use serde::de::DeserializeOwned;

use crate::node_tag::NodeTag;

/// An event of another node, from [`Namespace::server_side_emit`](crate::Namespace::server_side_emit).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerEvent {
    /// The node that sent it.
    pub from: NodeTag,
    /// The event's name.
    pub name: Box<str>,
    /// Its arguments.
    pub payload: Payload,
}

impl ServerEvent {
    /// Argument `index`, from 0, as a `T`.
    pub fn arg<T: DeserializeOwned>(&self, index: usize) -> Result<T, ArgError> {
        self.payload.arg(index)
    }
}
