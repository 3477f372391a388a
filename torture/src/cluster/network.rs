//! The network of nodes in namespaces: a router with a link to each node and one to this process.
//!
//! A packet that a router rule drops is lost as on a broken cable: no error comes back, new connections get
//! no answer, existing ones fall silent, and TCP retransmits.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Sub;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::namespaces;
use crate::error::TortureError;

/// The address of this process, and of the services that nodes connect to.
pub(super) const STAGE: Ipv4Addr = Ipv4Addr::new(10, 213, 0, 2);
/// The port of each node; it is the only one in its namespace.
const PORT: u16 = 3000;
/// The most nodes: each has a network of 10.213.0.0/16, and one is ours.
const MOST: usize = 200;

/// The sysctl settings that the documentation recommends for machines of a cluster.
const RECOMMENDED: &str = include_str!("../../../deploy/sysctl/90-roomful.conf");

/// Script that makes the network for a number of nodes, with TCP settings as lines of a /proc file and a
/// value. Forwarded packets pass the chain `cuts`; rules send packets to drop to `lost`.
const SET_UP: &str = r#"set -e
in_router() { ip netns exec router "$@"; }
# connect NAMESPACE-OPTION NAME NETWORK: links the router to a namespace; the device is NAME on both ends.
connect() {
    ip -n router addr add "10.213.$3.1/24" dev "$2"; ip -n router link set "$2" up
    ip $1 addr add "10.213.$3.2/24" dev "$2"; ip $1 link set "$2" up
    ip $1 route add 10.213.0.0/16 via "10.213.$3.1"
}
ip netns add router
in_router sh -c "echo 1 >/proc/sys/net/ipv4/ip_forward"
# tune COMMAND: sets TCP in the namespace that the command runs in, as far as its kernel can.
tune() {
    echo "$settings" | "$@" sh -c 'while read -r file value; do
        [ ! -e "$file" ] || echo "$value" >"$file" || exit
    done'
}
settings=$2
tune env
ip link add run_state type veth peer name run_state netns router
connect "" run_state 0
node=0
while [ "$node" -lt "$1" ]; do
    name="node-$node"
    ip netns add "$name"
    ip -n "$name" link set lo up
    tune ip netns exec "$name"
    ip -n router link add "$name" type veth peer name "$name" netns "$name"
    connect "-n $name" "$name" "$((node + 1))"
    node=$((node + 1))
done
in_router nft -f - <<"END"
table ip torture {
    counter dropped {}
    counter connects {}
    chain lost {
        tcp flags & (syn | ack) == syn counter name connects
        counter name dropped drop
    }
    chain cuts { type filter hook forward priority 0; }
}
END
"#;

/// TCP settings on the machines of a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tcp {
    /// The documentation's recommendation.
    #[default]
    AsRecommended,
    /// This machine's defaults for a new network.
    AsItIs,
}

/// A running network. It ends with the namespaces of this process.
#[derive(Debug)]
pub(super) struct Network {
    /// The command prefix that enters its router.
    router: Vec<String>,
}

/// Dropped packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// All of them.
    pub packets: u64,
    /// Those of them that open a connection.
    pub connects: u64,
}

/// The command that makes a network for that many nodes.
pub(super) fn set_up(nodes: usize, tcp: Tcp) -> [String; 6] {
    let settings = match tcp {
        Tcp::AsRecommended => settings(RECOMMENDED),
        Tcp::AsItIs => String::new(),
    };
    ["sh", "-c", SET_UP, "sh", &nodes.to_string(), &settings].map(str::to_owned)
}

/// The settings of a sysctl file, as lines of a /proc file and a value.
fn settings(conf: &str) -> String {
    let lines = conf.lines().filter(|line| !line.starts_with('#'));
    let settings = lines.filter_map(|line| line.trim_start_matches('-').split_once('='));
    let files = settings.map(|(key, value)| {
        let file = key.trim().replace('.', "/");
        format!("/proc/sys/{file} {}\n", value.trim())
    });
    files.collect::<Vec<_>>().concat()
}

