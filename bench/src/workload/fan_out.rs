//! Bare fan-out: no token, no store, no ack; the cost of delivering one message to many.

use crate::workload::traffic::in_rooms;
use crate::workload::{Entrant, Workload};

const SHOWN: &[&str] = &[
    "cpu_us_per_delivery",
    "deliveries_per_s",
    "delivery_p99_ms",
    "server_busy",
    "loader_busy",
];
const CLIENTS: usize = 1000;

const ENTRANTS: &[Entrant] = &[
    Entrant::bare("floor"),
    Entrant::bare("roomful-socket"),
    Entrant::bare("socketioxide"),
    Entrant::bare("node"),
    Entrant::bare("bun"),
    Entrant::bare("centrifugo"),
    Entrant::bare("python"),
];

pub(super) const ONE: Workload = Workload {
    name: "fan-out-1",
    title: "Fan-out: 1 room × 1,000, one message in flight",
    about: "1,000 clients in one room; a member sends, and the next one after all 1,000 have received it.",
    entrants: ENTRANTS,
    shown: SHOWN,
    clients: CLIENTS,
    most_rounds: usize::MAX,
    long: false,
    measure: |scene| in_rooms(scene, 1, CLIENTS, 1),
};

pub(super) const EIGHT: Workload = Workload {
    name: "fan-out-8",
    title: "Fan-out: 1 room × 1,000, eight messages in flight",
    about: "The same with eight messages in flight, from members in turn. A server may put several frames \
        into one write; the batched floor does.",
    entrants: &[
        Entrant::bare("floor"),
        Entrant::bare("floor-batched"),
        Entrant::bare("roomful-socket"),
        Entrant::bare("socketioxide"),
        Entrant::bare("node"),
        Entrant::bare("bun"),
        Entrant::bare("centrifugo"),
        Entrant::bare("python"),
    ],
    shown: SHOWN,
    clients: CLIENTS,
    most_rounds: usize::MAX,
    long: false,
    measure: |scene| in_rooms(scene, 1, CLIENTS, 8),
};

pub(super) const ROOMS: Workload = Workload {
    name: "fan-out-rooms",
    title: "Fan-out: 100 rooms × 10 members",
    about: "1,000 clients, ten in each of 100 rooms; 100 messages in flight, going round the rooms.",
    entrants: ENTRANTS,
    shown: SHOWN,
    clients: CLIENTS,
    most_rounds: usize::MAX,
    long: false,
    measure: |scene| in_rooms(scene, 100, 10, 100),
};
