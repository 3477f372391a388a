//! The cost of messages in rooms that a node does not serve.

use crate::candidate::Mode;
use crate::error::BenchError;
use crate::loader::connected_clients::{ConnectedClients, Plan};
use crate::workload::traffic::{Load, Traffic, measured, micros_each};
use crate::workload::{Entrant, Figures, Scene, Workload};

const ROOMS: usize = 100;
const MEMBERS: usize = 10;
const BUSY: usize = 0;
const IDLE: usize = 1;

pub(super) const WORKLOAD: Workload = Workload {
    name: "unserved",
    title: "Over Redis: a node beside 100 busy rooms of another",
    about: "Two processes and a Redis. All members of 100 rooms of ten are on one node, 100 messages in \
        flight. The other node has one client, in a silent room; its cost benefits nobody. In durable runs, \
        Roomful announces the positions of each commit to every node, without the entries.",
    entrants: &[
        Entrant::bare("roomful-socket"),
        Entrant::bare("node-redis"),
        Entrant::bare("node-sharded"),
        Entrant::bare("centrifugo-redis"),
        Entrant::chat("roomful"),
    ],
    shown: &[
        "unserved_us_per_message",
        "messages_per_s",
        "server_busy",
        "loader_busy",
    ],
    clients: ROOMS * MEMBERS + 1,
    most_rounds: usize::MAX,
    long: true,
    measure,
};

fn measure(scene: &Scene<'_>) -> Result<Figures, BenchError> {
    let cluster = scene.serve_as_cluster()?;
    let dialect = scene.candidate.dialect;
    let busy = ConnectedClients::connect(
        cluster.addr(BUSY),
        dialect,
        scene.plan(ROOMS * MEMBERS, ROOMS, MEMBERS),
    )?;
    let lonely = Plan {
        first_room: ROOMS,
        ..scene.plan(1, 1, 1)
    };
    // This client stays to the end and never sends.
    let _lonely = ConnectedClients::connect(cluster.addr(IDLE), dialect, lonely)?;
    let mut traffic = Traffic::new(busy, scene.entrant.mode == Mode::Chat);
    let span = measured(&cluster, &mut traffic, Load::Closed(ROOMS), scene.pace)?;
    let mut figures = span.figures();
    figures.insert(
        "unserved_us_per_message".into(),
        micros_each(span.spent.nodes[IDLE], span.tally.complete),
    );
    Ok(figures)
}
