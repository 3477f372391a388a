//! Durable chat: a token at connect, and each message on disk before its ack. Roomful's own bare fan-out runs along.

use crate::candidate::Mode;
use crate::error::BenchError;
use crate::workload::traffic::{Load, Traffic, cost};
use crate::workload::{Entrant, Figures, Scene, Workload};

const SHOWN: &[&str] = &[
    "cpu_us_per_delivery",
    "acked_per_s",
    "ack_p99_ms",
    "delivery_p99_ms",
    "server_busy",
    "loader_busy",
];
const CLIENTS: usize = 1000;

const ENTRANTS: &[Entrant] = &[
    Entrant::bare("roomful-socket"),
    Entrant::chat("roomful"),
    Entrant::chat("node"),
    Entrant::chat("bun"),
];

pub(super) const ONE: Workload = Workload {
    name: "chat-one-room",
    title: "Chat, durable: 1 room × 1,000",
    about: "1,000 authenticated clients in one room, eight messages in flight. A message counts when its sender has the \
            ack and all members have the message.",
    entrants: ENTRANTS,
    shown: SHOWN,
    clients: CLIENTS,
    most_rounds: usize::MAX,
    long: false,
    measure: |scene| measure(scene, 1, CLIENTS, 8),
};

pub(super) const ROOMS: Workload = Workload {
    name: "chat-rooms",
    title: "Chat, durable: 100 rooms × 10",
    about: "1,000 authenticated clients, ten in each of 100 rooms, 100 messages in flight.",
    entrants: ENTRANTS,
    shown: SHOWN,
    clients: CLIENTS,
    most_rounds: usize::MAX,
    long: false,
    measure: |scene| measure(scene, 100, 10, 100),
};

fn measure(scene: &Scene<'_>, rooms: usize, members: usize, in_flight: usize) -> Result<Figures, BenchError> {
    let server = scene.serve()?;
    let crowd = scene.gather(&server, rooms * members, rooms, members)?;
    let mut traffic = Traffic::new(crowd, scene.entrant.mode == Mode::Chat);
    cost(&server, &mut traffic, Load::Closed(in_flight), scene.pace)
}
