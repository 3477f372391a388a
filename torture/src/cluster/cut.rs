//! A cut: which lines of which nodes are dead without saying so.
//!
//! Where nodes have namespaces of their own, the network between drops packets. Elsewhere proxies fall silent; they accept
//! connections all the same, and know neither directions nor who calls.

use roomful_testkit::proxy::{Proxy, Weather};
use tokio::task::block_in_place;

use super::network::{self, Dropped};
use super::nodes::Nodes;
use crate::error::TortureError;

#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    pub(super) behind: Behind,
    pub(super) lost: Lost,
}

/// What is out of reach.
#[derive(Clone, Copy, Debug)]
pub(super) enum Behind {
    /// The store, for that node.
    Store(usize),
    /// The bus, for that node.
    Bus(usize),
    /// All nodes, for each other.
    Peers,
    /// Store, bus and other nodes, for that node. Of the network alone.
    All(usize),
}

/// Which packets are lost. A direction alone is of the network alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    Both,
    FromNode,
    ToNode,
}

/// A proxy, and on which side of it the node is that is cut off.
struct Line<'a> {
    proxy: &'a Proxy,
    side: Side,
}

#[derive(Clone, Copy)]
enum Side {
    /// The node calls.
    Calls,
    /// That node calls, and so do others, which are not cut off.
    CallsToo(usize),
    /// The node is called.
    Called,
}

impl Behind {
    /// The node that can't renew its lease meanwhile.
    pub(super) fn without_lease(self) -> Option<usize> {
        match self {
            Self::Bus(node) | Self::All(node) => Some(node),
            Self::Store(_) | Self::Peers => None,
        }
    }
}

impl Line<'_> {
    /// What the network's rules match, of the packets that shall be lost.
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
    /// From now on, until they are mended, what goes over these lines is lost.
    pub(super) fn cut(&self, cut: Cut) -> Result<(), TortureError> {
        let lines = self.lines_of(cut.behind);
        if let Some(network) = &self.network {
            let packets: Vec<_> = lines.iter().flat_map(|line| line.packets(cut.lost)).collect();
            return block_in_place(|| network.drop_packets(&packets));
        }
        for line in lines {
            line.proxy.set(Weather::Frozen);
        }
        Ok(())
    }

    /// Ends what connections there are over these lines, but for those that others use. Over a line that is cut, a node may
    /// not hear of it.
    pub(super) fn tear(&self, behind: Behind) {
        for line in self.lines_of(behind) {
            if !matches!(line.side, Side::CallsToo(_)) {
                line.proxy.reset_all();
            }
        }
    }

    /// Every line is as it should be.
    pub(super) fn mend(&self) -> Result<(), TortureError> {
        for line in &self.lines {
            line.messages.lose(0, 0);
            for proxy in [&line.store, &line.bus, &line.peers] {
                proxy.set(Weather::Fair);
            }
        }
        let mended = self
            .network
            .as_ref()
            .map(|network| block_in_place(|| network.mend()));
        mended.unwrap_or(Ok(()))
    }

    /// What the network has dropped so far, if there is one.
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
