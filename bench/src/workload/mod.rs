//! The workloads: each is one value with its entrants, its load and its figures.

pub(crate) mod capacity;
mod chat;
mod cluster_chat;
mod connects;
mod fan_out;
mod growth;
mod idle;
mod joins;
mod latency;
mod remote;
mod sends;
mod slow_readers;
mod traffic;
mod unserved;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::candidate::{Candidate, Checkout, Mode, SECRET};
use crate::cluster::Cluster;
use crate::cores::Layout;
use crate::error::BenchError;
use crate::loader::connected_clients::{ConnectedClients, Plan};
use crate::server::{Server, Start};

/// The figures of one run, by the names of [`figure`](crate::figure).
pub(crate) type Figures = BTreeMap<String, f64>;

/// One workload.
#[derive(Debug)]
pub(crate) struct Workload {
    /// Its name on the command line, in stored results and of its chart.
    pub(crate) name: &'static str,
    /// Its name in a report.
    pub(crate) title: &'static str,
    /// A description of one or two sentences for the report.
    pub(crate) about: &'static str,
    /// The entrants.
    pub(crate) entrants: &'static [Entrant],
    /// The figures that a report shows, the first of them as a chart.
    pub(crate) shown: &'static [&'static str],
    /// The most connections per process.
    pub(crate) clients: usize,
    /// The most rounds, for long runs with little variation.
    pub(crate) most_rounds: usize,
    /// True if a quick run leaves it out.
    pub(crate) long: bool,
    /// Runs it once.
    pub(crate) measure: fn(&Scene<'_>) -> Result<Figures, BenchError>,
}

/// A participant of a workload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entrant {
    /// Its name within the workload: the candidate's, or the tested size.
    pub(crate) key: &'static str,
    /// The candidate.
    pub(crate) candidate: &'static str,
    /// Its work.
    pub(crate) mode: Mode,
    /// The tested size; 0 if there is none.
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

/// The durations of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Warm-up.
    pub(crate) warm_up: Duration,
    /// Measurement.
    pub(crate) measured: Duration,
    /// Observation of idle clients: at least one heartbeat each. A quick run has no time for that.
    pub(crate) idle: Option<Duration>,
    /// The divisor of stored messages and idle clients in a quick run.
    pub(crate) quick: bool,
}

impl Pace {
    /// A full run.
    pub(crate) const FULL: Self = Self {
        warm_up: Duration::from_secs(1),
        measured: Duration::from_secs(3),
        idle: Some(Duration::from_secs(26)),
        quick: false,
    };
    /// A quick run.
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
    pub(crate) checkout: &'a Checkout,
    pub(crate) layout: &'a Layout,
    pub(crate) pace: Pace,
}

impl Scene<'_> {
    fn start(&self) -> Start<'_> {
        Start {
            candidate: self.candidate,
            mode: self.entrant.mode,
            checkout: self.checkout,
            layout: self.layout,
            links: None,
        }
    }

    fn serve(&self) -> Result<Server, BenchError> {
        Server::start(&self.start(), self.checkout.fresh_folder()?)
    }

    /// As a cluster of two processes, with its services.
    fn serve_as_cluster(&self) -> Result<Cluster, BenchError> {
        Cluster::start(&self.start())
    }

    /// Clients in `rooms` rooms with `members` each, with tokens if the server checks them.
    fn connect(
        &self,
        server: &Server,
        clients: usize,
        rooms: usize,
        members: usize,
    ) -> Result<ConnectedClients, BenchError> {
        ConnectedClients::connect(
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

/// All workloads, in the order of runs and reports.
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
    unserved::WORKLOAD,
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
    fn every_entrant_and_figure_exists() {
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
