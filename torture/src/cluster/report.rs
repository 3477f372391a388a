//! The result of a run over a cluster.

use std::fmt;
use std::time::Duration;

use super::fault::Fault;
use super::network::Dropped;

/// The result of a run over a cluster.
#[derive(Debug, Default)]
pub struct Report {
    /// The part that a run on one node has too.
    pub common: crate::Report,
    /// The injected faults, in order.
    pub faults: Vec<Fault>,
    /// After each heal, how long each device took to have all messages acknowledged until then.
    pub catch_up: Vec<(Fault, Duration)>,
    /// After each heal, how long until all messages of the fault were acknowledged and delivered. It
    /// includes the time in which clients notice a dead connection.
    pub settled: Vec<(Fault, Duration)>,
    /// After each heal, how long until all that had settled and all nodes were ready.
    pub ready: Vec<(Fault, Duration)>,
    /// After each kill, how long each device took to have all messages acknowledged until then.
    pub after_kill: Vec<Duration>,
    /// While the bus lost messages, how long after the last ack all devices had everything.
    pub lost_tail: Vec<Duration>,
    /// Connections by long-polling, each request to any node.
    pub polled: u64,
    /// Messages that the bus lost.
    pub lost_messages: u64,
    /// Packets that the network dropped between nodes.
    pub dropped: Vec<(Fault, Dropped)>,
    /// How long the users of a killed node were still shown as online.
    pub ghosts: Vec<Duration>,
    /// Users of a killed node who reconnected to another one at once.
    pub movers: u64,
    /// Users who lost their connection to another node at that moment and reconnected to it at once.
    pub returners: u64,
    /// How often one of these users was shown as offline.
    pub flaps: u64,
    /// Users who were online when Redis lost its data, and how often one of them was shown as offline. This
    /// is a figure, not a law: their node writes their entries again with its next heartbeat.
    pub forgotten: u64,
    /// See [`Report::forgotten`].
    pub shown_as_gone: u64,
    /// The result of the storm, if there was one.
    pub storm: Option<Storm>,
    /// How long after the restore of an old backup all clients got a reset.
    pub restored: Option<Duration>,
}

/// The result of dropping all clients at once.
#[derive(Debug, Default)]
pub struct Storm {
    /// Number of clients.
    pub clients: usize,
    /// How long until all were back, if they were.
    pub back: Option<Duration>,
    /// Clients whose session was recovered.
    pub recovered: usize,
    /// Clients that joined again.
    pub joined: usize,
    /// Transactions a second of the store before the drop.
    pub commits_before: f64,
    /// The same, from the drop until all were back.
    pub commits_during: f64,
    /// Additional transactions per client.
    pub commits_each: f64,
    /// Peak memory of the largest node, in bytes, between the drop and the time when all were back.
    pub memory: u64,
    /// The largest ratio of a node's peak to its memory right before the drop.
    pub memory_grown: f64,
}

impl Report {
    /// True if there is no violation and no trouble.
    pub fn sound(&self) -> bool {
        self.common.sound()
    }

    /// What the faults lost, and how soon all was well after each.
    fn heals(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (fault, dropped) in &self.dropped {
            let Dropped { packets, connects } = dropped;
            write!(
                f,
                "\n  {fault}: {packets} packets dropped, {connects} of them to connect"
            )?;
        }
        let all = self.catch_up.iter().map(|(_, took)| *took);
        spread(f, "up to date after a heal", all)?;
        let all = self.settled.iter().map(|(_, took)| *took);
        spread(f, "all settled after a heal", all)?;
        let all = self.ready.iter().map(|(_, took)| *took);
        spread(f, "all nodes ready after a heal", all)?;
        write!(f, "\n  at most, up to date, settled and all ready:")?;
        for fault in Fault::all().filter(|fault| self.faults.contains(fault)) {
            let (date, settled) = (longest(&self.catch_up, fault), longest(&self.settled, fault));
            let ready = longest(&self.ready, fault);
            write!(f, "\n    {fault}: {date:.2?}, {settled:.2?}, {ready:.2?}")?;
        }
        Ok(())
    }
}

/// The given percentile of sorted times; zero if there are none.
pub(super) fn percentile(times: &[Duration], percent: usize) -> Duration {
    let at = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times.get(at).copied().unwrap_or_default()
}

/// The longest time of one fault.
fn longest(times: &[(Fault, Duration)], fault: Fault) -> Duration {
    let of = times.iter().filter(|(other, _)| *other == fault);
    of.map(|(_, took)| *took).max().unwrap_or_default()
}

fn spread(f: &mut fmt::Formatter<'_>, what: &str, times: impl IntoIterator<Item = Duration>) -> fmt::Result {
    let mut times: Vec<_> = times.into_iter().collect();
    if times.is_empty() {
        return Ok(());
    }
    times.sort_unstable();
    let (half, most) = (percentile(&times, 50), percentile(&times, 99));
    let worst = percentile(&times, 100);
    let number = times.len();
    write!(
        f,
        "\n  {what}: p50 {half:.2?}, p99 {most:.2?}, max {worst:.2?} ({number} times)"
    )
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.common)?;
        write!(f, "\n  cluster:")?;
        for fault in Fault::all() {
            let times = self.faults.iter().filter(|other| **other == fault).count();
            if times > 0 {
                write!(f, " {fault} {times},")?;
            }
        }
        write!(
            f,
            " {} messages lost by the bus; {} connections by long-polling over all nodes",
            self.lost_messages, self.polled
        )?;
        self.heals(f)?;
        spread(
            f,
            "up to date after the kill of a node",
            self.after_kill.iter().copied(),
        )?;
        spread(f, "lost tail seen", self.lost_tail.iter().copied())?;
        spread(f, "ghosts", self.ghosts.iter().copied())?;
        let (movers, returners, flaps) = (self.movers, self.returners, self.flaps);
        write!(
            f,
            "\n  reconnected at once: {movers} users to another node, {returners} to the same; shown as \
            offline: {flaps} times"
        )?;
        if self.forgotten > 0 {
            let (users, times) = (self.forgotten, self.shown_as_gone);
            write!(
                f,
                "\n  online while Redis lost its data: {users} users; shown as offline: {times} times"
            )?;
        }
        if let Some(storm) = &self.storm {
            write!(f, "\n  {storm}")?;
        }
        if let Some(took) = self.restored {
            write!(f, "\n  all clients noticed an old backup within {took:.1?}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Storm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            clients,
            recovered,
            joined,
            ..
        } = self;
        match self.back {
            Some(back) => write!(f, "storm: {clients} clients dropped, all back after {back:.1?}")?,
            None => write!(f, "storm: {clients} clients dropped, never all back")?,
        }
        write!(f, " ({recovered} recovered, {joined} joined again); ")?;
        write!(
            f,
            "store {:.0} transactions a second, {:.0} before, {:.1} more per client; ",
            self.commits_during, self.commits_before, self.commits_each
        )?;
        write!(
            f,
            "peak memory at most {} MiB, {:.2} times before",
            self.memory >> 20,
            self.memory_grown
        )
    }
}
