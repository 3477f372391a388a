//! The workloads: each is one value that says who takes part, what is done, and what is read off.

mod chat;
mod cluster_chat;
mod connects;
mod elsewhere;
mod fan_out;
mod growth;
mod idle;
mod joins;
mod latency;
mod remote;
mod sends;
mod slow_readers;
mod traffic;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::candidate::{Candidate, Mode, Place, SECRET};
use crate::cluster::Cluster;
use crate::cores::Layout;
use crate::error::BenchError;
use crate::loader::crowd::{Crowd, Plan};
use crate::server::{Server, Start};

/// What one run has measured: a figure for each name that [`figure`](crate::figure) knows.
pub(crate) type Figures = BTreeMap<String, f64>;

/// One question.
#[derive(Debug)]
pub(crate) struct Workload {
    /// Its name on the command line, in stored results and of its chart.
    pub(crate) name: &'static str,
    /// Its name in a report.
    pub(crate) title: &'static str,
    /// What is done, in a sentence or two for the report.
    pub(crate) about: &'static str,
    /// Who takes part.
    pub(crate) entrants: &'static [Entrant],
    /// The figures that a report shows, the first of them as a chart.
    pub(crate) shown: &'static [&'static str],
    /// How many connections each process holds at most.
    pub(crate) clients: usize,
    /// Rounds at most, where a run is long and its figures vary little.
    pub(crate) most_rounds: usize,
    /// Whether a quick run leaves it out.
    pub(crate) long: bool,
    /// Makes one run.
    pub(crate) measure: fn(&Scene<'_>) -> Result<Figures, BenchError>,
}

/// One who takes part in a workload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entrant {
    /// Its name within the workload: the candidate's, or the size that is tried.
    pub(crate) key: &'static str,
    /// Which candidate.
    pub(crate) candidate: &'static str,
    /// What it has to do.
    pub(crate) mode: Mode,
    /// How much of what grows; 0 where nothing does.
    pub(crate) size: usize,
}

impl Entrant {
    const fn bare(candidate: &'static str) -> Self {
        Self {
            key: candidate,
            candidate,
            mode: Mode::Bare,
            size: 0,
        }
    }

    const fn chat(candidate: &'static str) -> Self {
        Self {
            key: candidate,
            candidate,
            mode: Mode::Chat,
            size: 0,
        }
    }

    const fn sized(key: &'static str, size: usize) -> Self {
        Self {
            key,
            candidate: "roomful",
            mode: Mode::Chat,
            size,
        }
    }
}

/// How long a run takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Load before anything is read.
    pub(crate) warm_up: Duration,
    /// Load while it is measured.
    pub(crate) measured: Duration,
    /// For how long idle clients are watched: one heartbeat each, at least. A quick run has no time for that.
    pub(crate) idle: Option<Duration>,
    /// Stored messages and idle clients are fewer in a quick run.
    pub(crate) quick: bool,
}

impl Pace {
    /// For figures to keep.
    pub(crate) const FULL: Self = Self {
        warm_up: Duration::from_secs(1),
        measured: Duration::from_secs(3),
        idle: Some(Duration::from_secs(26)),
        quick: false,
    };
    /// For a first impression.
    pub(crate) const QUICK: Self = Self {
        warm_up: Duration::from_millis(400),
        measured: Duration::from_secs(1),
        idle: None,
        quick: true,
    };
}

/// One entrant in one run.
#[derive(Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) entrant: Entrant,
    pub(crate) candidate: &'static Candidate,
    pub(crate) place: &'a Place,
    pub(crate) layout: &'a Layout,
    pub(crate) pace: Pace,
}

impl Scene<'_> {
    fn start(&self) -> Start<'_> {
        Start {
            candidate: self.candidate,
            mode: self.entrant.mode,
            place: self.place,
            layout: self.layout,
            links: None,
        }
    }

    fn serve(&self) -> Result<Server, BenchError> {
        Server::start(&self.start(), self.place.fresh_folder()?)
    }

    /// As two processes, with what they need behind them.
    fn serve_as_cluster(&self) -> Result<Cluster, BenchError> {
        Cluster::start(&self.start())
    }

    /// The crowd of `rooms` rooms with `members` each, with tokens where the server asks for them.
    fn gather(
        &self,
        server: &Server,
        clients: usize,
        rooms: usize,
        members: usize,
    ) -> Result<Crowd, BenchError> {
        Crowd::gather(
            server.addr(),
            self.candidate.dialect,
            self.plan(clients, rooms, members),
        )
    }

    fn plan(&self, clients: usize, rooms: usize, members: usize) -> Plan {
        Plan {
            clients,
            rooms,
            members,
            secret: self.secret(),
            narrow_each: 0,
            senders: 0,
            first_room: 0,
        }
    }

    fn secret(&self) -> Option<&'static str> {
        (self.entrant.mode == Mode::Chat).then_some(SECRET)
    }
}

/// All of them, in the order of a run and of the report.
pub(crate) const ALL: &[Workload] = &[
    fan_out::ONE,
    fan_out::EIGHT,
    fan_out::ROOMS,
    latency::WORKLOAD,
    chat::ONE,
    chat::ROOMS,
    sends::WORKLOAD,
    joins::WORKLOAD,
    connects::WORKLOAD,
    idle::WORKLOAD,
    slow_readers::WORKLOAD,
    remote::ONE,
    remote::EIGHT,
    remote::ROOMS,
    elsewhere::WORKLOAD,
    cluster_chat::SENDS,
    cluster_chat::ROOMS,
    growth::MEMBERS,
    growth::ROOMS,
    growth::STORED,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{candidate, figure};

    #[test]
    fn every_entrant_and_every_figure_is_known() {
        for workload in ALL {
            for entrant in workload.entrants {
                assert!(
                    candidate::by_name(entrant.candidate).is_some(),
                    "{}",
                    entrant.candidate
                );
            }
            for name in workload.shown {
                assert!(figure::by_name(name).is_some(), "{name}");
            }
        }
    }
}
