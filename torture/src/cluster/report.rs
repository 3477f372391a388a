//! What came of a run over a cluster.

use std::fmt;
use std::time::Duration;

use super::blow::Blow;
use super::network::Dropped;

/// What came of a run over a cluster.
#[derive(Debug, Default)]
pub struct Report {
    /// What a run on one node tells as well.
    pub common: crate::Report,
    /// The blows, in the order in which they fell.
    pub blows: Vec<Blow>,
    /// After each heal, how long each device took to have all that had been acknowledged until then.
    pub catch_up: Vec<(Blow, Duration)>,
    /// After each heal, how long until all that was to be sent meanwhile was acknowledged, and everybody had it; what clients
    /// take to notice a dead line is in it.
    pub settled: Vec<(Blow, Duration)>,
    /// After each heal, how long until all that had settled, and all nodes said that they are ready.
    pub ready: Vec<(Blow, Duration)>,
    /// After each kill, how long each device took to have all that had been acknowledged until then.
    pub after_kill: Vec<Duration>,
    /// While the bus lost messages, how long after the last ack everybody had everything.
    pub lost_tail: Vec<Duration>,
    /// Connections by long-polling, each request to any node.
    pub polled: u64,
    /// Messages that the bus has lost.
    pub lost_messages: u64,
    /// Packets that were dropped when nodes were cut off by the network.
    pub dropped: Vec<(Blow, Dropped)>,
    /// How long the users of a killed node were still shown.
    pub ghosts: Vec<Duration>,
    /// Users who came back from a killed node at once, to another one.
    pub movers: u64,
    /// Users who lost their connection to another node at that moment, and came back to it at once.
    pub returners: u64,
    /// How often one of either was shown as gone.
    pub flaps: u64,
    /// Users who were there when Redis forgot everything, and how often one of them was shown as gone. A figure, and no law:
    /// what Redis knows of them is put again with the next sign of life of their node.
    pub forgotten: u64,
    /// See [`Report::forgotten`].
    pub shown_as_gone: u64,
    /// What came of the storm, if there was one.
    pub storm: Option<Storm>,
    /// How long after the restore of an old backup everybody was told.
    pub restored: Option<Duration>,
}

/// Everybody was dropped at once.
#[derive(Debug, Default)]
pub struct Storm {
    /// How many.
    pub clients: usize,
    /// How long until all were back, if they were.
    pub back: Option<Duration>,
    /// Those whose session was recovered.
    pub recovered: usize,
    /// Those who joined anew.
    pub joined: usize,
    /// Transactions a second of the store, before.
    pub commits_before: f64,
    /// The same, from the drop until all were back, and over that time alone.
    pub commits_during: f64,
    /// Transactions beyond those that there would have been anyway, for each client.
    pub commits_each: f64,
    /// Bytes of memory of the largest node, at its peak between the drop and when all were back.
    pub memory: u64,
    /// That peak of a node against its memory right before the drop, at most.
    pub memory_grown: f64,
}

impl Report {
    /// Whether everything was as it must be.
    pub fn sound(&self) -> bool {
        self.common.sound()
    }

    /// What was lost under the blows, and how soon all was well after each.
    fn heals(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (blow, dropped) in &self.dropped {
            let Dropped { packets, connects } = dropped;
            write!(
                f,
                "\n  {blow}: {packets} packets dropped, {connects} of them to connect"
            )?;
        }
        let all = self.catch_up.iter().map(|(_, took)| *took);
        spread(f, "up to date after a heal", all)?;
        let all = self.settled.iter().map(|(_, took)| *took);
        spread(f, "all settled after a heal", all)?;
        let all = self.ready.iter().map(|(_, took)| *took);
        spread(f, "all nodes ready after a heal", all)?;
        write!(f, "\n  at most, up to date, settled and all ready:")?;
        for blow in Blow::all().filter(|blow| self.blows.contains(blow)) {
            let (date, settled) = (longest(&self.catch_up, blow), longest(&self.settled, blow));
            let ready = longest(&self.ready, blow);
            write!(f, "\n    {blow}: {date:.2?}, {settled:.2?}, {ready:.2?}")?;
        }
        Ok(())
    }
}

/// Which of the sorted times is above so many of a hundred; none at all if there are none.
pub(super) fn percentile(times: &[Duration], percent: usize) -> Duration {
    let at = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times.get(at).copied().unwrap_or_default()
}

/// The longest time of one blow.
fn longest(times: &[(Blow, Duration)], blow: Blow) -> Duration {
    let of = times.iter().filter(|(other, _)| *other == blow);
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
        for blow in Blow::all() {
            let times = self.blows.iter().filter(|other| **other == blow).count();
            if times > 0 {
                write!(f, " {blow} {times},")?;
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
            "\n  came back at once: {movers} users to another node, {returners} to the same; shown as gone: {flaps} times"
        )?;
        if self.forgotten > 0 {
            let (users, times) = (self.forgotten, self.shown_as_gone);
            write!(
                f,
                "\n  there while Redis forgot all: {users} users; shown as gone: {times} times"
            )?;
        }
        if let Some(storm) = &self.storm {
            write!(f, "\n  {storm}")?;
        }
        if let Some(took) = self.restored {
            write!(f, "\n  after an old backup, everybody was told within {took:.1?}")?;
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
        write!(f, " ({recovered} recovered, {joined} joined anew); ")?;
        write!(
            f,
            "store {:.0} transactions a second, {:.0} before, {:.1} more for each client; ",
            self.commits_during, self.commits_before, self.commits_each
        )?;
        write!(
            f,
            "memory at its peak {} MiB at most, {:.2} of before",
            self.memory >> 20,
            self.memory_grown
        )
    }
}
