//! Bare fan-out over two processes and a Redis: all members are on one node, all senders on the other.

use crate::error::BenchError;
use crate::loader::connected_clients::{ConnectedClients, Plan};
use crate::workload::traffic::{Load, Traffic, measured, micros_each};
use crate::workload::{Entrant, Figures, Scene, Workload};

const SHOWN: &[&str] = &[
    "cpu_us_per_delivery",
    "near_us_per_delivery",
    "far_us_per_delivery",
    "redis_us_per_delivery",
    "deliveries_per_s",
    "delivery_p99_ms",
    "server_busy",
    "loader_busy",
];
const MEMBERS: usize = 1000;
/// Senders are in no room, and on the other node.
const SENDERS: usize = 10;
const FAR: usize = 1;
const NEAR: usize = 0;

const ENTRANTS: &[Entrant] = &[
    Entrant::bare("roomful-socket"),
    Entrant::bare("node-redis"),
    Entrant::bare("node-sharded"),
    Entrant::bare("centrifugo-redis"),
];

pub(super) const ONE: Workload = Workload {
    name: "remote-1",
    title: "Over Redis: 1 room × 1,000 on another node, one message in flight",
    about: "Two processes and a Redis. 1,000 clients in one room, all on one node; ten on the other, which \
        send in turn. What a delivery costs is what both processes have spent; Redis, on the loader's core, \
        is shown beside it.",
    entrants: ENTRANTS,
    shown: SHOWN,
    clients: MEMBERS + SENDERS,
    most_rounds: usize::MAX,
    long: true,
    measure: |scene| measure(scene, 1, 1),
};

pub(super) const EIGHT: Workload = Workload {
    name: "remote-8",
    title: "Over Redis: 1 room × 1,000 on another node, eight messages in flight",
    about: "The same with eight messages under way.",
    long: false,
    measure: |scene| measure(scene, 1, 8),
    ..ONE
};

pub(super) const ROOMS: Workload = Workload {
    name: "remote-rooms",
    title: "Over Redis: 100 rooms × 10 on another node",
    about: "The same with ten members in each of 100 rooms, and 100 messages in flight, going round the \
        rooms.",
    long: false,
    measure: |scene| measure(scene, 100, 100),
    ..ONE
};

fn measure(scene: &Scene<'_>, rooms: usize, in_flight: usize) -> Result<Figures, BenchError> {
    let cluster = scene.serve_as_cluster()?;
    let plan = Plan {
        senders: SENDERS,
        ..scene.plan(MEMBERS, rooms, MEMBERS / rooms)
    };
    let at = |client| cluster.addr(if client < MEMBERS { FAR } else { NEAR });
    let connected = ConnectedClients::connect_to_each(&at, scene.candidate.dialect, plan)?;
    let mut traffic = Traffic::new(connected, false);
    traffic.meet()?;
    let span = measured(&cluster, &mut traffic, Load::Closed(in_flight), scene.pace)?;
    let mut figures = span.figures();
    let parts = [
        ("cpu_us_per_delivery", span.spent.servers()),
        ("near_us_per_delivery", span.spent.nodes[NEAR]),
        ("far_us_per_delivery", span.spent.nodes[FAR]),
        ("redis_us_per_delivery", span.spent.redis),
    ];
    for (name, cpu) in parts {
        figures.insert(name.into(), micros_each(cpu, span.tally.deliveries));
    }
    Ok(figures)
}
