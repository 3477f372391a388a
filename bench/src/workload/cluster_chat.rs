//! Durable chat on two processes, a PostgreSQL and a Redis.

use crate::error::BenchError;
use crate::loader::connected_clients::ConnectedClients;
use crate::workload::traffic::{Load, Traffic, measured, micros_each};
use crate::workload::{Entrant, Figures, Scene, Workload};

const SENDERS: usize = 64;
const CLIENTS: usize = 1000;

const ENTRANTS: &[Entrant] = &[
    Entrant::chat("roomful"),
    Entrant::chat("node-redis"),
    Entrant::chat("centrifugo-postgres"),
];

pub(super) const SENDS: Workload = Workload {
    name: "pg-sends",
    title: "Durable sends through PostgreSQL, 64 senders on two nodes",
    about: "64 authenticated clients, half of them on each of two nodes, each alone in its room, 64 \
        messages in flight. A message is committed by PostgreSQL, to its disk, before its ack. A send's \
        cost is the time of both processes; PostgreSQL and Redis, on the loader's core, appear beside it.",
    entrants: ENTRANTS,
    shown: &[
        "cpu_us_per_send",
        "acked_per_s",
        "ack_p99_ms",
        "postgres_us_per_send",
        "redis_us_per_send",
        "server_busy",
        "loader_busy",
    ],
    clients: SENDERS,
    most_rounds: usize::MAX,
    long: false,
    measure: |scene| measure(scene, SENDERS, 1),
};

pub(super) const ROOMS: Workload = Workload {
    name: "pg-rooms",
    title: "Chat through PostgreSQL: 100 rooms × 10 on two nodes",
    about: "1,000 authenticated clients, ten in each of 100 rooms, of which five on each node; 100 messages \
        in flight.",
    entrants: ENTRANTS,
    shown: &[
        "cpu_us_per_delivery",
        "cpu_us_per_send",
        "acked_per_s",
        "ack_p99_ms",
        "delivery_p99_ms",
        "postgres_us_per_send",
        "redis_us_per_send",
        "server_busy",
        "loader_busy",
    ],
    clients: CLIENTS,
    most_rounds: usize::MAX,
    long: true,
    measure: |scene| measure(scene, CLIENTS / 10, 10),
};

fn measure(scene: &Scene<'_>, rooms: usize, members: usize) -> Result<Figures, BenchError> {
    let cluster = scene.serve_as_cluster()?;
    let plan = scene.plan(rooms * members, rooms, members);
    let connected =
        ConnectedClients::connect_to_each(&|client| cluster.addr(client), scene.candidate.dialect, plan)?;
    let mut traffic = Traffic::new(connected, true);
    traffic.meet()?;
    let span = measured(&cluster, &mut traffic, Load::Closed(rooms), scene.pace)?;
    let mut figures = span.figures();
    let servers = span.spent.servers();
    let per_delivery = micros_each(servers, span.tally.deliveries);
    figures.insert("cpu_us_per_delivery".into(), per_delivery);
    let parts = [
        ("cpu_us_per_send", servers),
        ("redis_us_per_send", span.spent.redis),
        ("postgres_us_per_send", span.spent.postgres),
    ];
    for (name, cpu) in parts {
        figures.insert(name.into(), micros_each(cpu, span.tally.acked));
    }
    Ok(figures)
}
