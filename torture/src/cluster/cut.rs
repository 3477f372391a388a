//! Network partitions: which connections of which nodes go silent.
//!
//! With network namespaces, the network between the nodes drops packets. Without them, proxies fall silent;
//! they still accept connections, and cannot tell directions or callers apart.

use roomful_testkit::proxy::{LinkCondition, Proxy};
use tokio::task::block_in_place;

use super::network::{self, Dropped};
use super::nodes::Nodes;
use crate::error::TortureError;

#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    pub(super) behind: Behind,
    pub(super) lost: Lost,
}

/// What a partition makes unreachable.
#[derive(Clone, Copy, Debug)]
pub(super) enum Behind {
    /// The store, for that node.
    Store(usize),
    /// The bus, for that node.
    Bus(usize),
    /// All nodes, for each other.
    Peers,
    /// Store, bus and other nodes, for that node. Needs the network.
    All(usize),
}

/// Which packets are lost. A single direction needs the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    Both,
    FromNode,
    ToNode,
}

/// A proxy, and the side of it on which the partitioned node is.
struct Line<'a> {
    proxy: &'a Proxy,
    side: Side,
}

#[derive(Clone, Copy)]
enum Side {
    /// The node opens the connections.
    Calls,
    /// The node opens connections, and so do others that are not partitioned.
    CallsToo(usize),
    /// Others open connections to the node.
    Called,
}

impl Behind {
    /// The node that cannot renew its lease meanwhile.
    pub(super) fn without_lease(self) -> Option<usize> {
        match self {
            Self::Bus(node) | Self::All(node) => Some(node),
            Self::Store(_) | Self::Peers => None,
        }
    }
}

impl Line<'_> {
    /// The network rules that match the packets to drop.
    fn packets(&self, lost: Lost) -> Vec<String> {
        let port = self.proxy.addr().port();
        let (to_proxy, from_proxy) = (format!("tcp dport {port}"), format!("tcp sport {port}"));
        let (from_node, to_node) = match self.side {
            Side::Calls => (to_proxy, from_proxy),
            Side::CallsToo(node) => {
                let addr = network::node(node).ip();
                (
                    format!("ip saddr {addr} {to_proxy}"),
                    format!("ip daddr {addr} {from_proxy}"),
                )
            }
            Side::Called => (from_proxy, to_proxy),
        };
        match lost {
            Lost::Both => vec![from_node, to_node],
            Lost::FromNode => vec![from_node],
            Lost::ToNode => vec![to_node],
        }
    }
}

impl Nodes {
    /// Starts to drop everything on these connections, until `heal`.
    pub(super) fn cut(&self, cut: Cut) -> Result<(), TortureError> {
        let lines = self.lines_of(cut.behind);
        if let Some(network) = &self.network {
            let packets: Vec<_> = lines.iter().flat_map(|line| line.packets(cut.lost)).collect();
            return block_in_place(|| network.drop_packets(&packets));
        }
        for line in lines {
            line.proxy.set(LinkCondition::Frozen);
        }
        Ok(())
    }

    /// Closes the connections over these proxies, except those that others share. A partitioned node may
    /// not notice.
    pub(super) fn tear(&self, behind: Behind) {
        for line in self.lines_of(behind) {
            if !matches!(line.side, Side::CallsToo(_)) {
                line.proxy.reset_all();
            }
        }
    }

    /// Restores all connections.
    pub(super) fn heal(&self) -> Result<(), TortureError> {
        for line in &self.lines {
            line.messages.lose(0, 0);
            for proxy in [&line.store, &line.bus, &line.peers] {
                proxy.set(LinkCondition::Normal);
            }
        }
        let mended = self
            .network
            .as_ref()
            .map(|network| block_in_place(|| network.heal()));
        mended.unwrap_or(Ok(()))
    }

    /// The packets that the network has dropped so far, if there is a network.
    pub(super) fn dropped(&self) -> Result<Dropped, TortureError> {
        let dropped = self
            .network
            .as_ref()
            .map(|network| block_in_place(|| network.dropped()));
        dropped.unwrap_or_else(|| Ok(Dropped::default()))
    }

    fn lines_of(&self, behind: Behind) -> Vec<Line<'_>> {
        let line = |proxy, side| Line { proxy, side };
        let called = self.lines.iter().map(|lines| line(&lines.peers, Side::Called));
        match behind {
            Behind::Store(node) => vec![line(&self.lines[node].store, Side::Calls)],
            Behind::Bus(node) => vec![line(&self.lines[node].bus, Side::Calls)],
            Behind::Peers => called.collect(),
            Behind::All(node) => {
                let mut lines = self.lines_of(Behind::Store(node));
                lines.extend(self.lines_of(Behind::Bus(node)));
                for (peer, called) in called.enumerate() {
                    let calls = || line(&self.lines[peer].peers, Side::CallsToo(node));
                    lines.push(if peer == node { called } else { calls() });
                }
                lines
            }
        }
    }
}