/// The address on which a node listens.
pub(super) fn node(node: usize) -> SocketAddr {
    let [a, b, ..] = STAGE.octets();
    let network = u8::try_from(node + 1).unwrap_or(u8::MAX);
    SocketAddr::from((Ipv4Addr::new(a, b, network, 2), PORT))
}

/// The command prefix for a node's server; the server keeps its process id.
pub(super) fn wrapper(node: usize) -> Vec<String> {
    exec_in(&format!("node-{node}"))
}

fn exec_in(namespace: &str) -> Vec<String> {
    ["ip", "netns", "exec", namespace].map(str::to_owned).to_vec()
}

impl Network {
    /// Makes a network for that many nodes.
    ///
    /// # Errors
    /// [`TortureError::Namespaces`] if this process has no namespaces of its own.
    pub(super) fn start(nodes: usize, tcp: Tcp) -> Result<Self, TortureError> {
        if !namespaces::inside() {
            let what = "this process has to be started in namespaces of its own";
            return Err(TortureError::Namespaces(what.to_owned()));
        }
        if nodes > MOST {
            return Err(TortureError::Network(format!(
                "at most {MOST} nodes are possible"
            )));
        }
        run("making it", &set_up(nodes, tcp), "")?;
        Ok(Self {
            router: exec_in("router"),
        })
    }

    /// Starts to drop all packets that match any of these rules, in one step.
    pub(super) fn drop_packets(&self, matches: &[String]) -> Result<(), TortureError> {
        let rules = matches
            .iter()
            .map(|packets| format!("add rule ip torture cuts {packets} goto lost\n"));
        self.nft(&["-f", "-"], &rules.collect::<String>()).map(drop)
    }

    /// Drops nothing any more.
    pub(super) fn heal(&self) -> Result<(), TortureError> {
        self.nft(&["flush", "chain", "ip", "torture", "cuts"], "")
            .map(drop)
    }

    /// The packets dropped so far.
    pub(super) fn dropped(&self) -> Result<Dropped, TortureError> {
        let list = self.nft(&["--json", "list", "counters"], "")?;
        let list: Value = serde_json::from_str(&list).unwrap_or_default();
        let counters = list["nftables"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|entry| &entry["counter"]);
        let count = |name: &str| {
            let mut named = counters.clone().filter(|counter| counter["name"] == name);
            let packets = named.next().and_then(|counter| counter["packets"].as_u64());
            packets.ok_or_else(|| TortureError::Network(format!("nft lists no counter {name}: {list}")))
        };
        Ok(Dropped {
            packets: count("dropped")?,
            connects: count("connects")?,
        })
    }

    fn nft(&self, args: &[&str], input: &str) -> Result<String, TortureError> {
        let mut words = self.router.clone();
        words.extend(["nft"].iter().chain(args).map(ToString::to_string));
        run("telling its router", &words, input)
    }
}

impl Sub for Dropped {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            packets: self.packets.saturating_sub(before.packets),
            connects: self.connects.saturating_sub(before.connects),
        }
    }
}

/// Runs a command with this input and returns its output. Blocks.
fn run(doing: &str, words: &[String], input: &str) -> Result<String, TortureError> {
    let failed = |why: String| TortureError::Network(format!("{doing} failed: {why}"));
    let (program, args) = words
        .split_first()
        .ok_or_else(|| failed("no command".to_owned()))?;
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    if let Some(mut pipe) = child.stdin.take() {
        // A command that does not read its input gives the reason when it ends.
        let _ = pipe.write_all(input.as_bytes());
    }
    let output = child.wait_with_output();
    let output = output.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recommended_is_set_without_remarks_and_marks() {
        let expected =
            "/proc/sys/net/ipv4/tcp_rto_max_ms 1000\n/proc/sys/net/ipv4/tcp_thin_linear_timeouts 1\n";
        assert_eq!(settings(RECOMMENDED), expected);
    }
}
